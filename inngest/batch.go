package inngest

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
)

// batch is the events of one request: a group commit. A lone event is sent at once. Those that come while a send is under
// way gather, and go together when it has ended, when sendGap has passed, or when they are a full batch.
type batch struct {
	events  [][]byte // each as JSON
	bytes   int      // of all events
	callers int      // who wait for it
	gap     *time.Timer

	ctx    context.Context //nolint:containedctx // its callers' common one: it ends when the last of them has left
	cancel context.CancelFunc

	done chan struct{} // closed when errs is there
	errs []error       // of each event
}

func newBatch(ctx context.Context) *batch {
	b := &batch{done: make(chan struct{})}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx)) // the first caller may leave before the others
	return b
}

// takes says whether an event may join.
func (b *batch) takes(e clerk.Event) bool {
	return len(b.events) < maxBatchEvents && b.bytes+len(e.Data) < maxBatchBytes
}

func (b *batch) full() bool { return len(b.events) == maxBatchEvents || b.bytes >= maxBatchBytes }

// add returns the event's place.
func (b *batch) add(e clerk.Event) int {
	const rest = 64 // what is in an event besides: `{"id":"","name":"","data":,"ts":1700000000000}`
	text := e.AppendJSON(make([]byte, 0, len(e.ID)+len(e.Name)+len(e.Data)+rest))
	b.events = append(b.events, text)
	b.bytes += len(text)
	b.callers++
	return len(b.events) - 1
}

// start sends what may be sent now. It is called when something was added, when a send has ended, and when a gap has.
func (s *Sender) start() {
	for len(s.waiting) > 0 && s.underWay < maxSends {
		b := s.waiting[0]
		gap := sendGap - time.Since(s.started)
		if s.underWay > 0 && gap > 0 && !b.full() && len(s.waiting) == 1 {
			if b.gap == nil {
				b.gap = time.AfterFunc(gap, s.startLater)
			}
			return
		}
		if b.gap != nil {
			b.gap.Stop()
		}
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.underWay++
		s.started = time.Now()
		go s.send(b)
	}
}

func (s *Sender) startLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
}

func (s *Sender) send(b *batch) {
	defer b.cancel()
	ctx, cancel := context.WithTimeout(b.ctx, maxSendTime)
	defer cancel()
	b.errs = s.deliver(ctx, b)
	close(b.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underWay--
	s.start()
}

// maxSingles is how many events of a batch that was refused are under way at once.
const maxSingles = 8

// deliver returns the error of each event. Where Inngest refuses the batch, each event is sent alone, so that a bad one
// does not fail its neighbours. Those that Inngest took all the same have an id, and are not taken twice.
func (s *Sender) deliver(ctx context.Context, b *batch) []error {
	errs := make([]error, len(b.events))
	err := s.post(ctx, b.events)
	if len(b.events) == 1 || !errors.Is(err, errRefusedContent) {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	var g errgroup.Group
	g.SetLimit(maxSingles)
	for i := range errs {
		g.Go(func() error {
			errs[i] = s.post(ctx, b.events[i:i+1])
			return nil
		})
	}
	_ = g.Wait()
	return errs
}
