package reconcile_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/reconcile"
	"github.com/glowup-app/clerksync/store"
)

// reconcile runs one, and returns what it found by user.
func (w *world) reconcile(o reconcile.Options) (map[string]reconcile.Drift, store.Reconciliation) {
	w.t.Helper()
	found := map[string]reconcile.Drift{}
	o.Each = func(d reconcile.Drift) {
		if _, twice := found[d.UserID]; twice {
			w.t.Errorf("%s: want one finding, got two", d.UserID)
		}
		found[d.UserID] = d
	}
	result, err := reconcile.New(w.api, w.store, o).Run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return found, result
}

func (w *world) wantFound(want map[string]reconcile.Drift, o reconcile.Options) store.Reconciliation {
	w.t.Helper()
	got, result := w.reconcile(o)
	for id, d := range want {
		d.UserID = id
		want[id] = d
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		w.t.Errorf("findings (-want +got)\n%s", d)
	}
	return result
}

// overwrite is what an application must not do.
func (w *world) overwrite(id string, set bson.M) {
	w.t.Helper()
	if _, err := w.users.UpdateOne(w.t.Context(), bson.M{"_id": id}, bson.M{"$set": set}); err != nil {
		w.t.Fatal(err)
	}
}

// drifted is a world with one of each.
func drifted(t *testing.T) (*world, map[string]reconcile.Drift) {
	t.Helper()
	w := newWorld(t)
	w.fill(8)
	w.backfill(reconcile.BackfillOptions{})
	w.clerk.Put(ann(100)) // its webhook was lost
	changed := ann(1)
	changed.UpdatedAt, changed.LastName = changed.UpdatedAt+1, "Lee"
	w.clerk.Put(changed)
	w.overwrite(id(2), bson.M{"email": "x@example.com"})
	w.clerk.Delete(id(3))
	w.remove(id(4)) // by a delete that was none
	w.overwrite(id(5), bson.M{"sync": "mine"})
	for _, doc := range []bson.M{{"_id": "application"}, {"_id": "-strange id"}, {"_id": bson.NewObjectID()}} {
		if _, err := w.users.InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	return w, map[string]reconcile.Drift{
		id(100):       {Kind: reconcile.Missing},
		id(1):         {Kind: reconcile.Stale, Fields: []string{"last_name", "full_name"}},
		id(2):         {Kind: reconcile.Stale, Fields: []string{"email"}},
		id(3):         {Kind: reconcile.Deleted},
		id(4):         {Kind: reconcile.Missing, Note: "a tombstone keeps the user deleted"},
		id(5):         {Kind: reconcile.Stale, Note: "read user: " + store.ErrForeign.Error()},
		"application": {Kind: reconcile.Unknown},
		"-strange id": {Kind: reconcile.Unknown},
	}
}

func TestReconcileFinds(t *testing.T) {
	t.Parallel()
	w, want := drifted(t)
	before := w.docs()
	got := w.wantFound(want, reconcile.Options{})
	wantResult := store.Reconciliation{Users: 8, Missing: 2, Stale: 3, Deleted: 1, Unknown: 2}
	if d := cmp.Diff(wantResult, got, cmpopts.IgnoreFields(store.Reconciliation{}, "At", "Took")); d != "" {
		t.Errorf("result (-want +got)\n%s", d)
	}
	saved, ok, err := w.store.LastReconciliation(t.Context())
	if err != nil || !ok || saved.Missing != 2 || time.Since(saved.At) > time.Minute {
		t.Errorf("want the result saved, got %+v, %v and %v", saved, ok, err)
	}
	if d := cmp.Diff(before, w.docs()); d != "" {
		t.Errorf("documents (-before +after)\n%s", d)
	}
}

func TestReconcileRepairs(t *testing.T) {
	t.Parallel()
	w, want := drifted(t)
	for _, id := range []string{id(100), id(1), id(2)} {
		d := want[id]
		d.Repaired = true
		want[id] = d
	}
	if got := w.wantFound(want, reconcile.Options{Repair: true}); got.Repaired != 3 || got.Drift() != 3 {
		t.Errorf("want 3 repaired and 3 left, got %+v", got)
	}
	left := map[string]reconcile.Drift{}
	for _, id := range []string{id(4), id(5), "application", "-strange id"} {
		left[id] = want[id]
	}
	left[id(3)] = reconcile.Drift{Kind: reconcile.Deleted, Repaired: true}
	w.wantFound(left, reconcile.Options{Repair: true, Delete: true})
	docs := w.docs()
	if docs[id(3)] != nil || docs["application"] == nil || docs["-strange id"] == nil || len(docs) != 10 {
		t.Errorf("want the deleted user gone and the application's documents kept, got %d documents", len(docs))
	}
	// The tombstone stops an event that is on its way.
	w.apply(w.event(ann(3), clerk.Version{At: 1 << 50, TS: 1, EventID: "late"}))
	if w.docs()[id(3)] != nil {
		t.Error("want a removed user to stay deleted")
	}
	delete(left, id(3))
	w.wantFound(left, reconcile.Options{})
	// A repair is no event: what comes later wins.
	later := ann(2)
	later.Email = "later@example.com"
	w.apply(w.event(later, clerk.Version{At: later.UpdatedAt + 1, TS: 1, EventID: "msg"}))
	if got := w.docs()[id(2)]["email"]; got != "later@example.com" {
		t.Errorf("want the later event to win over the repair, got %v", got)
	}
}

func TestReconcileRemovesNotTooMany(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		absent  int
		o       reconcile.Options
		removed int
	}{
		{"ten at least", 10, reconcile.Options{}, 10},
		{"not eleven of thirty", 11, reconcile.Options{}, 0},
		{"as many as allowed", 11, reconcile.Options{MaxDelete: 11}, 11},
		{"not one more", 11, reconcile.Options{MaxDelete: 10}, 0},
		{"any number", 30, reconcile.Options{Yes: true}, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(30)
			w.backfill(reconcile.BackfillOptions{})
			for n := range tt.absent {
				w.clerk.Delete(id(n))
			}
			tt.o.Repair, tt.o.Delete = true, true
			found, result := w.reconcile(tt.o)
			if int(result.Deleted) != tt.absent || int(result.Repaired) != tt.removed || len(w.docs()) != 30-tt.removed {
				t.Errorf("want %d found and %d removed, got %+v and %d documents", tt.absent, tt.removed, result, len(w.docs()))
			}
			if d := found[id(0)]; tt.removed == 0 && !strings.HasPrefix(d.Note, "not removed: there are more than 1") {
				t.Errorf("want a note that says why, got %+v", d)
			}
		})
	}
}

// No verdict rests on one look.
func TestReconcileLooksAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(w *world)
		// between happens before Clerk answers the nth question about users by their ids, which is the second look.
		between  func(w *world)
		question int
	}{
		{
			"a user whose webhook comes meanwhile",
			func(w *world) { w.clerk.Put(ann(50)) },
			func(w *world) { w.apply(w.event(ann(50), clerk.Version{At: 1, TS: 1, EventID: "msg"})) },
			0,
		},
		{
			"a user who is deleted meanwhile",
			func(w *world) { w.clerk.Put(ann(50)) },
			func(w *world) { w.clerk.Delete(id(50)) },
			0,
		},
		{
			"a user whom Clerk forgot for a moment",
			func(w *world) { w.clerk.Delete(id(0)) },
			func(w *world) { w.clerk.Put(ann(0)) },
			1,
		},
		{
			"a user whose delete comes meanwhile",
			func(w *world) { w.clerk.Delete(id(0)) },
			func(w *world) { w.remove(id(0)) },
			1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(5)
			w.backfill(reconcile.BackfillOptions{})
			tt.prepare(w)
			questions := 0
			w.clerk.Fault(func(_ int, r *http.Request) clerktest.Fault {
				if r.URL.Query().Get("user_id") != "" {
					if questions == tt.question {
						tt.between(w)
					}
					questions++
				}
				return clerktest.Fault{}
			})
			w.wantFound(nil, reconcile.Options{Repair: true, Delete: true})
			if questions <= tt.question {
				t.Errorf("want more than %d questions, got %d", tt.question, questions)
			}
		})
	}
}

func TestReconcileBelievesNobodyGoneWithoutAsking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5)
	w.backfill(reconcile.BackfillOptions{})
	// A Clerk whose lists are empty: another instance's key, or a fault.
	w.clerk.Fault(func(_ int, r *http.Request) clerktest.Fault {
		if r.URL.Path == "/v1/users" {
			r.URL.RawQuery = "created_at_after=9000000000000&order_by=created_at"
		}
		return clerktest.Fault{}
	})
	found, result := w.reconcile(reconcile.Options{Repair: true, Delete: true})
	if result.Deleted != 5 || result.Repaired != 0 || len(w.docs()) != 5 {
		t.Errorf("want all found and nobody removed, got %+v", result)
	}
	if want, got := "Clerk has the user when asked for them alone", found[id(0)].Note; want != got {
		t.Errorf("note: want %q, got %q", want, got)
	}
}

// What changed a moment ago may be on its way: it is no drift yet.
func TestReconcileWaitsForWhatSettles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.backfill(reconcile.BackfillOptions{})
	young := ann(7)
	young.UpdatedAt = time.Now().UnixMilli()
	w.clerk.Put(young)
	w.clerk.Put(ann(8))
	start := time.Now()
	w.wantFound(map[string]reconcile.Drift{id(8): {Kind: reconcile.Missing}}, reconcile.Options{Settle: time.Hour})
	if time.Since(start) > time.Minute {
		t.Error("want no waiting where nothing is held")
	}
	w.wantFound(map[string]reconcile.Drift{id(7): {Kind: reconcile.Missing}, id(8): {Kind: reconcile.Missing}}, reconcile.Options{})
	w.clerk.Delete(id(0))
	start = time.Now()
	w.reconcile(reconcile.Options{Settle: time.Second})
	if time.Since(start) < time.Second {
		t.Error("want the second look at an absent user after the time to settle")
	}
}

// A reconcile in steps, its state put away as JSON between them, and each step done twice, comes to the same.
func TestReconcileInSteps(t *testing.T) {
	t.Parallel()
	w, want := drifted(t)
	w.fill(700)
	w.backfill(reconcile.BackfillOptions{})
	for _, id := range []string{id(1), id(100)} { // that was a repair
		delete(want, id)
	}
	delete(want, id(3))
	w.clerk.Delete(id(6))
	want[id(6)] = reconcile.Drift{Kind: reconcile.Deleted}
	found := map[string]reconcile.Drift{}
	r := reconcile.New(w.api, w.store, reconcile.Options{Each: func(d reconcile.Drift) {
		found[d.UserID] = d
	}})
	var st reconcile.State
	steps := 0
	for ; !st.Done; steps++ {
		text, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			st = reconcile.State{}
			if err := json.Unmarshal(text, &st); err != nil {
				t.Fatal(err)
			}
			if err := r.Step(t.Context(), &st, 200); err != nil {
				t.Fatal(err)
			}
		}
		if steps > 50 {
			t.Fatal("the steps do not end")
		}
	}
	for id, d := range want {
		d.UserID = id
		want[id] = d
	}
	if d := cmp.Diff(want, found); d != "" {
		t.Errorf("findings (-want +got)\n%s", d)
	}
	if got := fmt.Sprint(st.Result.Missing, st.Result.Stale, st.Result.Deleted, st.Result.Unknown); got != "1 2 1 2" {
		t.Errorf("missing, stale, deleted, unknown: want 1 2 1 2, got %s", got)
	}
	if steps < 7 {
		t.Errorf("want a step a page, got %d", steps)
	}
}

// Each second look has its wait before it, so documents without user gather until they are a question's worth.
func TestReconcileInStepsGathersTheAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(260)
	w.backfill(reconcile.BackfillOptions{})
	for n := range 250 {
		w.clerk.Delete(id(n))
	}
	r := reconcile.New(w.api, w.store, reconcile.Options{Settle: time.Minute})
	var st reconcile.State
	var held []int
	for !st.Done {
		if err := r.Step(t.Context(), &st, 50); err != nil {
			t.Fatal(err)
		}
		if st.Wait > 0 {
			held = append(held, len(st.Held))
		}
	}
	if d := cmp.Diff([]int{100, 100, 50}, held); d != "" {
		t.Errorf("documents held at each wait (-want +got)\n%s", d)
	}
	if want, got := int64(250), st.Result.Deleted; want != got {
		t.Errorf("deleted: want %d, got %d", want, got)
	}
}
