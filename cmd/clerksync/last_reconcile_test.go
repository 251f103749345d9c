package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/glowup-app/clerksync/store"
)

func TestLastReconcile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var inDatabase store.Reconciliation
		var fail error
		ok, asked := false, 0
		l := &lastReconcile{log: slog.New(slog.DiscardHandler), load: func(ctx context.Context) (store.Reconciliation, bool, error) {
			asked++
			if errors.Is(fail, context.DeadlineExceeded) { // a database that hangs
				<-ctx.Done()
				return store.Reconciliation{}, false, ctx.Err()
			}
			return inDatabase, ok, fail
		}}
		check := func(when string, want string, wantAsked int) {
			t.Helper()
			if err := testutil.CollectAndCompare(l, strings.NewReader(want), "clerksync_reconcile_drift_users"); err != nil {
				t.Errorf("%s: %v", when, err)
			}
			if wantAsked != asked {
				t.Errorf("%s: want the database asked %d times by now, got %d", when, wantAsked, asked)
			}
		}
		drift := func(n string) string {
			return "# HELP clerksync_reconcile_drift_users Users that were not as Clerk says when the last reconcile ended, by what it found and less what it repaired.\n" +
				"# TYPE clerksync_reconcile_drift_users gauge\nclerksync_reconcile_drift_users " + n + "\n"
		}
		check("before the first reconcile", "", 1)
		inDatabase, ok = store.Reconciliation{At: time.Now(), Missing: 3, Stale: 2, Deleted: 1, Repaired: 2}, true
		check("at once after it", "", 1)
		<-time.After(lastReconcileAge + time.Second)
		check("later", drift("4"), 2)
		fail = context.DeadlineExceeded
		<-time.After(lastReconcileAge + time.Second)
		begin := time.Now()
		check("while the database hangs", drift("4"), 3)
		if took := time.Since(begin); took != lastReconcileTimeout {
			t.Errorf("want the scrape held up for %v, got %v", lastReconcileTimeout, took)
		}
		check("the next one does not wait for it", drift("4"), 3)

		problems, err := testutil.CollectAndLint(l)
		if err != nil || len(problems) > 0 {
			t.Errorf("want metrics as Prometheus likes them, got %v, error %v", problems, err)
		}
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(l)
		families, err := reg.Gather()
		if want, got := 4, len(families); want != got || err != nil {
			t.Errorf("want %d metrics, got %d, error %v", want, got, err)
		}
	})
}
