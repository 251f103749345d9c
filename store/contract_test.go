package store

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

// place is somewhere that user_ann's document can be.
type place struct {
	protocol
	stub func(values map[string]string) error // makes a document as the application does
}

func inMemory(*testing.T) place {
	m := &memory{}
	return place{protocol{db: m, afterRace: func(context.Context, int) error { return nil }}, func(values map[string]string) error {
		m.there, m.document = true, document{user: user{values: maps.Clone(values)}}
		return nil
	}}
}

func inDatabase(t *testing.T) place {
	t.Helper()
	return inStore(t, setup(t))
}

// inLargeDatabase is for the way round FerretDB 1's reading of whole collections.
func inLargeDatabase(t *testing.T) place {
	t.Helper()
	s := setup(t)
	s.wholeFilters = false
	return inStore(t, s)
}

func inStore(t *testing.T, s *Store) place {
	t.Helper()
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return place{s.protocol(), func(values map[string]string) error {
		doc := bson.M{"_id": "user_ann"}
		for k, v := range values {
			doc[k] = v
		}
		_, err := s.users.InsertOne(t.Context(), doc)
		return err
	}}
}

// deed is something done to user_ann, and what must come of it.
type deed func(t *testing.T, p place)

func applied(c clerk.Change, want clerk.Outcome) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		wantOutcome(t, want)(p.apply(t.Context(), c))
	}
}

func deleted(want clerk.Outcome) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		wantOutcome(t, want)(p.remove(t.Context(), "user_ann", v(9, "delete")))
	}
}

func wantOutcome(t *testing.T, want clerk.Outcome) func(clerk.Outcome, error) {
	t.Helper()
	return func(got clerk.Outcome, err error) {
		t.Helper()
		if want != got || err != nil {
			t.Errorf("outcome: want %q, got %q and %v", want, got, err)
		}
	}
}

func stubbed(values map[string]string) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		wantError(t, nil, p.stub(values))
	}
}

// inserted is a create that stops before its second look at the tombstone.
func inserted(c clerk.Change, want error) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		wantError(t, want, p.db.insert(t.Context(), c.UserID, "ann", merge(user{}, c)))
	}
}

func unconfirmed(want bool) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		d, _, err := p.db.find(t.Context(), "user_ann")
		wantError(t, nil, err)
		if want != d.unconfirmed {
			t.Errorf("want unconfirmed %t, got %t", want, d.unconfirmed)
		}
	}
}

// overtaken is a deed that others overtake between its look and its first update.
func overtaken(do deed, by ...deed) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		slow := p
		slow.db = &slowUpdate{documents: p.db, before: sync.OnceFunc(func() {
			for _, do := range by {
				do(t, p)
			}
		})}
		do(t, slow)
	}
}

type slowUpdate struct {
	documents
	before func()
}

func (s *slowUpdate) update(ctx context.Context, id string, d document, username string, e edit) error {
	s.before()
	return s.documents.update(ctx, id, d, username, e)
}

// readOnly is a database that refuses whatever would change it.
type readOnly struct{ documents }

var errWrite = errors.New("a write without need")

func (readOnly) insert(context.Context, string, string, edit) error           { return errWrite }
func (readOnly) update(context.Context, string, document, string, edit) error { return errWrite }
func (readOnly) remove(context.Context, string) (bool, error)                 { return false, errWrite }
func (readOnly) bury(context.Context, string, clerk.Version) error            { return errWrite }

// looking is a deed that writes nothing, not even for a moment.
func looking(do deed) deed {
	return func(t *testing.T, p place) {
		t.Helper()
		p.db = readOnly{p.db}
		do(t, p)
	}
}

func wantError(t *testing.T, want, got error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("want %v, got %v", want, got)
	}
}

// TestContract plays the same deeds in the memory that TestEveryInterleaving explores and in a real database: what the
// protocol rests on must hold in both.
func TestContract(t *testing.T) {
	t.Parallel()
	change := func(at int64, c clerk.Change) clerk.Change {
		c.UserID, c.Version = "user_ann", v(at, "event")
		return c
	}
	older := change(4, clerk.Change{Email: clerk.Some("old@example.com")})
	newer := change(6, clerk.Change{FirstName: clerk.Some("Anna"), Email: clerk.Null[string]()})
	newest := change(7, clerk.Change{FirstName: clerk.Some("Annie"), Email: clerk.Some("annie@example.com")})
	again := ann()
	again.Version = v(6, "again")
	whole := func(other ...string) map[string]string {
		doc := map[string]string{
			"username": "ann", "email": "ann@example.com", "first_name": "Ann", "last_name": "Lee",
			"full_name": "Ann Lee", "profile_picture": "https://img.example.com/ann",
		}
		for i := 0; i < len(other); i += 2 {
			doc[other[i]] = other[i+1]
		}
		maps.DeleteFunc(doc, func(_, value string) bool { return value == "" })
		return doc
	}
	boss := map[string]string{"username": "boss", "email": "stub@example.com", "first_name": "Stub"}
	for _, tt := range []struct {
		name  string
		deeds []deed
		want  map[string]string // the document, nil: none
	}{
		{"an event makes the document", []deed{applied(ann(), clerk.Created)}, whole()},
		{
			"the same event again writes nothing",
			[]deed{applied(ann(), clerk.Created), looking(applied(ann(), clerk.Unchanged))},
			whole(),
		},
		{
			"a stale event writes nothing",
			[]deed{applied(ann(), clerk.Created), looking(applied(older, clerk.Stale))},
			whole(),
		},
		{
			"the same content under a newer id moves sync only",
			[]deed{applied(ann(), clerk.Created), applied(again, clerk.Unchanged), looking(applied(older, clerk.Stale))},
			whole(),
		},
		{
			"a partial update keeps the rest, null clears",
			[]deed{applied(ann(), clerk.Created), applied(newer, clerk.Updated)},
			whole("first_name", "Anna", "full_name", "Anna Lee", "email", ""),
		},
		{
			"an update before the create makes the document, the create fills the rest",
			[]deed{applied(newer, clerk.Created), applied(ann(), clerk.Updated)},
			whole("first_name", "Anna", "full_name", "Anna Lee", "email", "", "username", "user_ann"),
		},
		{
			"a stub keeps its username, Clerk's fields come in",
			[]deed{stubbed(boss), applied(ann(), clerk.Updated), looking(applied(ann(), clerk.Unchanged))},
			whole("username", "boss"),
		},
		{"a stub without username gets one", []deed{stubbed(nil), applied(ann(), clerk.Updated)}, whole()},
		{
			"a stub made after the delete is left alone",
			[]deed{deleted(clerk.Deleted), stubbed(boss), looking(applied(ann(), clerk.AlreadyDeleted))},
			boss,
		},
		{
			"deleted stays deleted",
			[]deed{
				applied(ann(), clerk.Created), deleted(clerk.Deleted),
				looking(applied(change(1<<40, newer), clerk.AlreadyDeleted)), looking(applied(ann(), clerk.AlreadyDeleted)), deleted(clerk.AlreadyDeleted),
			},
			nil,
		},
		{"deleted before created", []deed{deleted(clerk.Deleted), looking(applied(ann(), clerk.AlreadyDeleted))}, nil},
		{
			"a document made too late goes at the retry of its event",
			[]deed{deleted(clerk.Deleted), inserted(ann(), nil), applied(ann(), clerk.AlreadyDeleted)},
			nil,
		},
		{
			"a document made too late goes at a newer event",
			[]deed{deleted(clerk.Deleted), inserted(ann(), nil), applied(newer, clerk.AlreadyDeleted)},
			nil,
		},
		{
			"a document made too late goes at a repeated delete",
			[]deed{deleted(clerk.Deleted), inserted(ann(), nil), deleted(clerk.Deleted)},
			nil,
		},
		{
			"a new document is unconfirmed until the next event has looked",
			[]deed{applied(ann(), clerk.Created), unconfirmed(true), applied(again, clerk.Unchanged), unconfirmed(false)},
			whole(),
		},
		{
			"so is an adopted stub",
			[]deed{stubbed(boss), applied(ann(), clerk.Updated), unconfirmed(true), applied(again, clerk.Unchanged), unconfirmed(false)},
			whole("username", "boss"),
		},
		{
			"of two who make the document one is refused",
			[]deed{inserted(ann(), nil), inserted(newer, errDuplicate)},
			whole(),
		},
		{
			"an update does not overwrite one that it has not read",
			[]deed{applied(ann(), clerk.Created), overtaken(applied(newer, clerk.Stale), applied(newest, clerk.Updated))},
			whole("first_name", "Annie", "full_name", "Annie Lee", "email", "annie@example.com"),
		},
		{
			"nor one that adopted the stub",
			[]deed{stubbed(boss), overtaken(applied(older, clerk.Stale), applied(ann(), clerk.Updated))},
			whole("username", "boss"),
		},
		{
			"an update does not bring the document back",
			[]deed{applied(ann(), clerk.Created), overtaken(applied(newer, clerk.AlreadyDeleted), deleted(clerk.Deleted))},
			nil,
		},
		{
			"an update does not confirm a later document of its user",
			[]deed{
				applied(ann(), clerk.Created),
				overtaken(applied(newer, clerk.AlreadyDeleted), deleted(clerk.Deleted), inserted(ann(), nil)),
			},
			nil,
		},
		{
			"a stub that follows a delete is not filled by an event that looked before",
			[]deed{stubbed(nil), overtaken(applied(ann(), clerk.AlreadyDeleted), deleted(clerk.Deleted), stubbed(nil))},
			nil,
		},
	} {
		for where, open := range map[string]func(*testing.T) place{"memory": inMemory, "database": inDatabase, "large database": inLargeDatabase} {
			t.Run(tt.name+"/"+where, func(t *testing.T) {
				t.Parallel()
				p := open(t)
				for _, do := range tt.deeds {
					do(t, p)
				}
				d, ok, err := p.db.find(t.Context(), "user_ann")
				wantError(t, nil, err)
				var got map[string]string
				if ok {
					got = d.values
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("document (-want +got)\n%s", diff)
				}
			})
		}
	}
}
