//go:build unix

package test

import (
	"testing"
	"time"
)

// What counts is how far Svix's clock and ours are apart, so the webhooks are signed with clocks that are wrong, and
// ours is left alone. Outside the 5 minutes nothing is accepted before the clocks agree again.
func TestClockSetOffInAStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownDatabase(t))
	s := newStream(w, scaled(60))
	outside := int64(0)
	for i := range s.events {
		skew := []time.Duration{-6 * time.Minute, -4 * time.Minute, 0, 4 * time.Minute, 6 * time.Minute}[i%5]
		s.events[i].skew = skew
		if skew.Abs() > 5*time.Minute {
			outside++
		}
	}
	s.start()
	s.finish()
	if got := s.refused.Load(); outside != got {
		t.Errorf("refused webhooks: want %d, got %d", outside, got)
	}
}

func TestRedeliveryStormInAStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownDatabase(t))
	s := newStream(w, scaled(60))
	s.copies = 5
	s.start()
	s.finish()
	for _, e := range s.events {
		if runs := s.runs[e.id]; runs > 1 {
			t.Errorf("runs of %s: want 1, since Inngest drops a repeated id, got %d", e.id, runs)
		}
	}
}
