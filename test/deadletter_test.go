package test

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// letter is what `clerksync dlq list --json` prints of a dead letter.
type letter struct {
	ID, Event, Reason, State string
	UserID                   string `json:"user_id"`
	RunID                    string `json:"run_id"`
	Replays                  int
}

// command runs clerksync with the world's environment, and returns what it printed.
func (w *world) command(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = w.t.TempDir()
	cmd.Env = append([]string{"DATABASE_URI=" + w.dbURI}, w.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("clerksync %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// letters are the dead letters, by id.
func (w *world) letters() map[string]letter {
	w.t.Helper()
	all := map[string]letter{}
	for text := range strings.Lines(w.command("dlq", "list", "--json")) {
		var l letter
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			w.t.Fatalf("dlq list: %v in %s", err, text)
		}
		all[l.ID] = l
	}
	return all
}

func (w *world) awaitLetter(id, state string) letter {
	w.t.Helper()
	var l letter
	waitFor(w.t, "the dead letter of "+id+" to be "+state, func() bool {
		l = w.letters()[id]
		return l.State == state
	})
	return l
}

// runOf waits for a run that works on the event, and will work on it again.
func (w *world) runOf(eventID string) (runID string) {
	w.t.Helper()
	waitFor(w.t, "a run that fails", func() bool {
		l := w.app.find(func(l line) bool { return l.str("event_id") == eventID && l.str("outcome") == "error" })
		runID = l.str("run_id")
		return l != nil
	})
	return runID
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	// The database is away, and runs are not retried, but for those that keep dead letters.
	addr := "127.0.0.1:" + freePort(t)
	w := newWorld(t, with("FUNCTION_RETRIES=0"), func(w *world) {
		w.dbURI = "mongodb://" + addr + "/glowup?serverSelectionTimeoutMS=300"
	})
	id := newID("user")
	given := w.send("user.created", user(id, 10))
	bad := w.send("user.updated", map[string]any{"id": newID("user"), "first_name": []any{"canary"}})
	w.runOf(given)
	w.startDatabase(addr)

	if want, got := "sync "+id+": ", w.awaitLetter(given, "waiting").Reason; !strings.HasPrefix(got, want) {
		t.Errorf("reason: want %s…, got %s", want, got)
	}
	l := w.awaitLetter(bad, "waiting")
	if want, got := "read event: data.first_name: want string, got array", l.Reason; want != got {
		t.Errorf("reason: want %q, got %q", want, got)
	}
	if shown := w.command("dlq", "show", bad); !strings.Contains(shown, "canary") {
		t.Errorf("want the event shown, got %s", shown)
	}
	if w.doc(id) != nil {
		t.Error("want no document before the replay")
	}

	w.command("dlq", "replay", "--all")
	w.awaitLetter(given, "closed")
	if w.doc(id) == nil {
		t.Error("want a document after the replay")
	}
	waitFor(t, "the replay that can't succeed to fail", func() bool {
		l := w.letters()[bad]
		return l.State == "waiting" && l.Replays == 1
	})

	w.do("deleted", "user.deleted", map[string]any{"id": l.UserID, "deleted": true})
	if shown := w.command("dlq", "show", bad); strings.Contains(shown, "canary") {
		t.Errorf("want the deleted user's data gone, got %s", shown)
	}
	w.command("dlq", "purge", "--older-than", "0s")
	if left := w.letters(); len(left) > 0 {
		t.Errorf("want no letters after the purge, got %v", left)
	}
}

func TestCancelledRunBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	w := newWorld(t, func(w *world) { w.dbURI = "mongodb://" + addr + "/glowup?serverSelectionTimeoutMS=300" })
	event := w.send("user.created", user(newID("user"), 10))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.devURL+"/v1/runs/"+w.runOf(event), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("cancel the run: status %d", resp.StatusCode)
	}
	w.startDatabase(addr)
	if l := w.awaitLetter(event, "waiting"); l.Reason == "" {
		t.Error("want a reason")
	}
}
