package inngest

import (
	"context"
	"log/slog"
	"slices"
)

// sdkLog passes on what inngestgo logs, but for what has been said: the error that a function returned, since that
// run has its own line, and that of a sync, which inngestgo logs twice.
type sdkLog struct{ slog.Handler }

// Handle drops the lines that repeat another.
func (l sdkLog) Handle(ctx context.Context, r slog.Record) error {
	switch r.Message {
	case "error calling function", "error registering functions":
		return nil
	case "could not send buffered message via API", "sent buffered message via API": // of Connect, and not marked so
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs keeps the filter on the logger that inngestgo derives for a call, or for Connect.
func (l sdkLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := sdkLog{l.Handler.WithAttrs(attrs)}
	if slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == "mode" && a.Value.String() == "connect" }) {
		return connectLog{next}
	}
	return next
}

// WithGroup keeps the filter, too.
func (l sdkLog) WithGroup(name string) slog.Handler { return sdkLog{l.Handler.WithGroup(name)} }

// connectLog is for what inngestgo logs of a worker's connection: errors, when it is closed as it should. Work says what matters.
type connectLog struct{ slog.Handler }

// Enabled is that of what it makes of a line.
func (l connectLog) Enabled(ctx context.Context, _ slog.Level) bool {
	return l.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle makes each line one for finding faults.
func (l connectLog) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return l.Handler.Handle(ctx, r)
}

// WithAttrs keeps the level down.
func (l connectLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return connectLog{l.Handler.WithAttrs(attrs)}
}

// WithGroup does, too.
func (l connectLog) WithGroup(name string) slog.Handler { return connectLog{l.Handler.WithGroup(name)} }
