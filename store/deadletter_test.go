package store

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

// dead is a letter of user_ann's event, which failed in that run.
func dead(runID string, replay int) clerk.DeadLetter {
	return clerk.DeadLetter{
		Event: clerk.Event{
			ID: "msg_1", Name: clerk.UserUpdated, TS: 1700000000000,
			Data: json.RawMessage(`{"id":"user_ann","first_name":7,"public_metadata":{"$set":{"a.b":12345678901234567890}}}`),
		},
		Replay: replay, Function: "update-user-from-clerk", RunID: runID, Reason: "no", FailedAt: time.UnixMilli(1700000001000).UTC(),
	}
}

func keep(t *testing.T, s *Store, d clerk.DeadLetter) {
	t.Helper()
	if err := s.KeepDeadLetter(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func wantLetter(t *testing.T, s *Store, want Letter) {
	t.Helper()
	got, err := s.Letter(t.Context(), "msg_1")
	if err != nil {
		t.Fatal(err)
	}
	got.FailedAt = got.FailedAt.UTC()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("letter (-want +got)\n%s", d)
	}
}

// stored is what is read back of dead(runID, 0).
func stored(runID string, state State, replays int) Letter {
	return Letter{DeadLetter: dead(runID, 0), UserID: "user_ann", State: state, Replays: replays}
}

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	t.Run("is kept with the payload's bytes", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		wantLetter(t, s, stored("run_1", Waiting, 0))
	})
	t.Run("is kept once, and stays as it is", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		if err := s.MarkReplayed(t.Context(), "msg_1", 1); err != nil {
			t.Fatal(err)
		}
		keep(t, s, dead("run_1", 0))
		wantLetter(t, s, stored("run_1", Replayed, 1))
	})
	t.Run("waits again when its replay fails", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		if err := s.MarkReplayed(t.Context(), "msg_1", 1); err != nil {
			t.Fatal(err)
		}
		keep(t, s, dead("run_2", 1))
		keep(t, s, dead("run_1", 0)) // late
		wantLetter(t, s, stored("run_2", Waiting, 1))
	})
	t.Run("waits also when its replay fails before it is marked", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		keep(t, s, dead("run_2", 1))
		if err := s.MarkReplayed(t.Context(), "msg_1", 1); !errors.Is(err, ErrNotWaiting) {
			t.Errorf("want %v, got %v", ErrNotWaiting, err)
		}
		wantLetter(t, s, stored("run_2", Waiting, 1))
	})
	t.Run("is not replayed while it does not wait", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		if err := s.MarkReplayed(t.Context(), "msg_1", 1); err != nil {
			t.Fatal(err)
		}
		if err := s.MarkReplayed(t.Context(), "msg_1", 2); !errors.Is(err, ErrNotWaiting) {
			t.Errorf("want %v, got %v", ErrNotWaiting, err)
		}
		wantLetter(t, s, stored("run_1", Replayed, 1))
	})
	t.Run("is closed when its event succeeds", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		for range 2 {
			if err := s.CloseDeadLetter(t.Context(), "msg_1"); err != nil {
				t.Fatal(err)
			}
		}
		wantLetter(t, s, stored("run_1", Closed, 0))
		if err := s.CloseDeadLetter(t.Context(), "msg_2"); err != nil {
			t.Errorf("want nothing done where there is no letter, got %v", err)
		}
	})
	t.Run("that is not there", func(t *testing.T) {
		t.Parallel()
		if _, err := setup(t).Letter(t.Context(), "msg_1"); !errors.Is(err, ErrNoLetter) {
			t.Errorf("want %v, got %v", ErrNoLetter, err)
		}
	})
	redacted := func() Letter {
		l := stored("run_1", Waiting, 0)
		l.Event.Data, l.Redacted = json.RawMessage{}, true
		return l
	}
	t.Run("loses its data with the user", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		keep(t, s, dead("run_1", 0))
		remove(t, s, "user_ann", clerk.Deleted)
		wantLetter(t, s, redacted())
	})
	t.Run("of a user who is deleted already is kept without data", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		remove(t, s, "user_ann", clerk.Deleted)
		keep(t, s, dead("run_1", 0))
		wantLetter(t, s, redacted())
	})
}

func TestLetters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	day := time.UnixMilli(1700000000000).UTC()
	for i, id := range []string{"msg_c", "msg_a", "msg_b"} {
		d := dead("run_"+id, 0)
		d.Event.ID, d.FailedAt = id, day.AddDate(0, 0, i)
		if id == "msg_b" {
			d.Event.Name, d.Event.Data = clerk.UserDeleted, json.RawMessage(`{"id":"user_bob"}`)
		}
		keep(t, s, d)
	}
	if err := s.CloseDeadLetter(t.Context(), "msg_a"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter LetterFilter
		want   []string
	}{
		{"all, in the order in which they failed", LetterFilter{}, []string{"msg_c", "msg_a", "msg_b"}},
		{"by event", LetterFilter{Event: clerk.UserDeleted}, []string{"msg_b"}},
		{"by user", LetterFilter{UserID: "user_ann"}, []string{"msg_c", "msg_a"}},
		{"by state", LetterFilter{State: Closed}, []string{"msg_a"}},
		{"by age", LetterFilter{After: day, Before: day.AddDate(0, 0, 2)}, []string{"msg_a"}},
		{"none", LetterFilter{UserID: "user_ann", State: Replayed}, nil},
	} {
		var got []string
		err := s.Letters(t.Context(), tt.filter, func(l Letter) error {
			got = append(got, l.Event.ID)
			return nil
		})
		if d := cmp.Diff(tt.want, got); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", tt.name, err, d)
		}
	}
	if n, err := s.PurgeDeadLetters(t.Context(), LetterFilter{Before: day.AddDate(0, 0, 1)}); n != 1 || err != nil {
		t.Errorf("purge: want 1 letter, got %d and %v", n, err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sweeps.Store(true) // as on a server without TTL indexes
	fresh, old := dead("run_1", 0), dead("run_2", 0)
	fresh.FailedAt, old.FailedAt = time.Now().Add(-29*24*time.Hour), time.Now().Add(-31*24*time.Hour)
	old.Event.ID = "msg_old"
	keep(t, s, fresh)
	keep(t, s, old)
	for id, age := range map[string]time.Duration{"user_fresh": 394 * 24 * time.Hour, "user_old": 396 * 24 * time.Hour} {
		if _, err := s.tombstones.InsertOne(t.Context(), tombstone{ID: id, DeletedAt: time.Now().Add(-age)}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("want 2 removed, got %d and %v", n, err)
	}
	for _, tt := range []struct {
		name string
		id   string
		want int64
	}{{"msg_1", "msg_1", 1}, {"msg_old", "msg_old", 0}} {
		n, err := s.letters.CountDocuments(t.Context(), bson.D{{Key: "_id", Value: tt.id}})
		if err != nil || n != tt.want {
			t.Errorf("letters %s: want %d, got %d and %v", tt.name, tt.want, n, err)
		}
	}
	for id, want := range map[string]bool{"user_fresh": true, "user_old": false} {
		if got, err := s.isDeleted(t.Context(), id); got != want || err != nil {
			t.Errorf("tombstone of %s: want %t, got %t and %v", id, want, got, err)
		}
	}
}
