package test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk/clerktest"
)

// clerkUser is the nth user as Clerk has them, who last changed long ago.
func clerkUser(n int) clerktest.User {
	id := fmt.Sprintf("user_%04d", n)
	at := 1_700_000_000_000 + int64(n)
	return clerktest.User{ID: id, CreatedAt: at, UpdatedAt: at, FirstName: "Ann", Email: id + "@example.com"}
}

// newClerk is a Clerk with n users.
func newClerk(t *testing.T, n int) *clerktest.Clerk {
	t.Helper()
	c := clerktest.New()
	t.Cleanup(c.Close)
	for i := range n {
		c.Put(clerkUser(i))
	}
	return c
}

func withClerk(c *clerktest.Clerk) func(*world) {
	return with("CLERK_SECRET_KEY="+clerktest.Key, "CLERK_API_URL="+c.URL)
}

// requestReconcile sends the event that asks for one.
func (w *world) requestReconcile() {
	w.t.Helper()
	body := strings.NewReader(`{"name":"clerksync/reconcile.requested","data":{}}`)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.devURL+"/e/key", body)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("want the event taken, got %d", resp.StatusCode)
	}
}

// drift is what readyz and /metrics say of the last reconcile.
type drift struct {
	Users, Missing, Stale, Deleted, Unknown, Repaired, Drift float64
}

// lastReconcile is the zero drift where there was none.
func (w *world) lastReconcile() (d drift, at time.Time) {
	w.t.Helper()
	status, body := get(w.t, w.appURL+"/readyz")
	var answer struct {
		Last *struct {
			drift
			At time.Time
		} `json:"last_reconcile"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil && status == http.StatusOK {
		w.t.Fatalf("readyz: %v in %s", err, body)
	}
	if answer.Last == nil {
		return drift{}, time.Time{}
	}
	if status != http.StatusOK {
		w.t.Errorf("readyz: want 200 whatever the drift, got %d", status)
	}
	return answer.Last.drift, answer.Last.At
}

// wantReconciled waits for a reconcile that ended after the time given and came to that, and wants /metrics to say the same.
func (w *world) wantReconciled(after time.Time, want drift) time.Time {
	w.t.Helper()
	var got drift
	var at time.Time
	waitFor(w.t, "the end of the reconcile in readyz", func() bool {
		got, at = w.lastReconcile()
		return at.After(after)
	})
	if d := cmp.Diff(want, got); d != "" {
		w.t.Errorf("readyz (-want +got)\n%s", d)
	}
	waitFor(w.t, "the same in /metrics", func() bool {
		_, text := get(w.t, w.appURL+"/metrics")
		for series, want := range map[string]float64{
			"drift_users": want.Drift, `findings{kind="missing"}`: want.Missing, `findings{kind="stale"}`: want.Stale,
			`findings{kind="deleted"}`: want.Deleted, `findings{kind="unknown"}`: want.Unknown,
		} {
			if sample(text, "clerksync_reconcile_"+series) != fmt.Sprint(want) {
				return false
			}
		}
		seconds, err := strconv.ParseFloat(sample(text, "clerksync_reconcile_last_run_timestamp_seconds"), 64)
		return err == nil && time.UnixMilli(int64(math.Round(1000*seconds))).Equal(at.Truncate(time.Millisecond))
	})
	return at
}

// A reconcile on request finds the drift that the test made, in one run at a time, and goes on where it was after a kill.
func TestScheduledReconcile(t *testing.T) {
	t.Parallel()
	const users = 1200 // three pages
	c := newClerk(t, users)
	w := newWorld(t, withClerk(c), ownDatabase(t))
	w.command("backfill")
	changed := clerkUser(3)
	changed.FirstName, changed.UpdatedAt = "Bo", changed.UpdatedAt+1
	c.Put(changed)
	c.Put(clerkUser(users)) // whose webhook was lost
	c.Delete("user_0700")
	if _, err := w.users.InsertOne(t.Context(), bson.M{"_id": "the application's"}); err != nil {
		t.Fatal(err)
	}

	// Clerk holds the second page up until the program has been killed.
	var pages, firsts atomic.Int64
	asked, killed := make(chan struct{}), make(chan struct{})
	c.Fault(func(_ int, r *http.Request) clerktest.Fault {
		q := r.URL.Query()
		if r.URL.Path != "/v1/users" || q.Has("user_id") {
			return clerktest.Fault{}
		}
		if !q.Has("created_at_after") {
			firsts.Add(1)
		}
		if pages.Add(1) == 2 {
			close(asked)
			<-killed
		}
		return clerktest.Fault{}
	})
	w.requestReconcile()
	select {
	case <-asked:
	case <-time.After(deadline):
		t.Fatal("the second page was not asked for")
	}
	w.requestReconcile() // while one runs
	w.app.kill()
	close(killed)
	w.startApp()

	waitFor(t, "the last page", func() bool { return pages.Load() >= 5 })
	want := drift{Users: users, Missing: 1, Stale: 1, Deleted: 1, Unknown: 1, Drift: 3}
	at := w.wantReconciled(time.Time{}, want)
	// The first page once, the second one twice, the third, and the empty one that ends the walk.
	if pages.Load() != 5 || firsts.Load() != 1 {
		t.Errorf("want 5 pages read and the first one once, got %d and %d times", pages.Load(), firsts.Load())
	}
	for _, app := range w.apps {
		if strings.Contains(app.output(), clerktest.Key) || strings.Contains(app.output(), "@example.com") {
			t.Error("want neither key nor personal data in the log")
		}
	}

	// The command's result is reported, too; and it is all that a run finds, that is to be repaired.
	if _, err := w.tryCommand("reconcile", "--repair", "--settle", "0s"); err == nil {
		t.Error("want exit code 2 where there was drift")
	}
	want.Repaired, want.Drift = 2, 1
	at = w.wantReconciled(at, want)

	// Another start says the same, at once.
	w.app.kill()
	w.startApp()
	w.wantReconciled(at.Add(-time.Nanosecond), want)
}

// A schedule runs it, too, and no key means no function.
func TestReconcileOnSchedule(t *testing.T) {
	t.Parallel()
	c := newClerk(t, 2)
	w := newWorld(t, withClerk(c), with("RECONCILE_CRON=* * * * *"))
	triggers := func(w *world) string { return w.askInngest(`{ functions { slug triggers { type value } } }`) }
	if got := triggers(w); !strings.Contains(got, `"* * * * *"`) || !strings.Contains(got, `"clerksync/reconcile.requested"`) {
		t.Errorf("want the function's triggers, got %s", got)
	}
	waitFor(t, "the schedule to be due soon", func() bool { return time.Now().Second() >= 45 })
	w.wantReconciled(time.Time{}, drift{Users: 2, Missing: 2, Drift: 2})
	w.app.kill()
	w.env = w.env[:2]
	w.startApp()
	w.register(http.StatusOK)
	waitFor(t, "the function to be gone", func() bool {
		text := triggers(w)
		return !strings.Contains(text, "reconcile-users") && strings.Contains(text, "sync-user-from-clerk")
	})
}
