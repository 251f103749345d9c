package inngest

import (
	"cmp"
	"log/slog"
	"net/url"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// DevServerURL is where the Inngest Dev Server listens unless told otherwise.
const DevServerURL = "http://127.0.0.1:8288"

// Options of a Sender and of Functions; a zero field means its default.
type Options struct {
	// AppID names the app at Inngest. Default "glowup-app".
	AppID string
	// Dev is for the Inngest Dev Server: nothing is signed.
	Dev bool
	// BaseURL is the Dev Server's or a self-hosted Inngest's. Default: [DevServerURL] in dev mode, else
	// Inngest Cloud.
	BaseURL string
	// EventKey lets events in. Needed in cloud mode.
	EventKey string
	// SigningKey and SigningKeyFallback sign what Inngest and the functions say to each other. The first one
	// is needed in cloud mode.
	SigningKey, SigningKeyFallback string
	// PublicURL is where Inngest reaches this server. Default: the URL that the request came to.
	PublicURL *url.URL
	// Retries of a failed run, 0 to 20. Zero means none.
	Retries int
	// Concurrency bounds the runs of each function at once, over all users. 0: Inngest's plan decides.
	Concurrency int
	// Reconciler compares all users with Clerk's, on request. Default: none, and then there is no such function.
	Reconciler Reconciler
	// ReconcileCron is a schedule for it: five fields, and a time zone where it is not UTC. Default: none.
	ReconcileCron string
	// RunTimeout bounds one run. Default 30 s, the time that a pod usually has to end.
	RunTimeout time.Duration
	// Logger gets one line per run. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
	// Tracer gets a span for each run. Default: none.
	Tracer trace.Tracer
}

func (o Options) withDefaults() Options {
	o.AppID = cmp.Or(o.AppID, "glowup-app")
	o.RunTimeout = cmp.Or(o.RunTimeout, 30*time.Second)
	if o.Dev {
		o.BaseURL = cmp.Or(o.BaseURL, DevServerURL)
		// The Dev Server takes any key, and inngestgo sends this one when none is set.
		o.EventKey = cmp.Or(o.EventKey, "NO_EVENT_KEY_SET")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) selfHosted() bool { return !o.Dev && o.BaseURL != "" }

// client options name every setting: what is nil, inngestgo reads from the environment behind our back.
func (o Options) client() inngestgo.ClientOpts {
	c := inngestgo.ClientOpts{
		AppID:              o.AppID,
		Dev:                &o.Dev,
		Env:                new(string),
		EventKey:           &o.EventKey,
		SigningKey:         &o.SigningKey,
		SigningKeyFallback: &o.SigningKeyFallback,
		Logger:             slog.New(sdkLog{o.Logger.Handler()}),
		MaxBodySize:        maxInvokeBytes,
	}
	events, api := eventsURL, apiURL
	if o.BaseURL != "" {
		events, api = o.BaseURL, o.BaseURL
	}
	register := api + "/fn/register"
	c.EventAPIBaseURL, c.APIBaseURL, c.RegisterURL = &events, &api, &register
	return c
}

// Inngest Cloud: https://www.inngest.com/docs/reference/rest-api.
const (
	eventsURL = "https://inn.gs"
	apiURL    = "https://api.inngest.com"
)
