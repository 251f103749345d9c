//go:build !nodev

package main

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
)

// The records of one user's way, as packages webhook and inngest write them, and some others.
func logTheWay(t *testing.T, h slog.Handler) {
	t.Helper()
	user := []slog.Attr{slog.String(clerk.KeyEvent, clerk.UserCreated), slog.String(clerk.KeyUserID, "user_2a")}
	duration := slog.Duration(clerk.KeyDuration, 12345*time.Microsecond)
	for _, r := range []struct {
		level slog.Level
		msg   string
		attrs []slog.Attr
	}{
		{slog.LevelInfo, "server started", nil},
		{slog.LevelWarn, "the database is FerretDB 1, for development only: run one clerksync on it", nil},
		{slog.LevelDebug, "webhook received", user},
		{slog.LevelInfo, "webhook handed over", append(user, duration)},
		{slog.LevelInfo, "function finished", append(user, duration, slog.String(clerk.KeyOutcome, string(clerk.Created)))},
		{slog.LevelInfo, "function finished", append(user, duration, slog.String(clerk.KeyOutcome, string(clerk.AlreadyDeleted)))},
		{slog.LevelWarn, "function failed, will be retried", append(user, slog.String(clerk.KeyError, "sync user_2a: run timed out"))},
		{slog.LevelError, "function failed, will not be retried", append(user, slog.String(clerk.KeyError, "read event: data.id: want string, got null"))},
		{slog.LevelWarn, "webhook refused", []slog.Attr{
			slog.Int(clerk.KeyStatus, 401), slog.String(clerk.KeyOutcome, "unverified"), slog.String(clerk.KeyReason, "no signature headers"),
		}},
		{slog.LevelWarn, "database not ready", []slog.Attr{slog.Duration("retry_in", time.Second)}},
	} {
		if !h.Enabled(t.Context(), r.level) {
			continue
		}
		record := slog.NewRecord(time.Date(2026, 11, 23, 14, 3, 11, 0, time.UTC), r.level, r.msg, 0)
		record.AddAttrs(r.attrs...)
		if err := h.Handle(t.Context(), record); err != nil {
			t.Error(err)
		}
	}
}

func TestDevLogShowsTheWayOfAnEvent(t *testing.T) {
	t.Parallel()
	const refusals = `14:03:11  will retry       user.created  user_2a  sync user_2a: run timed out
14:03:11  failed           user.created  user_2a  read event: data.id: want string, got null
14:03:11  refused          401 unverified: no signature headers
14:03:11 WRN database not ready retry_in=1s
`
	const way = `14:03:11  received         user.created  user_2a
14:03:11  handed over      user.created  user_2a  in 12.3 ms
14:03:11  created          user.created  user_2a  in 12.3 ms
14:03:11  already deleted  user.created  user_2a  in 12.3 ms
` + refusals
	for name, tt := range map[string]struct {
		level slog.Level
		want  string
	}{
		"as it comes":       {slog.LevelInfo, way},
		"with all the rest": {slog.LevelDebug, "14:03:11 INF server started\n" + way},
		"warnings only":     {slog.LevelWarn, refusals},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logTheWay(t, newDevLog(newScreen(&out, nil), tt.level))
			if d := cmp.Diff(tt.want, out.String()); d != "" {
				t.Errorf("lines (-want +got)\n%s", d)
			}
		})
	}
}

func TestDevLogInColours(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newDevLog(&screen{w: &out, colours: true}, slog.LevelInfo)
	s := step{
		at: time.Date(2026, 11, 23, 14, 3, 11, 0, time.UTC), colour: green,
		name: "created", event: "user.created", userID: "user_2a", tail: "in 3 ms",
	}
	want := "\x1b[2m14:03:11\x1b[0m  \x1b[32mcreated        \x1b[0m  user.created  user_2a  \x1b[2min 3 ms\x1b[0m"
	if d := cmp.Diff(want, l.line(s)); d != "" {
		t.Errorf("line (-want +got)\n%s", d)
	}
}

func TestDevLogKeepsTheLibrariesAttributes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(newDevLog(newScreen(&out, nil), slog.LevelInfo)).With(slog.String("mode", "serve")).WithGroup("sdk")
	log.WarnContext(t.Context(), "odd", slog.Int("n", 1))
	if got := out.String(); len(got) < 9 || got[8:] != " WRN odd mode=serve sdk.n=1\n" {
		t.Errorf("line: want its attributes, got %q", got)
	}
}
