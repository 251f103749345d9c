package inngest

import (
	"context"
	"log/slog"
)

// sdkLog passes on what inngestgo logs, but for the error that a function returned: that run has its own line.
type sdkLog struct{ slog.Handler }

// Handle drops the line that repeats ours.
func (l sdkLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "error calling function" {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs keeps the filter on the logger that inngestgo derives for a call.
func (l sdkLog) WithAttrs(attrs []slog.Attr) slog.Handler { return sdkLog{l.Handler.WithAttrs(attrs)} }

// WithGroup keeps the filter, too.
func (l sdkLog) WithGroup(name string) slog.Handler { return sdkLog{l.Handler.WithGroup(name)} }
