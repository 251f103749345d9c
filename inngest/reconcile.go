package inngest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/inngest/inngest/pkg/enums"
	"github.com/inngest/inngestgo"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/inngest/inngestgo/step"

	"github.com/glowup-app/clerksync/clerk"
)

// ReconcileUsers is the id of the function that compares all users with Clerk's.
const ReconcileUsers = "reconcile-users"

// ReconcileRequested is the event that asks for a reconcile. Its data does not matter.
const ReconcileRequested = "clerksync/reconcile.requested"

// onSchedule is the event that Inngest makes for a schedule.
const onSchedule = "inngest/scheduled.timer"

// Reconciler compares all users with Clerk's, page by page.
type Reconciler interface {
	// Reconcile does the next page. State is empty before the first one, then what the page before returned. A page may be
	// done again from the same state.
	Reconcile(ctx context.Context, state string) (Reconciled, error)
}

// Reconciled is how far a reconcile has come. Inngest keeps it, so it holds no personal data but user ids.
type Reconciled struct {
	State  string        `json:"state"`
	Wait   time.Duration `json:"wait"` // before the next page
	Done   bool          `json:"done"`
	Result any           `json:"result,omitempty"` // when it is done: what the run returns
}

const (
	// retriesOfReconcile take over two hours: beyond that, the next run is as good.
	retriesOfReconcile = 9
	// maxReconcileState bounds what the states of a run come to. From 4 MiB on Inngest leaves them out of an invocation, and
	// inngestgo would begin anew, for ever. It takes a large import whose users have the same created_at to come near.
	maxReconcileState = 3 << 20
)

var errLargeState = errors.New("too many users have the same created_at for a run of Inngest's: run `clerksync reconcile` instead")

func (f *Functions) registerReconcile() error {
	if f.o.Reconciler == nil {
		return nil
	}
	triggers := inngestgo.MultipleTriggers{inngestgo.EventTrigger(ReconcileRequested, nil)}
	if f.o.ReconcileCron != "" {
		triggers = append(triggers, inngestgo.CronTrigger(f.o.ReconcileCron))
	}
	retries := retriesOfReconcile
	opts := inngestgo.FunctionOpts{
		ID: ReconcileUsers, Name: "Reconcile users", Retries: &retries,
		// A limit of concurrency counts steps: the steps of two runs would take turns.
		Singleton: &inngestgo.ConfigSingleton{Mode: enums.SingletonModeSkip},
	}
	if _, err := inngestgo.CreateFunction(f.client, opts, triggers, f.reconcile); err != nil {
		return fmt.Errorf("register %s: %w", ReconcileUsers, err)
	}
	f.ids = append(f.ids, ReconcileUsers)
	return nil
}

// reconcile is invoked for each step. An error ends the run: a step's retries are used up, or none can help.
func (f *Functions) reconcile(ctx context.Context, in inngestgo.Input[map[string]any]) (any, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, f.o.RunTimeout, ErrRunTimeout)
	defer cancel()
	err := ErrWrongEvent
	var result any
	switch in.Event.Name {
	case ReconcileRequested, onSchedule, invokedByHand:
		result, err = f.reconcileSteps(ctx, in.InputCtx)
	}
	if err != nil {
		f.observeReconcile(ctx, in.InputCtx, slog.LevelError, "function failed, will not be retried", "failed", err, time.Since(start))
		return nil, sdkerrors.NoRetryError(err)
	}
	return result, nil
}

// reconcileSteps passes over the steps that are done, and does one: inngestgo does not return from that.
func (f *Functions) reconcileSteps(ctx context.Context, in inngestgo.InputCtx) (result any, err error) {
	var at Reconciled
	size := 0
	for n := 0; !at.Done; n++ {
		if size += len(at.State); size > maxReconcileState {
			return nil, errLargeState
		}
		if at.Wait > 0 {
			step.Sleep(ctx, fmt.Sprintf("wait before pages %d", n), at.Wait)
		}
		at, err = step.Run(ctx, fmt.Sprintf("pages %d", n), func(ctx context.Context) (Reconciled, error) {
			return f.reconcilePages(ctx, in, at, pagesOf(n))
		})
		if err != nil {
			return nil, err
		}
	}
	return at.Result, nil
}

// pagesOf is how many pages the nth step may do: one at first, and later more, since a run may have 1,000 steps
// (https://www.inngest.com/docs/usage-limits/inngest).
func pagesOf(n int) int { return 1 + n/10 }

// reconcilePages is a step: at most that many pages, and no more when a third of its time is over.
func (f *Functions) reconcilePages(ctx context.Context, in inngestgo.InputCtx, at Reconciled, most int) (next Reconciled, err error) {
	start := time.Now()
	ctx, span := f.startSpan(ctx, ReconcileUsers, "")
	defer span.End()
	next = at
	defer func() {
		if p := recover(); p != nil {
			err = f.panicked(ctx, p)
		}
		level, msg := slog.LevelDebug, "reconcile goes on"
		switch {
		case err != nil:
			level, msg = slog.LevelWarn, "function failed, will be retried"
		case next.Done:
			level, msg = slog.LevelInfo, "function finished"
		}
		f.observeReconcile(ctx, in, level, msg, outcomeLabel(err), err, time.Since(start))
	}()
	for i := range most {
		more, err := f.o.Reconciler.Reconcile(ctx, next.State)
		if err != nil && i > 0 {
			break // what is done is kept; the next step will meet the error
		}
		if err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, ErrRunTimeout) {
				err = fmt.Errorf("%w: %w", cause, err)
			}
			return next, fmt.Errorf("reconcile: %w", err)
		}
		next = more
		if next.Done || next.Wait > 0 || time.Since(start) > f.o.RunTimeout/3 {
			break
		}
	}
	return next, nil
}

func (f *Functions) observeReconcile(
	ctx context.Context, in inngestgo.InputCtx, level slog.Level, msg, outcome string, err error, took time.Duration,
) {
	f.metrics.ran(ReconcileUsers, outcome, took)
	attrs := []slog.Attr{
		slog.String(clerk.KeyFunction, ReconcileUsers), slog.String(clerk.KeyRunID, in.RunID), slog.Int(clerk.KeyAttempt, in.Attempt),
		slog.String(clerk.KeyOutcome, outcome), slog.Duration(clerk.KeyDuration, took),
	}
	if err != nil {
		attrs = append(attrs, slog.String(clerk.KeyError, err.Error()))
	}
	f.o.Logger.LogAttrs(ctx, level, msg, attrs...) //nolint:sloglint // one of four constants
}
