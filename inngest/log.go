package inngest

import (
	"context"
	"log/slog"
)

// sdkLog passes on what inngestgo logs, but for what has been said: the error that a function returned, since that
// run has its own line, and that of a sync, which inngestgo logs twice.
type sdkLog struct{ slog.Handler }

// Handle drops the lines that repeat another.
func (l sdkLog) Handle(ctx context.Context, r slog.Record) error {
	switch r.Message {
	case "error calling function", "error registering functions":
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs keeps the filter on the logger that inngestgo derives for a call.
func (l sdkLog) WithAttrs(attrs []slog.Attr) slog.Handler { return sdkLog{l.Handler.WithAttrs(attrs)} }

// WithGroup keeps the filter, too.
func (l sdkLog) WithGroup(name string) slog.Handler { return sdkLog{l.Handler.WithGroup(name)} }
