package inngest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

const failedRun = `{"id":"run_9","name":"inngest/function.failed","ts":1700000000999,"data":{
	"function_id":"glowup-app-sync-user-from-clerk","run_id":"run_9",
	"error":{"name":"Error","message":"read event: data.first_name: want string, got number"},
	"event":{"id":"msg_1~replay-2","name":"clerk/user.created","ts":1700000000000,"data":{"id":"user_1","first_name":7}}}}`

func TestKeepDeadLetter(t *testing.T) {
	t.Parallel()
	var got clerk.DeadLetter
	f := newFunctions(t, fakeUsers{keep: func(_ context.Context, l clerk.DeadLetter) error {
		got = l
		return nil
	}}, Options{})
	if d := cmp.Diff(result{200, false, `"kept"`}, invoke(t, f, KeepDeadLetters, failedRun, nil)); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
	want := clerk.DeadLetter{
		Event: clerk.Event{
			ID: "msg_1", Name: clerk.UserCreated, TS: 1700000000000, Data: json.RawMessage(`{"first_name":7,"id":"user_1"}`),
		},
		Replay: 2, Function: SyncUser, RunID: "run_9", Reason: "read event: data.first_name: want string, got number",
		FailedAt: time.UnixMilli(1700000000999),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("letter (-want +got)\n%s", d)
	}
}

func TestKeepDeadLetterIsRetried(t *testing.T) {
	t.Parallel()
	f := newFunctions(t, fakeUsers{keep: func(context.Context, clerk.DeadLetter) error {
		return errors.New("the database is away")
	}}, Options{})
	want := result{500, false, `{"message":"keep dead letter of msg_1: the database is away"}`}
	if d := cmp.Diff(want, invoke(t, f, KeepDeadLetters, failedRun, nil)); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
}

func TestReplayIsTheEventThatItRepeats(t *testing.T) {
	t.Parallel()
	var version clerk.Version
	closed := ""
	f := newFunctions(t, fakeUsers{
		apply: func(_ context.Context, c clerk.Change) (clerk.Outcome, error) {
			version = c.Version
			return clerk.Stale, nil
		},
		close: func(_ context.Context, eventID string) error {
			closed = eventID
			return nil
		},
	}, Options{})
	got := invoke(t, f, UpdateUser, `{"id":"msg_1~replay-2","name":"clerk/user.updated","ts":5,"data":{"id":"user_1","updated_at":3}}`, nil)
	if d := cmp.Diff(result{200, false, `"stale"`}, got); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
	if want := (clerk.Version{At: 3, TS: 5, EventID: "msg_1"}); want != version {
		t.Errorf("version: want %v, got %v", want, version)
	}
	if want := "msg_1"; want != closed {
		t.Errorf("closed: want %q, got %q", want, closed)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	f := newFunctions(t, fakeUsers{sweep: func(context.Context) (int64, error) { return 4, nil }}, Options{})
	got := invoke(t, f, SweepExpired, `{"name":"inngest/scheduled.timer","ts":5,"data":{"cron":"17 3 * * *"}}`, nil)
	if d := cmp.Diff(result{200, false, `4`}, got); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
}
