package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"

	"github.com/glowup-app/clerksync/clerk"
)

// newLogger logs to w: as format says, and where it says nothing as text on a terminal, else as JSON.
func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	terminal := isTerminal(w)
	if format == "json" || (format == "" && !terminal) {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: readable}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !terminal}))
}

// readable writes durations as people do; slog's JSON has nanoseconds without saying so.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// traceLog adds to a line the trace and the span that it belongs to.
type traceLog struct{ slog.Handler }

// Handle is the Handler's.
func (l traceLog) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String(clerk.KeyTraceID, span.TraceID().String()), slog.String(clerk.KeySpanID, span.SpanID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs keeps the addition on a derived logger.
func (l traceLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceLog{l.Handler.WithAttrs(attrs)}
}

// WithGroup keeps it, too.
func (l traceLog) WithGroup(name string) slog.Handler { return traceLog{l.Handler.WithGroup(name)} }

// wantsColours says whether colours may be written to w.
func wantsColours(w io.Writer, environ []string) bool {
	// https://no-color.org
	return isTerminal(w) && environment(environ, "NO_COLOR") == "" && environment(environ, "TERM") != "dumb"
}

func environment(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
