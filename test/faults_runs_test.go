//go:build unix

package test

import (
	"sync"
	"syscall"
	"testing"
	"time"
)

// Three faults that make runs fail. The Dev Server then lets a user's next event wait for up to 30 s, so that each of
// these tests waits more than it works; they do it together.
func TestRunsFailInAStream(t *testing.T) {
	t.Parallel()
	var together sync.WaitGroup
	for name, run := range map[string]func(*testing.T){
		"the database is gone": testDatabaseGone, "the disk is full": testDiskFull, "clerksync is killed": testKilled,
	} {
		together.Go(func() { t.Run(name, run) })
	}
	together.Wait()
}

func testDatabaseGone(t *testing.T) {
	const outage = 15 * time.Second
	db := newDatabase(t, unlimited)
	w := newWorldOn(t, db)
	s := newStream(w, scaled(100))
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

func testDiskFull(t *testing.T) {
	db := newDatabase(t, 512<<10) // thirty documents or so
	w := newWorldOn(t, db)
	s := newStream(w, scaled(100))
	s.lasts = 3 * time.Second
	s.start()
	s.awaitErrors(50)
	db.kill()
	db.start(unlimited) // on a larger disk
	s.finish()
}

func testKilled(t *testing.T) {
	w := newWorld(t, ownDatabase(t))
	s := newStream(w, scaled(100))
	s.lasts = time.Duration(scaled(4)) * time.Second
	s.start()
	kills := scaled(20)
	for n := range kills {
		s.awaitAccepted(1+n, kills+2)
		w.app.kill()
		w.startApp()
	}
	s.finish()
}
