package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/inngest"
	"github.com/glowup-app/clerksync/store"
)

// doctor knows whom to ask.
type doctor struct {
	cfg      config.Config
	faults   []config.Fault
	unread   error    // why there is no configuration at all
	urls     []string // where the server may be
	client   *http.Client
	store    *store.Store // nil where the database is not configured
	inngest  *inngest.API // nil where Inngest is not configured
	expected []string     // ids of the functions
	clerk    *clerk.API   // nil without CLERK_SECRET_KEY
}

// newDoctor finds out whom to ask; it asks nobody but the `clerksync dev` that may run here.
func (a *app) newDoctor(ctx context.Context, to string) (*doctor, error) {
	d := &doctor{client: newDoctorClient()}
	environ := a.environ
	if to == "" {
		dev, err := readDevState(ctx)
		if err != nil {
			return nil, err
		}
		if dev != nil {
			to = strings.TrimSuffix(dev.WebhookURL, webhookPath)
			environ = slices.Concat(environ, dev.environ())
		}
	}
	d.cfg, d.faults, d.unread = readAll(environ)
	switch {
	case to != "":
		u, err := url.Parse(to)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
			return nil, errors.New("--url: want an http or https URL such as https://sync.example.com")
		}
		d.urls = []string{strings.TrimRight(strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, webhookPath), "/")}
	case d.unread == nil:
		if !d.faulty("PORT") {
			d.urls = append(d.urls, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(d.cfg.Port)))
		}
		if d.cfg.PublicURL != nil {
			d.urls = append(d.urls, strings.TrimRight(d.cfg.PublicURL.String(), "/"))
		}
	}
	if d.unread == nil {
		d.open()
	}
	return d, nil
}

// open makes the clients of what is configured; they connect when they are asked.
func (d *doctor) open() {
	cfg := d.cfg
	if cfg.DatabaseURI != "" && !d.faulty("DATABASE_NAME", "USERS_COLLECTION", "DEAD_LETTER_RETENTION") {
		// The URI was checked when it was read.
		d.store, _ = store.New(cfg.DatabaseURI.Reveal(), cfg.DatabaseName, cfg.UsersCollection,
			store.Options{CallTimeout: checkTimeout, DeadLetterRetention: cfg.DeadLetterRetention})
	}
	keys := cfg.Inngest.Dev || cfg.Inngest.SigningKey != ""
	if keys && !d.faulty("INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_APP_ID", "INNGEST_SIGNING_KEY_FALLBACK") {
		o := inngestOptions(cfg)
		if cfg.ClerkSecretKey != "" {
			o.Reconciler = scheduled{} // by which serve has a function more
		}
		d.inngest = inngest.NewAPI(o, d.client)
		if functions, err := inngest.NewFunctions(nil, o); err == nil { // it registers them with nobody
			d.expected = functions.IDs()
		}
	}
	if cfg.ClerkSecretKey != "" {
		// Impatient, so that what went wrong is said before the check's own time is over.
		d.clerk = clerk.NewAPI(cfg.ClerkSecretKey.Reveal(), clerk.APIOptions{URL: cfg.ClerkAPIURL, Timeout: checkTimeout, Patience: time.Second})
	}
}

func (d *doctor) close(ctx context.Context) {
	d.client.CloseIdleConnections()
	if d.store != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = d.store.Close(ctx) // all has been asked
	}
}

// environ is what makes serve the server that dev runs.
func (s *devState) environ() []string {
	return []string{
		"CLERK_WEBHOOK_SECRET=" + s.WebhookSecret, "DATABASE_URI=" + s.DatabaseURI, "DATABASE_NAME=" + s.DatabaseName,
		"INNGEST_DEV=" + s.InngestURL, "INNGEST_BASE_URL=", "INNGEST_API_KEY=", "INNGEST_EVENT_KEY=",
		"INNGEST_SIGNING_KEY=", "INNGEST_SIGNING_KEY_FALLBACK=", "PUBLIC_URL=",
	}
}

// readAll is the configuration as serve reads it, or, where it has faults, what is left without them.
func readAll(environ []string) (cfg config.Config, faults []config.Fault, err error) {
	roles := config.Bridge | config.Functions
	for {
		cfg, err = (&app{environ: environ}).loadConfig(roles)
		var bad *config.Error
		if !errors.As(err, &bad) {
			return cfg, faults, err
		}
		faults = append(faults, bad.Faults...)
		for _, f := range bad.Faults {
			environ = append(slices.Clip(environ), f.Variable+"=")
		}
		roles = config.NoRole // which misses nothing
	}
}

// faulty says whether any of the variables has a fault.
func (d *doctor) faulty(names ...string) bool {
	return slices.ContainsFunc(d.faults, func(f config.Fault) bool { return slices.Contains(names, f.Variable) })
}

const notConfigured = skipped("not configured: see the first line")

// facts are what several checks ask about. Each is asked once, when the first check wants to know.
type facts struct {
	page     func() (metricsPage, error)
	server   func() (serverFound, error)
	probes   func() ([]reply, error)
	serving  func() (inngest.Serving, error)
	app      func() (inngest.App, error)
	database func() (store.Server, error)
	clock    func() (reading, error) // of Clerk or Inngest
}

func (d *doctor) gather(ctx context.Context) facts {
	var f facts
	f.server = sync.OnceValues(func() (serverFound, error) { return d.findServer(ctx) })
	f.page = sync.OnceValues(func() (metricsPage, error) { return d.readMetrics(ctx, f) })
	f.probes = sync.OnceValues(func() ([]reply, error) { return d.probe(ctx, f) })
	f.serving = sync.OnceValues(func() (inngest.Serving, error) { return d.readServing(ctx, f) })
	f.app = sync.OnceValues(func() (inngest.App, error) { return d.readApp(ctx) })
	f.database = sync.OnceValues(func() (store.Server, error) { return d.readDatabase(ctx) })
	f.clock = sync.OnceValues(func() (reading, error) { return d.readClock(ctx) })
	return f
}

func (d *doctor) configuration() check {
	return check{"configuration", func(context.Context) (string, error) {
		switch {
		case d.unread != nil:
			return "", d.unread
		case len(d.faults) > 0:
			var parts []string
			for _, f := range d.faults {
				state := "malformed"
				if f.Missing {
					state = "missing"
				}
				parts = append(parts, fmt.Sprintf("%s is %s: it should be %s", f.Variable, state, f.Want))
			}
			return "", &fault{strings.Join(parts, "; "), "set them in the environment or " + config.DotEnv + ": `clerksync serve --help` explains each"}
		}
		mode := "cloud mode"
		if d.cfg.Inngest.Dev {
			mode = "dev mode, nothing is signed"
		}
		return strings.Join(append([]string{mode}, d.cfg.Warnings...), "; "), nil
	}, "make " + config.DotEnv + " readable, a line NAME=value for each variable"}
}

func newDoctorClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: checkTimeout}).DialContext, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a key goes nowhere else
	}
}

// maxPageBytes is for /metrics, which has some 30 kB.
const maxPageBytes = 1 << 20

// ask sends one request to the server.
func (d *doctor) ask(ctx context.Context, method, to string, body []byte, headers ...header) (reply, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return reply{}, nil, err
	}
	req.Header.Set("User-Agent", "clerksync-doctor")
	for _, h := range headers {
		req.Header.Set(h.name, h.value)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return reply{}, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPageBytes))
	if err != nil {
		return reply{}, nil, fmt.Errorf("read answer: %w", err)
	}
	return reply{status: resp.StatusCode, text: string(text)}, resp.Header, nil
}
