//go:build unix

package test

import (
	"syscall"
	"testing"
	"time"
)

// Each of these three faults makes runs fail. After that the Dev Server lets a user's next event wait for 30 to 60 s, so that
// these tests wait more than they work.

func TestDatabaseGoneInAStream(t *testing.T) {
	t.Parallel()
	const outage = 15 * time.Second
	db := newDatabase(t, unlimited)
	w := newWorldOn(t, db)
	s := newStream(w, scaled(60))
	s.lasts = outage + 5*time.Second
	s.start()
	s.awaitAccepted(1, 10)
	gone := time.Now()
	db.signal(syscall.SIGSTOP) // at first it hangs: connections stay open, and nobody answers
	s.awaitErrors(1)
	db.kill()
	waitFor(t, "the end of the outage", func() bool { return time.Since(gone) > outage })
	if refused := s.refused.Load(); refused > 0 {
		t.Errorf("want webhooks taken without a database, %d were refused", refused)
	}
	db.start(unlimited)
	s.finish()
}

func TestDiskFullInAStream(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, 512<<10) // thirty documents or so
	w := newWorldOn(t, db)
	s := newStream(w, scaled(60))
	s.lasts = 3 * time.Second
	s.start()
	s.awaitErrors(20)
	db.kill()
	db.start(unlimited) // on a larger disk
	s.finish()
}

func TestKilledInAStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownDatabase(t))
	s := newStream(w, scaled(60))
	s.lasts = time.Duration(scaled(4)) * time.Second
	s.start()
	kills := scaled(20)
	for n := range kills {
		s.awaitAccepted(1+n, kills+2)
		w.app.kill()
		w.startApp()
	}
	s.finish()
	if s.refused.Load() == 0 {
		t.Error("want webhooks that a kill has cut off, none was")
	}
}
