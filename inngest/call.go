package inngest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/inngest/inngestgo"
)

// errRefusedContent is an ErrRefused that may be due to one of the events.
var errRefusedContent = fmt.Errorf("%w", ErrRefused)

// call is the transport of one request at a time. It carries the context that inngestgo drops, retries in its place
// (inngestgo's own retries sleep for over 3 s, whoever waits), and sends the events as they came: inngestgo would scan and
// copy every payload once more.
type call struct {
	client inngestgo.Client
	next   http.RoundTripper

	ctx    context.Context //nolint:containedctx // the request that needs it is made by inngestgo, without one
	events [][]byte
	status int   // of the answer
	err    error // why there was no answer to judge
}

const (
	sendTries = 3
	// firstDelay bridges a connection that was closed while idle and an instance that is being replaced. A
	// longer outage is Svix's to bridge: it sends the webhook again after 5 s.
	firstDelay = 50 * time.Millisecond
	// maxAnswerBytes bounds what is read of an answer: {"ids":["…"],"status":200}, 29 bytes an id.
	maxAnswerBytes = 64 << 10
)

// newCall is a call with a client of its own. It connects nothing: the connections belong to the shared transport.
func (s *Sender) newCall() (*call, error) {
	c := &call{next: s.transport}
	o := s.options
	o.HTTPClient = &http.Client{
		Transport: c,
		// A redirect is no acceptance, and following one would carry the event key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client, err := inngestgo.NewClient(o)
	if err != nil {
		return nil, fmt.Errorf("make inngest client: %w", err)
	}
	c.client = client
	return c, nil
}

// post sends events in one request.
func (s *Sender) post(ctx context.Context, events [][]byte) error {
	c, ok := s.calls.Get().(*call)
	if !ok {
		var err error
		if c, err = s.newCall(); err != nil {
			return err
		}
	}
	defer s.calls.Put(c)
	c.ctx, c.events, c.status, c.err = ctx, events, 0, nil
	defer func() { c.ctx, c.events = nil, nil }()
	ids, err := c.client.SendMany(ctx, []any{nil}) // in whose place RoundTrip puts the events
	switch {
	case c.err != nil:
		return c.err
	case err != nil && c.status == http.StatusUnauthorized: // it is the key that is wrong
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case err != nil:
		return fmt.Errorf("%w: %w", errRefusedContent, err)
	case len(ids) != len(events) || slices.Contains(ids, ""):
		return fmt.Errorf("%w: its answer does not name the id of each event", errRefusedContent)
	}
	return nil
}

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
	c.status = resp.StatusCode
	return resp, nil
}

// try returns an error for what another try may help: no answer, a 5xx, a 429.
func (c *call) try(req *http.Request) (*http.Response, error) {
	events := c.events // which net/http may read for longer than we are here
	req = req.WithContext(c.ctx)
	req.ContentLength = listLength(events)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(list(events)), nil }
	req.Body, _ = req.GetBody()
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

// list reads events as a JSON list, without another copy of them.
func list(events [][]byte) io.Reader {
	parts := make(net.Buffers, 0, 2*len(events)+1)
	separator := []byte("[")
	for _, e := range events {
		parts = append(parts, separator, e)
		separator = []byte(",")
	}
	parts = append(parts, []byte("]"))
	return &parts
}

func listLength(events [][]byte) int64 {
	n := 1 // a bracket; the other one or a comma is in front of each event
	for _, e := range events {
		n += 1 + len(e)
	}
	return int64(n)
}

func answer(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}
