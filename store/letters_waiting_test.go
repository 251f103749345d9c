package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestLettersWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer, asked := int64(3), 0
		var fail error
		l := &lettersWaiting{count: func(ctx context.Context) (int64, error) {
			asked++
			if errors.Is(fail, context.DeadlineExceeded) { // a database that hangs
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return answer, fail
		}}
		check := func(when string, want string, wantAsked int) {
			t.Helper()
			if want != "" {
				want = "# HELP clerksync_dead_letters_waiting Dead letters in the database that wait to be replayed or purged, but those of deleted users, whose event is gone; absent while the database does not say.\n" +
					"# TYPE clerksync_dead_letters_waiting gauge\nclerksync_dead_letters_waiting " + want + "\n"
			}
			if err := testutil.CollectAndCompare(l, strings.NewReader(want)); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			if wantAsked != asked {
				t.Errorf("%s: want the database asked %d times by now, got %d", when, wantAsked, asked)
			}
		}
		check("the first scrape", "3", 1)
		answer = 4
		check("the next one, at once", "3", 1)
		<-time.After(waitingAge + time.Second)
		check("a later one", "4", 2)
		fail = context.DeadlineExceeded
		<-time.After(waitingAge + time.Second)
		begin := time.Now()
		check("one while the database hangs", "", 3)
		if took := time.Since(begin); took != waitingTimeout {
			t.Errorf("want the scrape held up for %v, got %v", waitingTimeout, took)
		}
		check("the next one does not wait for it", "", 3)
		fail = nil
		<-time.After(waitingAge + time.Second)
		check("one when it is back", "4", 4)
	})
}

func TestLettersAreCounted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	count := func(when string, want int64) {
		t.Helper()
		got, err := s.WaitingLetters(t.Context())
		if err != nil || want != got {
			t.Errorf("%s: want %d, got %d, error %v", when, want, got, err)
		}
	}
	count("before the first", 0)
	keep(t, s, dead("run_1", 0))
	other := dead("run_2", 0)
	other.Event.ID = "msg_2"
	keep(t, s, other)
	count("two", 2)
	if err := s.MarkReplayed(t.Context(), "msg_1", 1); err != nil {
		t.Fatal(err)
	}
	count("one of them replayed", 1)
}

func TestMetricsAreRegistered(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	s, err := New("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=1", "glowup", "users", Options{Registerer: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.WithoutCancel(t.Context())) })
	_ = s.Ping(t.Context()) // nobody listens there, which is counted
	families, err := metrics.Gather()
	if err != nil {
		t.Errorf("want the other metrics while the database is away, got %v", err)
	}
	if len(families) == 0 {
		t.Error("want metrics, got none")
	}
	problems, err := testutil.GatherAndLint(metrics)
	if err != nil || len(problems) > 0 {
		t.Errorf("want metrics as Prometheus likes them, got %v, error %v", problems, err)
	}
}
