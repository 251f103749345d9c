package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/reconcile"
	"github.com/glowup-app/clerksync/store"
)

func (w *world) backfill(o reconcile.BackfillOptions) store.Checkpoint {
	w.t.Helper()
	o.Logger = w.log
	n, err := reconcile.Backfill(w.t.Context(), w.api, w.store, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func wantCounts(t *testing.T, want, got store.Checkpoint) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Checkpoint{}, "Instance", "Since", "SinceAs", "Position", "StartedAt")); d != "" {
		t.Errorf("counts (-want +got)\n%s", d)
	}
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(600)
	wantCounts(t, store.Checkpoint{Created: 600}, w.backfill(reconcile.BackfillOptions{}))
	if d := cmp.Diff(w.want(), w.docs()); d != "" {
		t.Errorf("documents (-want +got)\n%s", d)
	}
	wantCounts(t, store.Checkpoint{Unchanged: 600}, w.backfill(reconcile.BackfillOptions{}))
	if _, ok, err := w.store.Checkpoint(t.Context()); ok || err != nil {
		t.Errorf("want no checkpoint after the end, got %v and %v", ok, err)
	}
}

// The rules of its version, against what events have written.
func TestBackfillBesideEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(6)
	at := func(n int) int64 { return since + int64(n) }
	event := func(n int, at, ts int64, name string) {
		u := ann(n)
		u.FirstName = name
		w.apply(w.event(u, clerk.Version{At: at, TS: ts, EventID: "01EVENT"}))
	}
	event(0, at(0)+1, at(0)+1, "Newer")    // has not reached the list when it was read
	event(1, at(1), at(1), "OfThatUpdate") // the event of the same updated_at, before
	event(2, at(2)-1, at(2)-1, "Older")    // a webhook was lost
	w.remove(id(3))                        // the list was read before
	wantCounts(t, store.Checkpoint{Created: 2, Updated: 1, Unchanged: 3}, w.backfill(reconcile.BackfillOptions{}))
	event(4, at(4), at(4), "AfterTheBackfill") // of the same updated_at
	event(5, at(5)-1, at(5)-1, "LateAndOlder")
	docs := w.docs()
	for n, want := range map[int]any{0: "Newer", 1: "OfThatUpdate", 2: "Ann", 4: "AfterTheBackfill", 5: "Ann"} {
		if got := docs[id(n)]["first_name"]; want != got {
			t.Errorf("%s: want %v, got %v", id(n), want, got)
		}
	}
	if docs[id(3)] != nil {
		t.Error("want the deleted user to stay deleted")
	}
}

func TestBackfillDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	older := ann(1)
	older.FirstName = "Older"
	w.apply(w.event(older, clerk.Version{At: 1}))
	before := w.docs()
	wantCounts(t, store.Checkpoint{Created: 2, Updated: 1}, w.backfill(reconcile.BackfillOptions{DryRun: true}))
	if d := cmp.Diff(before, w.docs()); d != "" {
		t.Errorf("documents after a dry run (-before +after)\n%s", d)
	}
	if _, ok, err := w.store.Checkpoint(t.Context()); ok || err != nil {
		t.Errorf("want no checkpoint of a dry run, got %v and %v", ok, err)
	}
}

func TestBackfillSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(10)
	n := w.backfill(reconcile.BackfillOptions{Since: time.UnixMilli(since + 7)})
	wantCounts(t, store.Checkpoint{Created: 3, Skipped: 7}, n)
	if docs := w.docs(); docs[id(6)] != nil || docs[id(7)] == nil {
		t.Error("want users changed since then, and those only")
	}
}

func TestBackfillReportsWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.clerk.Put(clerktest.User{ID: "user_bad", CreatedAt: since, Raw: `{"id":"user_bad","created_at":1700000000000,"first_name":["canary"]}`})
	if _, err := w.users.InsertOne(t.Context(), bson.M{"_id": id(1), "sync": "mine"}); err != nil {
		t.Fatal(err)
	}
	// What a person must see to is not tried again and again.
	wantCounts(t, store.Checkpoint{Created: 2, Failed: 2}, w.backfill(reconcile.BackfillOptions{Patience: time.Hour}))
}

// Where nobody can be written it is the database, not these users: the backfill ends, and its checkpoint is before them.
func TestBackfillEndsWhereNobodyCanBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	theirs := mongo.IndexModel{Keys: bson.D{{Key: "first_name", Value: 1}}, Options: options.Index().SetUnique(true)}
	if _, err := w.users.Indexes().CreateOne(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := w.users.InsertOne(t.Context(), bson.M{"_id": "mine", "first_name": ann(0).FirstName}); err != nil {
		t.Fatal(err)
	}
	n, err := reconcile.Backfill(t.Context(), w.api, w.store, reconcile.BackfillOptions{Patience: time.Millisecond})
	if err == nil || n.Users() != 0 {
		t.Errorf("want an error and nobody counted, got %v and %+v", err, n)
	}
}

// An interrupted run goes on where it was, and nothing is left out, also when users before that are deleted.
func TestBackfillResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(2500)
	errCut := errors.New("cut")
	ctx, cut := context.WithCancelCause(t.Context())
	_, err := reconcile.Backfill(ctx, w.api, w.store, reconcile.BackfillOptions{Progress: func(n store.Checkpoint) {
		if n.Users() >= 500 {
			cut(errCut)
		}
	}})
	if !errors.Is(err, errCut) {
		t.Fatalf("want the backfill cut off, got %v", err)
	}
	at, ok, err := w.store.Checkpoint(t.Context())
	if !ok || err != nil || at.Users() < 500 || at.Users() >= 2500 {
		t.Fatalf("want a checkpoint in the middle, got %d users, %v and %v", at.Users(), ok, err)
	}
	for n := range 100 {
		w.clerk.Delete(id(n))
		w.remove(id(n))
	}
	w.clerk.Fault(nil)
	n := w.backfill(reconcile.BackfillOptions{})
	if most := 2 + 2000/clerk.MaxPage + 2; w.clerk.Requests() > most {
		t.Errorf("want the second run to begin in the middle, with at most %d requests, got %d", most, w.clerk.Requests())
	}
	if n.Users() != 2500 {
		t.Errorf("want 2500 users counted in both runs, got %d", n.Users())
	}
	if d := cmp.Diff(w.want(), w.docs()); d != "" {
		t.Errorf("documents (-want +got)\n%s", d)
	}
}

func TestBackfillKnowsItsCheckpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	theirs := store.Checkpoint{Instance: "ins_other", Position: clerk.Position{After: since + 500}, Created: 9}
	if err := w.store.SaveCheckpoint(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := reconcile.Backfill(t.Context(), w.api, w.store, reconcile.BackfillOptions{}); !errors.Is(err, reconcile.ErrOtherBackfill) {
		t.Errorf("want ErrOtherBackfill for another instance's checkpoint, got %v", err)
	}
	theirs.Instance, theirs.SinceAs = "ins_clerktest", "7d"
	if err := w.store.SaveCheckpoint(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := reconcile.Backfill(t.Context(), w.api, w.store, reconcile.BackfillOptions{}); !errors.Is(err, reconcile.ErrOtherBackfill) {
		t.Errorf("want ErrOtherBackfill for a checkpoint of other users, got %v", err)
	}
	wantCounts(t, store.Checkpoint{Created: 3}, w.backfill(reconcile.BackfillOptions{DryRun: true}))
	wantCounts(t, store.Checkpoint{Created: 3}, w.backfill(reconcile.BackfillOptions{Restart: true}))
}

func TestBackfillEndsWhenClerkRefusesTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clerk.Fault(func(n int, _ *http.Request) clerktest.Fault {
		if n == 0 {
			return clerktest.Fault{}
		}
		return clerktest.Fault{Status: http.StatusUnauthorized}
	})
	_, err := reconcile.Backfill(t.Context(), w.api, w.store, reconcile.BackfillOptions{})
	if !errors.Is(err, clerk.ErrUnauthorized) || !strings.HasPrefix(err.Error(), "list users: ") {
		t.Errorf("want ErrUnauthorized, got %v", err)
	}
}
