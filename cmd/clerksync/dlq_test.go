package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store"
	"github.com/glowup-app/clerksync/store/embedded"
)

func TestParseAge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "36h": 36 * time.Hour, "0s": 0, "0d": 0} {
		if got, err := parseAge(text); want != got || err != nil {
			t.Errorf("%s: want %v, got %v and %v", text, want, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "7", "week", "99999d", "1.5d", "-5h"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%s: want an error, got %v", text, got)
		}
	}
}

func TestDLQIsCalledWrongly(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URI=mongodb://127.0.0.1:1/glowup?serverSelectionTimeoutMS=10"}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a state that there is not", []string{"list", "--state", "open"}, "waiting, replayed or closed"},
		{"an age without a unit", []string{"list", "--older-than", "7"}, "an age such as 36h or 7d"},
		{"an argument too many", []string{"list", "msg_1"}, `unexpected argument "msg_1"`},
		{"show without an id", []string{"show"}, "want one ID"},
		{"replay of nothing", []string{"replay"}, "want IDs, or --all"},
		{"replay of everything and something", []string{"replay", "--all", "msg_1"}, "want IDs, or --all"},
		{"purge of everything", []string{"purge"}, "want --older-than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call(t, environ, "", append([]string{"dlq"}, tt.args...)...).want(t, exitUsage, tt.want, "--help")
		})
	}
	t.Run("replay without an event key", func(t *testing.T) {
		t.Parallel()
		call(t, environ, "", "dlq", "replay", "--all").want(t, 1, "INNGEST_API_KEY is missing")
	})
}

// lettersStore is an empty database, and the environment that names it.
func lettersStore(t *testing.T) (*store.Store, []string) {
	t.Helper()
	db, err := embedded.Start(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(db.URI(), "glowup", "users", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, []string{"DATABASE_URI=" + db.URI() + "glowup"}
}

func keepLetter(t *testing.T, s *store.Store, eventID, userID string) {
	t.Helper()
	err := s.KeepDeadLetter(t.Context(), clerk.DeadLetter{
		Event:    clerk.Event{ID: eventID, Name: clerk.UserCreated, Data: []byte(`{"id":"` + userID + `","first_name":"canary"}`)},
		Function: "sync-user-from-clerk", RunID: "run_1", Reason: "no", FailedAt: time.UnixMilli(1700000000000),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hostileID moves the cursor, where it is printed as it came.
const hostileID = "msg_\x1b[2J\n1"

func TestDLQList(t *testing.T) {
	t.Parallel()
	s, environ := lettersStore(t)
	call(t, environ, "", "dlq", "list").want(t, 0, "no dead letters\n")
	keepLetter(t, s, hostileID, "user_1")
	call(t, environ, "", "dlq", "list").want(t, 0, "FAILED                STATE    EVENT               USER    ID              REASON\n"+
		`2023-11-14T22:13:20Z  waiting  clerk/user.created  user_1  msg_\x1b[2J\n1  no`+"\n")
	list := call(t, environ, "", "dlq", "list", "--json")
	list.want(t, 0, `"user_id":"user_1"`)
	if strings.Contains(list.stdout, "canary") { // a list shows nothing personal
		t.Errorf("want the letter without its data, got %s", list.stdout)
	}
	for _, other := range [][]string{
		{"--type", "user.deleted"}, {"--user", "user_2"}, {"--newer-than", "7d"}, {"--state", "closed"},
	} {
		call(t, environ, "", append([]string{"dlq", "list"}, other...)...).want(t, 0, "no dead letters\n")
	}
	call(t, environ, "", "dlq", "list", "--type", "user.created", "--user", "user_1", "--older-than", "7d", "--state", "waiting").want(t, 0, "user_1")
	call(t, environ, "", "dlq", "show", hostileID).want(t, 0, `"first_name": "canary"`)
	call(t, environ, "", "dlq", "show", "msg_2").want(t, 1, "no such dead letter")
}

func TestDLQReplay(t *testing.T) {
	t.Parallel()
	s, environ := lettersStore(t)
	var mu sync.Mutex
	var sent []string
	inngest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var events []clerk.Event
		if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			sent = append(sent, e.ID)
		}
		_, _ = io.WriteString(w, `{"ids":["01H"],"status":200}`)
	}))
	t.Cleanup(inngest.Close)
	environ = append(environ, "INNGEST_DEV="+inngest.URL)
	keepLetter(t, s, hostileID, "user_1")
	keepLetter(t, s, "msg_2", "user_2")
	if _, err := s.Delete(t.Context(), "user_2", clerk.Version{}); err != nil {
		t.Fatal(err)
	}
	call(t, environ, "", "dlq", "replay", "msg_2").want(t, 1, "its user was deleted")
	call(t, environ, "", "dlq", "replay", "--all", "--dry-run").want(t, 0, `msg_\x1b[2J\n1  would be replayed`)
	call(t, environ, "", "dlq", "replay", "--all").want(t, 0, `msg_\x1b[2J\n1  replayed as msg_\x1b[2J\n1~replay-1`+"\n")
	call(t, environ, "", "dlq", "replay", hostileID).want(t, 1, `msg_\x1b[2J\n1  not replayed: the dead letter is not waiting: it is replayed`)
	call(t, environ, "", "dlq", "replay", "--all").want(t, 0)
	mu.Lock()
	defer mu.Unlock()
	if d := cmp.Diff([]string{hostileID + "~replay-1"}, sent); d != "" {
		t.Errorf("sent (-want +got)\n%s", d)
	}
}

func TestDLQPurge(t *testing.T) {
	t.Parallel()
	s, environ := lettersStore(t)
	keepLetter(t, s, "msg_1", "user_1")
	keepLetter(t, s, "msg_2", "user_2")
	call(t, environ, "", "dlq", "purge", "--older-than", "7d", "--dry-run").want(t, 0, "to be purged: 2\n")
	call(t, environ, "", "dlq", "purge", "--older-than", "3650d").want(t, 0, "purged: 0\n")
	call(t, environ, "", "dlq", "purge", "--older-than", "7d", "--user", "user_1").want(t, 0, "purged: 1\n")
	left := call(t, environ, "", "dlq", "list")
	left.want(t, 0, "msg_2")
	if strings.Contains(left.stdout, "msg_1") {
		t.Errorf("want the letter purged, got %s", left.stdout)
	}
}
