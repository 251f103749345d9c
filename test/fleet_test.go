//go:build fleet && unix

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// Three replicas behind the proxy, under load: each is replaced, one after the other, as in an upgrade; then each is killed, and
// is away for a while. The client plays Svix.
func TestFleetLosesNothing(t *testing.T) {
	deadline = 5 * time.Minute // Inngest takes up to a minute until it tries again what was cut off
	f := newFleet(t, 3, binary, "LOG_LEVEL=debug")
	s := newStream(f.world, scaled(250))
	s.lasts = time.Duration(scaled(20)) * time.Second
	s.start()
	for i, r := range f.replicas {
		s.awaitAccepted(2+i, 20)
		r.signal(syscall.SIGTERM)
		if want, got := 0, r.wait(); want != got {
			t.Errorf("exit code of a replica that is replaced: want %d, got %d", want, got)
		}
		f.startReplica(r)
	}
	rolling := s.refused.Load()
	for i, r := range f.replicas {
		s.awaitAccepted(7+3*i, 20)
		r.kill()
		s.awaitAccepted(8+3*i, 20) // without it
		f.startReplica(r)
	}
	s.finish()

	lost := len(s.events) - int(s.applied()) - len(f.all("users_dead_letters"))
	if lost != 0 {
		t.Errorf("want nothing lost, %d events are", lost)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "webhooks\t2xx\tredelivered\tin the rolling restart\truns\tfailed runs\tdocuments\tdead letters\tlost\n")
	runs := 0
	for _, n := range s.runs {
		runs += n
	}
	fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", len(s.events), s.accepted.Load(), s.refused.Load(), rolling, runs, s.errors,
		len(f.all("users")), len(f.all("users_dead_letters")), lost)
	fmt.Fprintf(w, "\nprocess\twebhooks\truns\n")
	for i, app := range f.apps {
		var webhooks, runs int
		app.since(0, func(l line) {
			switch {
			case l.str("function") != "":
				runs++
			case l.str("outcome") == "accepted":
				webhooks++
			}
		})
		if webhooks == 0 || runs == 0 {
			t.Errorf("want each process to have its part, number %d had %d webhooks and %d runs", i+1, webhooks, runs)
		}
		fmt.Fprintf(w, "%d\t%d\t%d\n", i+1, webhooks, runs)
	}
	w.Flush()
	t.Logf("three replicas: processes 1 to 3 were replaced by 4 to 6, which were killed, each when its predecessor was back as 7 to 9\n%s", &table)
}
