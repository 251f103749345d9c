package inngest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/glowup-app/clerksync/clerk"
)

// Ids of the functions that look after what was given up.
const (
	KeepDeadLetters = "keep-dead-letters"
	SweepExpired    = "sweep-expired"
)

// Events that Inngest sends when a run was given up: https://www.inngest.com/docs/reference/system-events. A run that
// times out or is cancelled in bulk sends only the second one.
const (
	runFailed    = "inngest/function.failed"
	runCancelled = "inngest/function.cancelled"
)

// DeadLetters keeps what was given up.
type DeadLetters interface {
	// KeepDeadLetter stores a letter. Storing it again changes nothing.
	KeepDeadLetter(ctx context.Context, l clerk.DeadLetter) error
	// CloseDeadLetter says that the event, by its own id, has succeeded after all.
	CloseDeadLetter(ctx context.Context, eventID string) error
	// Sweep removes what is older than its retention, and says how much that was.
	Sweep(ctx context.Context) (int64, error)
}

// retriesOfKeeping are Inngest's maximum: the outage that made a run fail must not swallow its letter.
const retriesOfKeeping = 20

// givenUp is the data of Inngest's two events.
type givenUp struct {
	FunctionID string `json:"function_id"` // app id, hyphen, function id
	RunID      string `json:"run_id"`
	Error      struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	} `json:"error"`
	Event struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Data json.RawMessage `json:"data"`
		TS   int64           `json:"ts"`
	} `json:"event"`
}

func (f *Functions) registerDeadLetters() error {
	// Only our own runs: an app of the same environment has dead letters of its own.
	var ours []string
	for _, id := range []string{SyncUser, UpdateUser, DeleteUser} {
		ours = append(ours, fmt.Sprintf("event.data.function_id == %q", f.o.AppID+"-"+id))
	}
	only := strings.Join(ours, " || ")
	retries := retriesOfKeeping
	triggers := inngestgo.MultipleTriggers{inngestgo.EventTrigger(runFailed, &only), inngestgo.EventTrigger(runCancelled, &only)}
	opts := inngestgo.FunctionOpts{ID: KeepDeadLetters, Name: "Keep dead letters", Retries: &retries}
	if _, err := inngestgo.CreateFunction(f.client, opts, triggers, f.keepDeadLetter); err != nil {
		return fmt.Errorf("register %s: %w", KeepDeadLetters, err)
	}
	opts = inngestgo.FunctionOpts{ID: SweepExpired, Name: "Sweep expired dead letters and tombstones"}
	// Any quiet hour does; a letter may live a day longer.
	if _, err := inngestgo.CreateFunction(f.client, opts, inngestgo.CronTrigger("17 3 * * *"), f.sweep); err != nil {
		return fmt.Errorf("register %s: %w", SweepExpired, err)
	}
	f.ids = append(f.ids, KeepDeadLetters, SweepExpired)
	return nil
}

func (f *Functions) keepDeadLetter(ctx context.Context, in inngestgo.Input[givenUp]) (any, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, f.o.RunTimeout, ErrRunTimeout)
	defer cancel()
	d := in.Event.Data
	id, replay := clerk.Replay(d.Event.ID)
	ctx, span := f.startSpan(ctx, KeepDeadLetters, id)
	defer span.End()
	letter := clerk.DeadLetter{
		Event:    clerk.Event{ID: id, Name: d.Event.Name, Data: d.Event.Data, TS: d.Event.TS},
		Replay:   replay,
		Function: strings.TrimPrefix(d.FunctionID, f.o.AppID+"-"),
		RunID:    d.RunID,
		Reason:   cmp.Or(d.Error.Message, d.Error.Name, "the run was cancelled"),
		FailedAt: time.UnixMilli(in.Event.Timestamp),
	}
	err := f.users.KeepDeadLetter(ctx, letter)
	f.metrics.ran(KeepDeadLetters, outcomeLabel(err), time.Since(start))
	attrs := []slog.Attr{
		slog.String(clerk.KeyFunction, letter.Function), slog.String(clerk.KeyEventID, id),
		slog.String(clerk.KeyEvent, letter.Event.Name), slog.String(clerk.KeyUserID, letter.Event.UserID()),
		slog.String(clerk.KeyRunID, letter.RunID), slog.String(clerk.KeyReason, letter.Reason),
	}
	if err != nil {
		f.o.Logger.LogAttrs(ctx, slog.LevelWarn, "dead letter not kept, will be retried", append(attrs, slog.String(clerk.KeyError, err.Error()))...)
		return nil, fmt.Errorf("keep dead letter of %s: %w", id, err)
	}
	f.metrics.deadLetters.WithLabelValues(letter.Function).Inc()
	f.o.Logger.LogAttrs(ctx, slog.LevelError, "dead letter kept", attrs...)
	return "kept", nil
}

func (f *Functions) sweep(ctx context.Context, _ inngestgo.Input[map[string]any]) (any, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, f.o.RunTimeout, ErrRunTimeout)
	defer cancel()
	ctx, span := f.startSpan(ctx, SweepExpired, "")
	defer span.End()
	n, err := f.users.Sweep(ctx)
	f.metrics.ran(SweepExpired, outcomeLabel(err), time.Since(start))
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	return n, nil
}

func outcomeLabel(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
