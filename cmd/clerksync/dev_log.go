//go:build !nodev

package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lmittmann/tint"

	"github.com/glowup-app/clerksync/clerk"
)

// devLog shows the records that tell of an event's way as a short line each, and of the others the warnings
// and errors, or with LOG_LEVEL=debug all.
type devLog struct {
	out   *screen
	level slog.Level
	rest  slog.Handler
}

func newDevLog(out *screen, level slog.Level) *devLog {
	rest := slog.LevelWarn
	if level != slog.LevelInfo {
		rest = level
	}
	return &devLog{out: out, level: level, rest: tint.NewTextHandler(out, &tint.Options{
		Level: rest, TimeFormat: time.TimeOnly, NoColor: !out.colours,
	})}
}

// Enabled is true at any level: what a record is about is in its message.
func (l *devLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is for the libraries' records; those about events carry all they have themselves.
func (l *devLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &devLog{out: l.out, level: l.level, rest: l.rest.WithAttrs(attrs)}
}

// WithGroup is for the libraries' records, too.
func (l *devLog) WithGroup(name string) slog.Handler {
	return &devLog{out: l.out, level: l.level, rest: l.rest.WithGroup(name)}
}

// Handle writes one line or none.
func (l *devLog) Handle(ctx context.Context, r slog.Record) error {
	if s, ok := stepOf(r); ok {
		if max(r.Level, slog.LevelInfo) >= l.level {
			l.out.println(l.line(s))
		}
		return nil
	}
	// The embedded database is just that, and here nobody takes it for more.
	if strings.HasPrefix(r.Message, "the database is FerretDB 1") || !l.rest.Enabled(ctx, r.Level) {
		return nil
	}
	return l.rest.Handle(ctx, r)
}

// step is one on an event's way.
type step struct {
	at     time.Time
	colour colour
	name   string
	event  string
	userID string
	tail   string
}

// stepOf reads the records of packages webhook and inngest, and of received.
func stepOf(r slog.Record) (step, bool) {
	values := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		values[a.Key] = a.Value
		return true
	})
	text := func(key string) string {
		if v, ok := values[key]; ok {
			return v.String()
		}
		return ""
	}
	s := step{at: r.Time, event: strings.TrimPrefix(text(clerk.KeyEvent), "clerk/"), userID: text(clerk.KeyUserID)}
	switch r.Message {
	case "webhook received":
		s.colour, s.name = cyan, "received"
	case "webhook handed over":
		s.colour, s.name, s.tail = blue, "handed over", took(values)
	case "webhook refused":
		s.colour, s.name = red, "refused"
		s.tail = fmt.Sprintf("%s %s: %s", text(clerk.KeyStatus), text(clerk.KeyOutcome), text(clerk.KeyReason))
	case "function finished":
		s.colour, s.name, s.tail = green, text(clerk.KeyOutcome), took(values)
		switch clerk.Outcome(s.name) {
		case clerk.Unchanged, clerk.Stale, clerk.AlreadyDeleted:
			s.colour = yellow
		}
	case "function failed, will be retried":
		s.colour, s.name, s.tail = yellow, "will retry", text(clerk.KeyError)
	case "function failed, will not be retried":
		s.colour, s.name, s.tail = red, "failed", text(clerk.KeyError)
	default:
		return step{}, false
	}
	return s, true
}

func took(values map[string]slog.Value) string {
	v, ok := values[clerk.KeyDuration]
	if !ok || v.Kind() != slog.KindDuration {
		return ""
	}
	return fmt.Sprintf("in %.3g ms", float64(v.Duration())/float64(time.Millisecond))
}

// nameWidth is that of the longest name, "already deleted".
const nameWidth = 15

func (l *devLog) line(s step) string {
	columns := []string{l.out.dim(s.at.Format(time.TimeOnly)), l.out.paint(s.colour, fmt.Sprintf("%-*s", nameWidth, s.name))}
	for _, c := range []string{printable(s.event), printable(s.userID), l.out.dim(printable(s.tail))} {
		if c != "" {
			columns = append(columns, c)
		}
	}
	return strings.Join(columns, "  ")
}
