package store

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	mongoevent "go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
)

// commands are those that the driver has sent, each with its collection.
type commands struct {
	mu   sync.Mutex
	sent []string
}

func (c *commands) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := c.sent
	c.sent = nil
	return sent
}

// watch makes the store tell its commands. It is set up already: what it does once is not counted.
func watch(t *testing.T, s *Store) *commands {
	t.Helper()
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &commands{}
	client, err := mongo.Connect(options.Client().ApplyURI(serverURI).SetMonitor(&mongoevent.CommandMonitor{
		Started: func(_ context.Context, e *mongoevent.CommandStartedEvent) {
			c.mu.Lock()
			defer c.mu.Unlock()
			collection, _ := e.Command.Lookup(e.CommandName).StringValueOK()
			c.sent = append(c.sent, e.CommandName+" "+collection)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	s.client = client // setup's Cleanup disconnects it
	db := client.Database(s.users.Database().Name())
	s.users, s.tombstones, s.letters = db.Collection(s.users.Name()), db.Collection(s.tombstones.Name()), db.Collection(s.letters.Name())
	return c
}

// TestCommands holds each kind of event to what it costs the database. Most events are duplicates, stale, or change a
// document that is there: one read, and a write only where something changes.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := setup(t)
	sent := watch(t, s)
	const (
		findUser, findTombstone     = "find users", "find users_tombstones"
		insertUser, insertTombstone = "insert users", "insert users_tombstones"
		updateUser, deleteUser      = "update users", "delete users"
		redactLetters               = "update users_dead_letters"
	)
	change := func(at int64, id, first string) func() (clerk.Outcome, error) {
		return func() (clerk.Outcome, error) {
			return s.Apply(t.Context(), clerk.Change{UserID: "user_ann", Version: v(at, id), FirstName: clerk.Some(first), Email: clerk.Some("ann@example.com")})
		}
	}
	remove := func(at int64, id string) func() (clerk.Outcome, error) {
		return func() (clerk.Outcome, error) { return s.Delete(t.Context(), "user_ann", v(at, id)) }
	}
	for _, step := range []struct {
		name    string
		do      func() (clerk.Outcome, error)
		outcome clerk.Outcome
		want    []string
	}{
		// The tombstone is looked for on both sides of the insert: see make.
		{"create", change(1, "created", "Ann"), clerk.Created, []string{findUser, findTombstone, insertUser, findTombstone}},
		// Who made the document may have stopped before its second look, and this may be its retry.
		{"duplicate of the create, before any update", change(1, "created", "Ann"), clerk.Unchanged, []string{findUser, findTombstone}},
		{"first update, which confirms", change(2, "first", "Anna"), clerk.Updated, []string{findUser, findTombstone, updateUser}},
		{"update", change(4, "second", "Anne"), clerk.Updated, []string{findUser, updateUser}},
		{"duplicate", change(4, "second", "Anne"), clerk.Unchanged, []string{findUser}},
		{"stale", change(3, "late", "Annie"), clerk.Stale, []string{findUser}},
		{"the same content under a newer id", change(5, "third", "Anne"), clerk.Unchanged, []string{findUser, updateUser}},
		{"delete", remove(6, "deleted"), clerk.Deleted, []string{findTombstone, insertTombstone, deleteUser, redactLetters}},
		{"duplicate of the delete", remove(6, "deleted"), clerk.AlreadyDeleted, []string{findTombstone, deleteUser, redactLetters}},
		{"update of a deleted user", change(7, "after", "Ann"), clerk.AlreadyDeleted, []string{findUser, findTombstone}},
	} {
		outcome, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if step.outcome != outcome {
			t.Errorf("%s: want %q, got %q", step.name, step.outcome, outcome)
		}
		if d := cmp.Diff(step.want, sent.take()); d != "" {
			t.Errorf("commands of %s (-want +got)\n%s", step.name, d)
		}
	}
}
