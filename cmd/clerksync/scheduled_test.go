package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/store"
)

// A run that Inngest cuts into pages comes to what the command comes to, and repairs nothing.
func TestScheduledReconcileFindsAndRepairsNothing(t *testing.T) {
	t.Parallel()
	c, environ := clerkAndDatabase(t)
	for n := range 4 {
		put(c, n, "Ann")
	}
	call(t, environ, "", "backfill").want(t, 0)
	put(c, 4, "Bo")
	put(c, 1, "Anna")
	c.Delete("user_3")
	cfg, err := config.Load(environ, "", config.NoRole)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(cfg.DatabaseURI.Reveal(), cfg.DatabaseName, cfg.UsersCollection, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.WithoutCancel(t.Context())) })
	var log bytes.Buffer
	r := newScheduled(cfg, s, slog.New(slog.NewTextHandler(&log, nil)))
	var state string
	var waited time.Duration
	var got any
	for pages := 0; got == nil; pages++ {
		next, err := r.Reconcile(t.Context(), state)
		if err != nil || pages > 10 {
			t.Fatalf("page %d: %v", pages, err)
		}
		if next.Done != (next.Result != nil) {
			t.Errorf("want a result when it is done, got %+v", next)
		}
		state, waited, got = next.State, waited+next.Wait, next.Result
	}
	want := summary{Users: 4, Missing: 1, Stale: 1, Deleted: 1, Drift: 3}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(summary{}, "At", "Seconds")); d != "" {
		t.Errorf("result (-want +got)\n%s", d)
	}
	if want := settle; want != waited {
		t.Errorf("want a wait of %v before the second look, got %v", want, waited)
	}
	if want := "reconcile found drift\" users=4 drift=3 "; !strings.Contains(log.String(), want) {
		t.Errorf("log: want %q, got %s", want, log.String())
	}
	call(t, environ, "", "reconcile", "--settle", "0s").want(t, exitDrift, "missing 1, stale 1, deleted in Clerk 1; repaired 0;")

	if _, err := r.Reconcile(t.Context(), "canary"); err == nil || !strings.HasPrefix(err.Error(), "read state: ") {
		t.Errorf("want an error for a state that is none, got %v", err)
	}
	c.Fault(func(int, *http.Request) clerktest.Fault { return clerktest.Fault{Status: http.StatusForbidden} })
	if _, err := r.Reconcile(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "status 403") {
		t.Errorf("want Clerk's refusal, got %v", err)
	}
}
