package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

func numbered(n int, version clerk.Version) clerk.Change {
	id := fmt.Sprintf("user_%03d", n)
	return clerk.Change{
		UserID: id, Version: version, Email: clerk.Some(id + "@example.com"), FirstName: clerk.Some("Ann"), LastName: clerk.Null[string](),
	}
}

// One of each kind that a batch can meet, with what Apply makes of it.
func TestApplyAllIsApply(t *testing.T) {
	t.Parallel()
	version := clerk.Version{At: 5, EventID: "(api)"}
	prepare := func(t *testing.T) *Store {
		s := setup(t)
		apply(t, s, numbered(1, version), clerk.Created)                    // the same
		apply(t, s, numbered(2, v(9, "newer")), clerk.Created)              // newer
		apply(t, s, clerk.Change{UserID: "user_003", Version: v(3, "old")}, // made by a partial event
			clerk.Created)
		remove(t, s, "user_004", clerk.Deleted)
		insert(t, s, bson.M{"_id": "user_005", "plan": "pro"}) // the application's
		insert(t, s, bson.M{"_id": "user_006", "sync": "mine"})
		apply(t, s, numbered(7, v(1, "a")), clerk.Created)
		if err := s.bury(t.Context(), "user_007", v(2, "delete")); err != nil { // the delete stopped there
			t.Fatal(err)
		}
		insert(t, s, bson.M{"_id": "boss", "username": "user_008"}) // the name is taken
		remove(t, s, "user_009", clerk.Deleted)
		insert(t, s, bson.M{"_id": "user_009", "plan": "pro"}) // a stub of a deleted user
		return s
	}
	var changes []clerk.Change
	for n := range 12 {
		changes = append(changes, numbered(n, version))
	}
	changes[3].FirstName = clerk.Some("Bo")

	single, batch := prepare(t), prepare(t)
	results, err := batch.ApplyAll(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range changes {
		want, wantErr := single.Apply(t.Context(), c)
		if got := results[i]; got.Outcome != want || fmt.Sprint(got.Err) != fmt.Sprint(wantErr) {
			t.Errorf("%s: want %q and %v, got %q and %v", c.UserID, want, wantErr, got.Outcome, got.Err)
		}
		one, all := read(t, single, c.UserID), read(t, batch, c.UserID)
		if c.UserID == "user_008" {
			if name, _ := all["username"].(string); !strings.HasPrefix(name, "user_008") || name == "user_008" {
				t.Errorf("username: want user_008 and a number, got %s", name)
			}
			delete(one, "username")
			delete(all, "username")
		}
		if d := cmp.Diff(one, all); d != "" {
			t.Errorf("document of %s (-one by one +at once)\n%s", c.UserID, d)
		}
	}
}

func TestApplyAllWritesNothingWithoutNeed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	changes := []clerk.Change{numbered(1, clerk.Version{At: 5, EventID: "(api)"}), numbered(2, clerk.Version{At: 5, EventID: "(api)"})}
	apply(t, s, numbered(2, v(5, "msg_1")), clerk.Created) // the event of the same updated_at
	if _, err := s.ApplyAll(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	one, two := raw(t, s, "user_001"), raw(t, s, "user_002")
	results, err := s.ApplyAll(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Result{{Outcome: clerk.Unchanged}, {Outcome: clerk.Stale}}; !slices.Equal(want, results) {
		t.Errorf("want %v, got %v", want, results)
	}
	if raw(t, s, "user_001") != one || raw(t, s, "user_002") != two {
		t.Error("want nothing written the second time")
	}
	if !strings.Contains(two, "msg_1") {
		t.Errorf("want the event's version kept, got %s", two)
	}
}

// A delete that passes between the look for tombstones and the insert leaves no document behind.
func TestApplyAllBesideADelete(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	s.intercept = func(ctx context.Context, do func(context.Context) error) error {
		err := do(ctx)
		// After the second call, that of the tombstones (the look for documents is one call a user on FerretDB).
		if n := calls.Add(1); n == 3 {
			if err := s.bury(context.WithoutCancel(ctx), "user_001", v(9, "delete")); err != nil {
				t.Error(err)
			}
		}
		return err
	}
	changes := []clerk.Change{numbered(1, v(5, "a")), numbered(2, v(5, "a"))}
	if !s.oneWriter.Load() {
		calls.Add(1)
	}
	results, err := s.ApplyAll(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Result{{Outcome: clerk.AlreadyDeleted}, {Outcome: clerk.Created}}; !slices.Equal(want, results) {
		t.Errorf("want %v, got %v", want, results)
	}
	if read(t, s, "user_001") != nil || read(t, s, "user_002") == nil {
		t.Error("want no document of the deleted user, and one of the other")
	}
}

// raw is the whole document, to see whether anything was written.
func raw(t *testing.T, s *Store, id string) string {
	t.Helper()
	doc, err := s.users.FindOne(t.Context(), byID(id)).Raw()
	if err != nil {
		t.Fatal(err)
	}
	return doc.String()
}
