package inngest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/glowup-app/clerksync/clerk"
)

// ErrRefused says that Inngest answered and did not take the event.
var ErrRefused = errors.New("inngest did not accept the event")

// Sender hands events to Inngest's event API. Its methods may be called concurrently: events that come while others
// are on their way go together in one request (see batch).
type Sender struct {
	options   inngestgo.ClientOpts
	transport http.RoundTripper
	calls     sync.Pool // of *call

	mu       sync.Mutex
	waiting  []*batch // in the order of their events; the last one may still grow
	underWay int
	started  time.Time // when the last send was started
}

// Bounds of the hand-over.
const (
	// maxSends is how many requests are under way at once; what comes beyond them gathers.
	maxSends = 64
	// sendGap is for how long a send holds up the next one. A near Inngest has answered by then, and whoever came meanwhile
	// goes together; a far one is not waited for.
	sendGap = 2 * time.Millisecond
	// maxBatchEvents is far under the 5,000 events that Inngest takes in one request, and maxBatchBytes is what a single
	// event may have on its smallest plan: https://www.inngest.com/docs/usage-limits/inngest. What is larger goes alone.
	maxBatchEvents = 256
	maxBatchBytes  = 256 << 10
	// maxSendTime is for callers that set no deadline of their own.
	maxSendTime = 30 * time.Second
)

// NewSender makes a Sender; it does not connect.
func NewSender(o Options) *Sender {
	return &Sender{
		options: o.withDefaults().client(),
		transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 5 * time.Second,
			// net/http keeps two idle connections a host by default, and every other hand-over would dial.
			MaxIdleConns:        maxSends,
			MaxIdleConnsPerHost: maxSends,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true, // an answer is a few ids
			// A lone event goes out with its headers in one write; by default what is over 4 KiB takes another, and 32 KiB of garbage.
			WriteBufferSize: 32 << 10,
		},
	}
}

// Close closes the idle connections.
func (s *Sender) Close() {
	if t, ok := s.transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// Send hands one event over, and is done with its data when it returns. wait returns nil when Inngest has stored the event: it
// answered 200 or 201 and named the event's id. Any other answer is an [ErrRefused]; when ctx ends first, wait returns its cause
// at once, and the event may still be handed over. It is to be called once: the send ends when nobody waits for it.
func (s *Sender) Send(ctx context.Context, e clerk.Event) (wait func() error) {
	b, i := s.add(ctx, e)
	return func() error {
		select {
		case <-b.done:
			return b.errs[i]
		case <-ctx.Done():
			s.leave(b)
			return context.Cause(ctx)
		}
	}
}

// add puts an event into the last batch, or a new one where that is full, and starts what may start.
func (s *Sender) add(ctx context.Context, e clerk.Event) (b *batch, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting); n > 0 && s.waiting[n-1].takes(e) {
		b = s.waiting[n-1]
	} else {
		b = newBatch(ctx)
		s.waiting = append(s.waiting, b)
	}
	i = b.add(e)
	s.start() //nolint:contextcheck // a batch has a context of its own
	return b, i
}

// leave drops a batch that nobody waits for any more: its send ends, or is not begun. Those who stay have their
// answer.
func (s *Sender) leave(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.callers--; b.callers > 0 {
		return
	}
	b.cancel()
	s.waiting = slices.DeleteFunc(s.waiting, func(other *batch) bool { return other == b })
}
