package inngest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/inngest/inngest/pkg/enums"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

// Ids of the functions, as Inngest's UI shows them.
const (
	SyncUser   = "sync-user-from-clerk"
	UpdateUser = "update-user-from-clerk"
	DeleteUser = "delete-user-with-clerk"
)

// invokedByHand is the event that Inngest makes when somebody presses "Invoke" in its UI.
const invokedByHand = "inngest/function.invoked"

// perUser is the concurrency key that the functions share: runs of one user wait for each other, which saves
// conflicts in the store. Correctness does not rest on it. Inngest tells the keys of a scope apart by this
// text, so it must be the same one in all of them.
const perUser = "event.data.id"

// Users is the copy that the functions keep.
type Users interface {
	DeadLetters
	// Apply merges what an event says about a user.
	Apply(ctx context.Context, c clerk.Change) (clerk.Outcome, error)
	// Delete removes a user for good.
	Delete(ctx context.Context, userID string, v clerk.Version) (clerk.Outcome, error)
}

var (
	// ErrRunTimeout ends a run that takes longer than Options.RunTimeout. It is retried.
	ErrRunTimeout = errors.New("run timed out")
	// ErrWrongEvent is an event that is not for the function. Inngest calls none with it, but its signature covers the body of
	// an invocation and not the function's id in the URL: what was overheard could be sent to another function.
	ErrWrongEvent = errors.New("the event is not for this function")
	// errDisconnected is a worker's connection that inngestgo could not restore.
	errDisconnected = errors.New("the connection to Inngest was lost")
	// ErrPanic is a run that panicked, a defect of ours. It is retried; the log has the stack.
	ErrPanic = errors.New("run panicked")
)

// Functions are the three typed functions, those for what they give up, and the reconcile: behind Inngest's serve handler, or in a worker.
type Functions struct {
	client  inngestgo.Client
	users   Users
	metrics metrics
	o       Options
	ids     []string

	connection atomic.Pointer[connect.WorkerConnection] // nil: this is no worker, or it is not connected
}

// IDs are those of the functions.
func (f *Functions) IDs() []string { return slices.Clone(f.ids) }

// NewFunctions registers the functions; it does not connect.
func NewFunctions(users Users, o Options) (*Functions, error) {
	o = o.withDefaults()
	client, err := inngestgo.NewClient(o.client())
	if err != nil {
		return nil, fmt.Errorf("make inngest client: %w", err)
	}
	f := &Functions{client: client, users: users, metrics: newMetrics(o.Registerer), o: o}
	for _, fn := range []struct {
		id, name, event string
		do              func(context.Context, clerk.User, clerk.Version) (clerk.Outcome, error)
	}{
		{SyncUser, "Sync user from Clerk", clerk.UserCreated, f.applyChange},
		{UpdateUser, "Update user from Clerk", clerk.UserUpdated, f.applyChange},
		{DeleteUser, "Delete user with Clerk", clerk.UserDeleted, f.deleteUser},
	} {
		opts := inngestgo.FunctionOpts{ID: fn.id, Name: fn.name, Retries: &o.Retries, Concurrency: o.concurrency()}
		_, err := inngestgo.CreateFunction(client, opts, inngestgo.EventTrigger(fn.event, nil), f.run(fn.id, fn.event, fn.do))
		if err != nil {
			return nil, fmt.Errorf("register %s: %w", fn.id, err)
		}
		f.ids = append(f.ids, fn.id)
	}
	if err := f.registerDeadLetters(); err != nil {
		return nil, err
	}
	if err := f.registerReconcile(); err != nil {
		return nil, err
	}
	return f, nil
}

func (o Options) concurrency() *inngestgo.ConfigConcurrency {
	limits := []inngestgo.ConfigStepConcurrency{{Limit: 1, Key: new(perUser), Scope: enums.ConcurrencyScopeEnv}}
	if o.Concurrency > 0 {
		limits = append(limits, inngestgo.ConfigStepConcurrency{Limit: o.Concurrency, Scope: enums.ConcurrencyScopeFn})
	}
	return &inngestgo.ConfigConcurrency{Step: limits}
}

func (f *Functions) applyChange(ctx context.Context, u clerk.User, v clerk.Version) (clerk.Outcome, error) {
	return f.users.Apply(ctx, u.Change(v))
}

func (f *Functions) deleteUser(ctx context.Context, u clerk.User, v clerk.Version) (clerk.Outcome, error) {
	return f.users.Delete(ctx, u.ID, v)
}

// userEvent is a user event as Inngest passes it to a function.
type userEvent = inngestgo.GenericEvent[userData]

// userData is the user in an event's data, or why it can't be read. inngestgo fails a run whose data does not
// decode before we see it; here the fault is kept, so that the function judges and logs it.
type userData struct {
	user clerk.User
	err  error
}

// UnmarshalJSON never returns an error.
func (d *userData) UnmarshalJSON(raw []byte) error {
	d.user, d.err = clerk.ParseUser(raw)
	return nil
}

// run is the frame of every function: deadline, panics, what is retried, the log line and the metrics.
func (f *Functions) run(
	id, event string, do func(context.Context, clerk.User, clerk.Version) (clerk.Outcome, error),
) inngestgo.SDKFunction[userData] {
	return func(ctx context.Context, in inngestgo.Input[userData]) (any, error) {
		start := time.Now()
		ctx, cancel := context.WithTimeoutCause(ctx, f.o.RunTimeout, ErrRunTimeout)
		defer cancel()
		ctx, span := f.startSpan(ctx, id, eventID(in.Event))
		defer span.End()
		var outcome clerk.Outcome
		err := ErrWrongEvent
		if in.Event.Name == event || in.Event.Name == invokedByHand {
			outcome, err = f.do(ctx, in.Event, do)
		}
		f.observe(ctx, id, in, outcome, err, time.Since(start))
		switch {
		case err == nil:
			return outcome, nil
		case permanent(err):
			return nil, sdkerrors.NoRetryError(err)
		default:
			return nil, err
		}
	}
}

func (f *Functions) do(
	ctx context.Context, e userEvent, do func(context.Context, clerk.User, clerk.Version) (clerk.Outcome, error),
) (outcome clerk.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			outcome, err = "", f.panicked(ctx, p)
		}
	}()
	u := e.Data.user
	if e.Data.err != nil {
		return "", fmt.Errorf("read event: %w", e.Data.err)
	}
	// A replay is the event that it repeats, at the same place in the user's history.
	own, replay := clerk.Replay(eventID(e))
	outcome, err = do(ctx, u, u.Version(own, e.Timestamp))
	if err == nil && replay > 0 {
		err = f.users.CloseDeadLetter(ctx, own)
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrRunTimeout) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return "", fmt.Errorf("sync %s: %w", u.ID, err)
	}
	return outcome, nil
}

// panicked logs a panic. Its value may quote the event, so only its type is kept.
func (f *Functions) panicked(ctx context.Context, p any) error {
	f.o.Logger.LogAttrs(ctx, slog.LevelError, "function panicked",
		slog.String(clerk.KeyReason, fmt.Sprintf("%T", p)), slog.String(clerk.KeyStack, string(debug.Stack())))
	return ErrPanic
}

// permanent says that no retry can help. It is the only place that decides this: everything else is retried.
func permanent(err error) bool {
	return errors.Is(err, clerk.ErrMalformed) || errors.Is(err, ErrWrongEvent)
}

func eventID(e userEvent) string {
	if e.ID == nil {
		return ""
	}
	return *e.ID
}

func (f *Functions) observe(
	ctx context.Context, id string, in inngestgo.Input[userData], out clerk.Outcome, err error, took time.Duration,
) {
	level, msg, label := slog.LevelInfo, "function finished", string(out)
	switch {
	case err != nil && permanent(err):
		level, msg, label = slog.LevelError, "function failed, will not be retried", "failed"
	case err != nil:
		level, msg, label = slog.LevelWarn, "function failed, will be retried", "error"
	}
	f.metrics.ran(id, label, took)
	// A replay comes when somebody sends it: that says nothing of how fast the sync is.
	if _, replay := clerk.Replay(eventID(in.Event)); replay == 0 && changed(out) {
		f.metrics.applied(in.Event.Timestamp, time.Now())
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		describe(span, in, label, err)
	}
	attrs := []slog.Attr{
		slog.String(clerk.KeyFunction, id),
		slog.String(clerk.KeyEventID, eventID(in.Event)),
		slog.String(clerk.KeyEvent, in.Event.Name),
		slog.String(clerk.KeyUserID, in.Event.Data.user.ID),
		slog.String(clerk.KeyRunID, in.InputCtx.RunID),
		slog.Int(clerk.KeyAttempt, in.InputCtx.Attempt),
		slog.String(clerk.KeyOutcome, label),
		slog.Duration(clerk.KeyDuration, took),
	}
	if err != nil {
		attrs = append(attrs, slog.String(clerk.KeyError, err.Error()))
	}
	f.o.Logger.LogAttrs(ctx, level, msg, attrs...) //nolint:sloglint // one of the three above
}

// changed says whether the copy is another one than before.
func changed(out clerk.Outcome) bool {
	return out == clerk.Created || out == clerk.Updated || out == clerk.Deleted
}
