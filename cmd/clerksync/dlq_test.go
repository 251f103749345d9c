package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

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
	for _, text := range []string{"", "d", "-1d", "7", "week", "99999d", "1.5d"} {
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

func TestDLQList(t *testing.T) {
	t.Parallel()
	db, err := embedded.Start(t.Context(), "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"DATABASE_URI=" + db.URI() + "glowup"}
	s, err := store.New(db.URI(), "glowup", "users", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := db.Stop(); err != nil {
			t.Error(err)
		}
	})
	call(t, environ, "", "dlq", "list").want(t, 0, "no dead letters\n")
	err = s.KeepDeadLetter(t.Context(), clerk.DeadLetter{
		Event:    clerk.Event{ID: "msg_\x1b[2J\n1", Name: clerk.UserCreated, Data: []byte(`{"id":"user_1","first_name":"canary"}`)},
		Function: "sync-user-from-clerk", RunID: "run_1", Reason: "no", FailedAt: time.UnixMilli(1700000000000),
	})
	if err != nil {
		t.Fatal(err)
	}
	// What came from outside must not move the cursor, and a list shows nothing personal.
	call(t, environ, "", "dlq", "list").want(t, 0, "FAILED                STATE    EVENT               USER    ID              REASON\n"+
		`2023-11-14T22:13:20Z  waiting  clerk/user.created  user_1  msg_\x1b[2J\n1  no`+"\n")
	list := call(t, environ, "", "dlq", "list", "--json")
	list.want(t, 0, `"user_id":"user_1"`)
	if strings.Contains(list.stdout, "canary") {
		t.Errorf("want the letter without its data, got %s", list.stdout)
	}
	call(t, environ, "", "dlq", "show", "msg_\x1b[2J\n1").want(t, 0, `"first_name": "canary"`)
	call(t, environ, "", "dlq", "show", "msg_2").want(t, 1, "no such dead letter")
	call(t, environ, "", "dlq", "purge", "--older-than", "7d", "--dry-run").want(t, 0, "to be purged: 1\n")
	if n := count(t, db.URI()); n != 1 {
		t.Errorf("want the letter there after a dry run, got %d", n)
	}
}

func count(t *testing.T, uri string) int64 {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) }()
	n, err := client.Database("glowup").Collection("users_dead_letters").CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
