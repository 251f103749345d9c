package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

func TestState(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	if _, ok, err := s.Checkpoint(ctx); ok || err != nil {
		t.Errorf("want no checkpoint, got %v and %v", ok, err)
	}
	if _, ok, err := s.LastReconciliation(ctx); ok || err != nil {
		t.Errorf("want no reconciliation, got %v and %v", ok, err)
	}
	at := time.UnixMilli(1_700_000_000_000).UTC()
	for _, want := range []Checkpoint{
		{Instance: "ins_1", StartedAt: at, Position: clerk.Position{After: 1, Seen: []string{"user_1", "user_2"}}, Created: 3},
		{Instance: "ins_1", StartedAt: at, Position: clerk.Position{After: 2, Cursor: "user_1"}, Failed: 3},
	} {
		if err := s.SaveCheckpoint(ctx, want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Checkpoint(ctx)
		if err != nil || !ok {
			t.Fatalf("want a checkpoint, got %v and %v", ok, err)
		}
		got.StartedAt = got.StartedAt.UTC()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("checkpoint (-want +got)\n%s", d)
		}
	}
	want := Reconciliation{At: at, Took: time.Second, Users: 9, Missing: 1, Stale: 2, Deleted: 3, Unknown: 4, Repaired: 5}
	if err := s.SaveReconciliation(ctx, want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.LastReconciliation(ctx)
	got.At = got.At.UTC()
	if d := cmp.Diff(want, got); d != "" || !ok || err != nil {
		t.Errorf("reconciliation: %v and %v (-want +got)\n%s", ok, err, d)
	}
	if got.Drift() != 1 {
		t.Errorf("drift: want 1, got %d", got.Drift())
	}
	if err := s.DropCheckpoint(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Checkpoint(ctx); ok || err != nil {
		t.Errorf("want no checkpoint after it was dropped, got %v and %v", ok, err)
	}
}
