package inngest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/inngest/inngestgo"

	"github.com/glowup-app/clerksync/clerk"
)

// ErrRefused says that Inngest answered and did not take the event.
var ErrRefused = errors.New("inngest did not accept the event")

// Sender hands events to Inngest's event API. Its methods may be called concurrently.
type Sender struct {
	client    inngestgo.ClientOpts
	transport http.RoundTripper
}

// NewSender makes a Sender; it does not connect.
func NewSender(o Options) *Sender {
	return &Sender{
		client: o.withDefaults().client(),
		transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 5 * time.Second,
			// net/http keeps two idle connections a host by default, and every other hand-over would dial.
			MaxIdleConns:        idleConns,
			MaxIdleConnsPerHost: idleConns,
			IdleConnTimeout:     30 * time.Second,
		},
	}
}

const idleConns = 256

// Close closes the idle connections.
func (s *Sender) Close() {
	if t, ok := s.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// Send hands one event over. A nil error means that Inngest has stored it: it answered 200 or 201 and named
// the event's id. Any other answer is an [ErrRefused]; when ctx ends first, Send returns its cause at once.
func (s *Sender) Send(ctx context.Context, e clerk.Event) error {
	call := &call{ctx: ctx, next: s.transport}
	o := s.client
	o.HTTPClient = &http.Client{
		Transport: call,
		// A redirect is no acceptance, and following one would carry the event key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// inngestgo's Send takes no context to the wire; its HTTP client does, so each hand-over has its own.
	// Making one is cheap and connects nothing: the connections belong to the shared transport.
	client, err := inngestgo.NewClient(o)
	if err != nil {
		return fmt.Errorf("make inngest client: %w", err)
	}
	id, err := client.Send(ctx, e)
	switch {
	case call.err != nil:
		return call.err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case id == "":
		return fmt.Errorf("%w: its answer names no event id", ErrRefused)
	}
	return nil
}

// call is the transport of one hand-over. It carries the context that inngestgo drops, and retries in its
// place: inngestgo's own retries sleep for over 3 s, whoever waits.
type call struct {
	ctx  context.Context //nolint:containedctx // the request that needs it is made by inngestgo, without one
	next http.RoundTripper
	err  error // why there was no answer to judge
}

const (
	sendTries = 3
	// firstDelay bridges a connection that was closed while idle and an instance that is being replaced. A
	// longer outage is Svix's to bridge: it sends the webhook again after 5 s.
	firstDelay = 50 * time.Millisecond
	// maxAnswerBytes bounds what is read of an answer: {"ids":["…"],"status":200}.
	maxAnswerBytes = 64 << 10
)

// RoundTrip answers with Inngest's response. Where there is none, it keeps the cause and answers with a status
// that inngestgo does not retry.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval = firstDelay
	resp, err := backoff.Retry(c.ctx, func() (*http.Response, error) { return c.try(req) },
		backoff.WithBackOff(delays), backoff.WithMaxTries(sendTries))
	if err != nil {
		c.err = err
		if cause := context.Cause(c.ctx); cause != nil {
			c.err = cause
		}
		return answer(http.StatusTeapot, nil), nil
	}
	return resp, nil
}

// try returns an error for what another try may help: no answer, a 5xx, a 429.
func (c *call) try(req *http.Request) (*http.Response, error) {
	body, err := req.GetBody()
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	req = req.Clone(c.ctx)
	req.Body = body
	// Sending an event twice does no harm, it has an id. This empty header is not sent; it tells net/http to
	// repeat the request when a kept-alive connection turns out to be closed.
	req.Header["Idempotency-Key"] = nil
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests {
		return nil, fmt.Errorf("%w: status %d", ErrRefused, resp.StatusCode)
	}
	return answer(resp.StatusCode, text), nil
}

func answer(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}
