package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
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
	out, err := w.tryCommand(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// tryCommand returns an error, with what was printed to stderr, for an exit code other than 0.
func (w *world) tryCommand(args ...string) (string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = w.t.TempDir()
	cmd.Env = append([]string{"DATABASE_URI=" + w.dbURI}, w.env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("clerksync %s: %w\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
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

// awaitLetter waits for an event's dead letter to be in that state.
func (w *world) awaitLetter(id, state string) letter {
	w.t.Helper()
	waitFor(w.t, "the dead letter of "+id+" to be "+state, func() bool {
		return w.all("users_dead_letters")[id]["state"] == state
	})
	return w.letters()[id]
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

// databaseAway is an option of newWorld: nobody listens at addr yet. The run that finds that out fails after 2 s, which must be
// enough to connect once the database is there.
func databaseAway(addr string) func(*world) {
	return func(w *world) { w.dbURI = "mongodb://" + addr + "/glowup?serverSelectionTimeoutMS=2000" }
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	// The database is away, and runs are not retried, but for those that keep dead letters.
	addr := "127.0.0.1:" + freePort(t)
	w := newWorld(t, with("FUNCTION_RETRIES=0"), databaseAway(addr))
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

	// By mistake it is run twice, and at once: each event is sent once all the same.
	var twice sync.WaitGroup
	for range 2 {
		twice.Go(func() { _, _ = w.tryCommand("dlq", "replay", "--all") }) // the slower one may find nothing that waits
	}
	twice.Wait()
	w.awaitLetter(given, "closed")
	if w.doc(id) == nil {
		t.Error("want a document after the replay")
	}
	waitFor(t, "the replay that can't succeed to fail", func() bool {
		l := w.letters()[bad]
		return l.State == "waiting" && l.Replays == 1
	})
	if out, err := w.tryCommand("dlq", "replay", given); err == nil {
		t.Errorf("want no replay of a closed letter, got %s", out)
	}
	runs := map[string]int{}
	w.app.since(0, func(l line) { runs[l.str("event_id")+" "+l.str("outcome")]++ })
	for _, want := range []string{given + "~replay-1 created", bad + "~replay-1 failed"} {
		if got := runs[want]; got != 1 {
			t.Errorf("runs of %s: want 1, got %d", want, got)
		}
	}

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
	w := newWorld(t, databaseAway(addr))
	event := w.send("user.created", user(newID("user"), 10))
	run := w.runOf(event)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.devURL+"/v1/runs/"+run, nil)
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
	if want, got := run, w.awaitLetter(event, "waiting").RunID; want != got {
		t.Errorf("run of the letter: want %s, got %s", want, got)
	}
}

// Embedded, whatever TEST_DATABASE_URI says: there the sweep is what removes, not a TTL index.
func TestDeadLettersExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("DEAD_LETTER_RETENTION=2h"), func(w *world) { w.startDatabase("127.0.0.1:" + freePort(t)) })
	now := time.Now()
	for id, age := range map[string]time.Duration{"old": 3 * time.Hour, "fresh": time.Hour} {
		letter := bson.M{"_id": id, "failed_at": now.Add(-age)}
		if _, err := w.users.Database().Collection("users_dead_letters").InsertOne(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
	}
	// Its hour is at night.
	if want, got := "true", w.askInngest(`mutation { invokeFunction(data: {}, functionSlug: "glowup-app-sweep-expired") }`); !strings.Contains(got, want) {
		t.Fatalf("invoke the sweep: want %s, got %s", want, got)
	}
	waitFor(t, "the old letter to be swept", func() bool { return w.all("users_dead_letters")["old"] == nil })
	if w.all("users_dead_letters")["fresh"] == nil {
		t.Error("want the letter kept that is younger than the retention, it is gone")
	}
}
