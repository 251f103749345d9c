package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

// Sender hands an event to the queue.
type Sender interface {
	// Send is done with the event's data when it returns. wait returns nil when the queue has the event for good, and an
	// error when it has not; soon after ctx is done it returns in any case. It is to be called once.
	Send(ctx context.Context, e clerk.Event) (wait func() error)
}

// Options of a Handler; a zero field means its default.
type Options struct {
	// SendTimeout bounds one hand-over, its retries included. Default 8 s: we answer within 10 s, and Svix
	// gives up after 15 s.
	SendTimeout time.Duration
	// ReadTimeout bounds the reading of one body, against clients that send a byte at a time. Default 10 s.
	ReadTimeout time.Duration
	// MaxBody is the largest body accepted, in bytes. Default 1 MiB.
	MaxBody int64
	// MaxBuffered bounds the bodies in memory over all requests, in bytes, one half for those up to 64 KiB, one
	// for the others; a request that finds no room within a second is answered 503. Default 32 MiB.
	MaxBuffered int64
	// MaxHandovers bounds the hand-overs under way; a webhook beyond them is answered 503 at once, so that a slow
	// queue does not pile up requests that time out together. Default 2048.
	MaxHandovers int
	// Logger gets one line per delivery: at debug level for one that was handed over, else a warning. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
	// Tracer gets a span for each verified webhook. Default: none.
	Tracer trace.Tracer
}

func (o Options) withDefaults() Options {
	o.SendTimeout = cmp.Or(o.SendTimeout, 8*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 10*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxBuffered = max(cmp.Or(o.MaxBuffered, 32<<20), 2*o.MaxBody) // or the largest would never find room
	o.MaxHandovers = cmp.Or(o.MaxHandovers, 2048)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// ErrSendTimeout says that the queue did not take an event within Options.SendTimeout.
var ErrSendTimeout = errors.New("the queue did not answer in time")

// Handler is the bridge.
type Handler struct {
	verifier verifier
	sender   Sender
	small    *lane
	large    *lane
	handing  chan struct{} // a place for each hand-over under way
	metrics  metrics
	o        Options
}

// New is a bridge that accepts webhooks signed with any of the secrets ("whsec_…") and hands them to sender.
func New(secrets []string, sender Sender, o Options) (*Handler, error) {
	v, err := newVerifier(secrets)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &Handler{
		verifier: v,
		sender:   sender,
		small:    newLane(o.MaxBuffered / 2),
		large:    newLane(o.MaxBuffered / 2),
		handing:  make(chan struct{}, o.MaxHandovers),
		metrics:  newMetrics(o.Registerer),
		o:        o,
	}, nil
}

// retryAfter is what a 503 asks of the sender. Svix's first redelivery comes after 5 s anyway.
const retryAfter = 5 * time.Second

// refusal is an answer other than 200. Its text is fixed per kind: the caller learns what to do, the log gets
// the cause.
type refusal struct {
	status  int
	outcome string
	text    string
}

var (
	tooLarge = &refusal{
		http.StatusRequestEntityTooLarge, "too_large",
		"the body is over the limit: Clerk's webhooks are smaller, check what is posted here",
	}
	tooSlow = &refusal{
		http.StatusRequestTimeout, "too_slow",
		"the body came too slowly: send it again",
	}
	unreadable = &refusal{
		http.StatusBadRequest, "unreadable",
		"the body could not be read: send it again",
	}
	unverified = &refusal{
		http.StatusUnauthorized, "unverified",
		"the signature is missing, wrong or older than 5 minutes: check the endpoint's signing secret and both clocks",
	}
	malformed = &refusal{
		http.StatusBadRequest, "malformed",
		`the body is no Clerk envelope: it needs a non-empty string "type" and an object "data"`,
	}
	overloaded = &refusal{
		http.StatusServiceUnavailable, "overloaded",
		"too many requests at once: send it again later",
	}
	notHandedOver = &refusal{
		http.StatusServiceUnavailable, "not_handed_over",
		"the event queue did not accept the event: send it again later",
	}
	clientGone = &refusal{
		http.StatusServiceUnavailable, "client_gone",
		"the client left before the event was handed over: send it again",
	}
)

const accepted = "accepted"

type acceptance struct {
	ID string `json:"id"`
}

// delivery is one attempt of the sender, as it is logged and counted.
type delivery struct {
	id      string      // the message id that the signature covers
	event   clerk.Event // without its data, once it is handed over
	userID  string      // where lines of debug level are logged: it is looked for in the data
	refused *refusal
	cause   error
}

func (d delivery) level() slog.Level {
	if d.refused != nil {
		return slog.LevelWarn
	}
	return slog.LevelDebug // the run's line says what came of it
}

// Handle answers POST /api/webhooks/clerk.
func (h *Handler) Handle(c echo.Context) error {
	start := time.Now()
	d := h.deliver(c, start)
	h.endSpan(c, d)
	h.metrics.delivered(d, time.Since(start))
	h.log(c, d, time.Since(start))
	if d.refused == nil {
		return c.JSON(http.StatusOK, acceptance{d.id})
	}
	if d.refused.status == http.StatusServiceUnavailable {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(retryAfter.Seconds())))
	}
	return c.JSON(d.refused.status, map[string]string{"error": d.refused.text})
}

// deliver takes the steps of the contract, in its order: limit, verify, parse, hand over.
func (h *Handler) deliver(c echo.Context, start time.Time) delivery {
	r := c.Request()
	// Before any refusal: net/http reads past up to 256 KiB of what we left unread before it answers.
	if err := setReadDeadline(c, time.Now().Add(h.o.ReadTimeout)); err != nil {
		return delivery{refused: unreadable, cause: fmt.Errorf("set read deadline: %w", err)}
	}
	signed, ok := signedHeaders(r.Header)
	if !ok {
		// Without a signature nothing of the body is needed: it is read past, so that the client sees the
		// answer, and takes no memory.
		if refused, cause := h.discardBody(c); refused != nil {
			leaveUnread(c)
			return delivery{refused: refused, cause: cause}
		}
		return delivery{refused: unverified, cause: errNotSigned}
	}
	b, refused, cause := h.readBody(c)
	defer b.release()
	if refused != nil {
		leaveUnread(c)
		return delivery{id: signed.id(), refused: refused, cause: cause}
	}
	body := b.buf.Bytes()
	if err := h.verifier.verify(body, signed); err != nil {
		return delivery{id: signed.id(), refused: unverified, cause: err}
	}
	h.startSpan(c, signed.id(), start)
	ctx := c.Request().Context()
	envelope, err := clerk.ParseEnvelope(body)
	if err != nil {
		h.metrics.verified.SetToCurrentTime()
		return delivery{id: signed.id(), refused: malformed, cause: err}
	}
	d := delivery{id: signed.id(), event: envelope.Event(signed.id(), time.Now())}
	if d.event.Name != clerk.Probe { // which is no sign of Clerk
		h.metrics.verified.SetToCurrentTime()
	}
	if h.o.Logger.Enabled(ctx, slog.LevelDebug) {
		d.userID = d.event.UserID()
	}
	d.refused, d.cause = h.handOver(ctx, d.event, b)
	return d
}

// handOver ends at the deadline also when the client is still there, and before it when the client has left: then
// nobody reads the answer, and Svix sends the webhook again. The sender has the event in the body's place by then.
func (h *Handler) handOver(ctx context.Context, e clerk.Event, b *body) (refused *refusal, cause error) {
	select {
	case h.handing <- struct{}{}:
		defer func() { <-h.handing }()
	default:
		return overloaded, errBusy
	}
	timed, cancel := context.WithTimeoutCause(ctx, h.o.SendTimeout, ErrSendTimeout)
	defer cancel()
	start := time.Now()
	wait := h.sender.Send(timed, e)
	b.drop()
	err := wait()
	h.metrics.handedOver(err, time.Since(start))
	switch {
	case err == nil:
		return nil, nil
	case ctx.Err() != nil:
		return clientGone, err
	case errors.Is(context.Cause(timed), ErrSendTimeout) && !errors.Is(err, ErrSendTimeout):
		return notHandedOver, fmt.Errorf("%w: %w", ErrSendTimeout, err)
	default:
		return notHandedOver, err
	}
}

func (h *Handler) log(c echo.Context, d delivery, took time.Duration) {
	ctx := c.Request().Context()
	if !h.o.Logger.Enabled(ctx, d.level()) {
		return
	}
	msg := "webhook handed over"
	if d.refused != nil {
		msg = "webhook refused"
	}
	attrs := []slog.Attr{
		slog.String(clerk.KeyRequest, c.Response().Header().Get(echo.HeaderXRequestID)),
		slog.Duration(clerk.KeyDuration, took),
	}
	if d.event.Name != "" { // verified: before that, not even the id is worth a log line
		attrs = append(attrs, slog.String(clerk.KeyEventID, d.id), slog.String(clerk.KeyEvent, d.event.Name))
		if d.userID != "" {
			attrs = append(attrs, slog.String(clerk.KeyUserID, d.userID))
		}
	}
	if d.refused == nil {
		attrs = append(attrs, slog.String(clerk.KeyOutcome, accepted))
	} else {
		attrs = append(attrs, slog.String(clerk.KeyOutcome, d.refused.outcome), slog.Int(clerk.KeyStatus, d.refused.status),
			slog.String(clerk.KeyReason, reason(d.cause)))
	}
	h.o.Logger.LogAttrs(ctx, d.level(), msg, attrs...) //nolint:sloglint // one of the two above
}

func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "deadline exceeded" // net's own text names both addresses
	default:
		return err.Error()
	}
}
