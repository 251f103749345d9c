package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/glowup-app/clerksync/clerk"
)

// The answers are MongoDB's, as https://www.mongodb.com/docs/manual/reference/command/hello/ has them, and FerretDB's.
func TestDescribeServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, build, hello string
		want               Server
		text               string
		transactions       bool
	}{
		{
			"a replica set", `{"version":"8.0.4"}`, `{"setName":"rs0","hosts":["a:1","b:1"],"passives":["c:1"],"arbiters":["d:1"]}`,
			Server{Name: "MongoDB", Version: "8.0.4", ReplicaSet: "rs0", DataMembers: 3, Arbiters: 1},
			"MongoDB 8.0.4, replica set rs0 of 4", true,
		},
		{"a sharded cluster", `{"version":"8.0.4"}`, `{"msg":"isdbgrid"}`, Server{Name: "MongoDB", Version: "8.0.4", Sharded: true}, "MongoDB 8.0.4, sharded", true},
		{"a single server", `{"version":"8.0.4"}`, `{}`, Server{Name: "MongoDB", Version: "8.0.4"}, "MongoDB 8.0.4, a single server", false},
		{
			"FerretDB 1", `{"version":"7.0.42","ferretdbVersion":"v1.24.2"}`, `{}`,
			Server{Name: "FerretDB", Version: "v1.24.2", OneWriter: true},
			"FerretDB v1.24.2, a single server", false,
		},
		{
			"FerretDB 1 that does not know its version", `{"version":"7.0.42","ferretdbVersion":"unknown"}`, `{}`,
			Server{Name: "FerretDB", Version: "1", OneWriter: true},
			"FerretDB 1, a single server", false,
		},
		{
			"FerretDB 2", `{"version":"7.0.77","ferretdb":{"version":"v2.5.0"}}`, `{"setName":"rs0","hosts":["a:1"]}`,
			Server{Name: "FerretDB", Version: "v2.5.0", ReplicaSet: "rs0", DataMembers: 1},
			"FerretDB v2.5.0, replica set rs0 of 1", false,
		},
		{"something else", `{}`, `{"hosts":3,"setName":1}`, Server{Name: "MongoDB"}, "MongoDB, a single server", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := describeServer(rawJSON(t, tt.build), rawJSON(t, tt.hello))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("server (-want +got)\n%s", d)
			}
			if got.String() != tt.text || got.Transactions() != tt.transactions || got.Expires() == got.OneWriter {
				t.Errorf("want %q, transactions %v, TTL unless one writer; got %q, %v, %v", tt.text, tt.transactions, got, got.Transactions(), got.Expires())
			}
		})
	}
}

func rawJSON(t *testing.T, text string) bson.Raw {
	t.Helper()
	var d bson.Raw
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Whatever the connection string says.
func TestWriteConcern(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "?w=1", "?w=0&journal=false", "?w=majority&journal=false"} {
		s, err := New("mongodb://127.0.0.1:1/x"+query, "x", "users", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.WriteConcern(); got != "majority" {
			t.Errorf("%q: want majority, got %s", query, got)
		}
	}
	no := false
	for want, w := range map[string]*writeconcern.WriteConcern{
		"the server's default": nil, "1": writeconcern.W1(), "majority, without the journal": {W: "majority", Journal: &no},
	} {
		if got := concern(w); want != got {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestMissingIndexes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := func(when string, texts ...string) {
		t.Helper()
		got, err := s.MissingIndexes(t.Context())
		if err != nil || len(got) != len(texts) {
			t.Errorf("%s: want %q, got %q and %v", when, texts, got, err)
			return
		}
		for i, text := range texts {
			if !strings.Contains(got[i], text) {
				t.Errorf("%s: want %q, got %q", when, text, got[i])
			}
		}
	}
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("set up")
	if err := s.users.Indexes().DropOne(t.Context(), "username_1"); err != nil {
		t.Fatal(err)
	}
	want("without the username's", "no unique index on username")
	if _, err := s.users.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: "username", Value: 1}}, Options: options.Index()}); err != nil {
		t.Fatal(err)
	}
	want("with one that is not unique", "must be unique")
	if err := s.letters.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	server, err := s.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.Expires() {
		want("without letters", "must be unique", "no index on user_id", "no index on state", "no TTL index on failed_at")
	} else {
		want("without letters", "must be unique", "no index on user_id", "no index on state")
	}
}

func TestExpiryFault(t *testing.T) {
	t.Parallel()
	e := expiry{setupNothing(t).letters, "failed_at", time.Hour}
	seconds := func(n int64) *index { return &index{ExpireAfter: &n} }
	for want, i := range map[string]*index{
		"": seconds(3600), "users_dead_letters expires after 1m0s, not 1h0m0s": seconds(60), "users_dead_letters has no TTL index on failed_at": {},
	} {
		if got := e.fault(i); want != got {
			t.Errorf("want %q, got %q", want, got)
		}
	}
	if got := e.fault(nil); !strings.Contains(got, "no TTL index") {
		t.Errorf("want no TTL index, got %q", got)
	}
}

// setupNothing is a store that asks nobody.
func setupNothing(t *testing.T) *Store {
	t.Helper()
	s, err := New("mongodb://127.0.0.1:1", "x", "users", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWaitingLetters(t *testing.T) {
	t.Parallel()
	s := setup(t)
	keep := func(id, user string) {
		t.Helper()
		err := s.KeepDeadLetter(t.Context(), clerk.DeadLetter{Event: clerk.Event{ID: id, Name: clerk.UserCreated, Data: []byte(`{"id":"` + user + `"}`)}, RunID: "run", FailedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
	keep("msg_1", "user_1")
	keep("msg_2", "user_2")
	keep("msg_3", "user_3")
	if err := s.CloseDeadLetter(t.Context(), "msg_2"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(t.Context(), "user_3", clerk.Version{}); err != nil { // its letter still waits, and holds nothing
		t.Fatal(err)
	}
	if n, err := s.WaitingLetters(t.Context()); n != 1 || err != nil {
		t.Errorf("want 1 that waits, is not closed and holds its event, got %d and %v", n, err)
	}
}
