package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

// storedBefore puts a document there as a release before this one wrote it, with a field of the application's.
func storedBefore(t *testing.T, s *Store, path string) bson.Raw {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc bson.D
	if err := bson.UnmarshalExtJSON(text, true, &doc); err != nil {
		t.Fatal(err)
	}
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.users.InsertOne(t.Context(), append(doc, bson.E{Key: "plan", Value: "pro"})); err != nil {
		t.Fatal(err)
	}
	return rawAnn(t, s)
}

func rawAnn(t *testing.T, s *Store) bson.Raw {
	t.Helper()
	doc, err := s.users.FindOne(t.Context(), byID("user_ann")).Raw()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Whatever an older release has stored is read as what it is, stays until there is something to write, and then has the shape of now.
func TestOldSchemas(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/schema-*.json")
	if err != nil || len(paths) < 2 {
		t.Fatalf("want documents of older schemas, got %v, error %v", paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			before := storedBefore(t, s, path)

			// What it has seen already, and what is older, writes nothing.
			apply(t, s, ann(), clerk.Unchanged)
			older := ann()
			older.Version = v(4, "older")
			apply(t, s, older, clerk.Stale)
			if after := rawAnn(t, s); string(before) != string(after) {
				t.Errorf("want it left as it was\n%s\ngot\n%s", before, after)
			}

			// What is newer brings it to the schema of now, and forgets no version.
			apply(t, s, clerk.Change{UserID: "user_ann", Version: v(8, "newer"), LastName: clerk.Some("Li")}, clerk.Updated)
			apply(t, s, clerk.Change{UserID: "user_ann", Version: v(4, "late"), Email: clerk.Some("old@example.com")}, clerk.Stale)
			var got struct {
				Email string
				Plan  string
				Sync  bookkeeping
			}
			after := rawAnn(t, s)
			if err := bson.Unmarshal(after, &got); err != nil {
				t.Fatal(err)
			}
			d, err := decode(before)
			if err != nil {
				t.Fatal(err)
			}
			want := bookkeeping{Schema: schema, Revision: got.Sync.Revision, Fields: map[string]version{}}
			for field, has := range d.versions {
				want.Fields[field] = version(has)
			}
			want.Fields[fieldLastName] = version(v(8, "newer"))
			if d := cmp.Diff(want, got.Sync); d != "" {
				t.Errorf("sync (-want +got)\n%s", d)
			}
			if got.Email != "ann@example.com" || got.Plan != "pro" {
				t.Errorf("want the other fields as they were, got %v", after)
			}
			if got.Sync.Revision == before.Lookup("sync", "rev").ObjectID() {
				t.Error("want a new revision, by which others see the write")
			}
		})
	}
}

// An older document whose user was deleted while nobody had confirmed it goes, as one of now does.
func TestOldSchemaUnconfirmed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	storedBefore(t, s, "testdata/schema-0-unconfirmed.json")
	if err := s.bury(t.Context(), "user_ann", v(6, "deleted")); err != nil {
		t.Fatal(err)
	}
	newer := ann()
	newer.Version = v(9, "newer")
	apply(t, s, newer, clerk.AlreadyDeleted)
	if n, err := s.users.CountDocuments(t.Context(), bson.D{}); n != 0 || err != nil {
		t.Errorf("want no document, got %d, error %v", n, err)
	}
}

// What a newer release has written is none of our business, whatever else it holds; a delete needs not read it.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	s := setup(t)
	insert(t, s, bson.M{"_id": "user_ann", "username": "ann", "sync": bson.M{"schema": schema + 1, "rev": "a new kind", "what": "ever"}})
	before := rawAnn(t, s)
	if _, err := s.Apply(t.Context(), ann()); !errors.Is(err, ErrNewer) || !Unreadable(err) {
		t.Errorf("want %v, got %v", ErrNewer, err)
	}
	results, err := s.ApplyAll(t.Context(), []clerk.Change{ann()})
	if err != nil || !errors.Is(results[0].Err, ErrNewer) {
		t.Errorf("among many: want %v, got %v, error %v", ErrNewer, results, err)
	}
	if after := rawAnn(t, s); string(before) != string(after) {
		t.Errorf("want it left as it was\n%s\ngot\n%s", before, after)
	}
	if outcome, err := s.Delete(t.Context(), "user_ann", v(9, "deleted")); outcome != clerk.Deleted || err != nil {
		t.Errorf("want it deleted, got %q, error %v", outcome, err)
	}
}

// The number is there from the first write on, of whichever kind.
func TestSchemaIsWritten(t *testing.T) {
	t.Parallel()
	number := func(s *Store) int32 { return rawAnn(t, s).Lookup("sync", "schema").Int32() }
	created := setup(t)
	apply(t, created, ann(), clerk.Created)
	adopted := setup(t)
	insert(t, adopted, bson.M{"_id": "user_ann", "username": "ann"})
	apply(t, adopted, ann(), clerk.Updated)
	loaded := setup(t)
	if _, err := loaded.ApplyAll(t.Context(), []clerk.Change{ann()}); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Store{"created": created, "adopted": adopted, "loaded": loaded} {
		if got := number(s); got != schema {
			t.Errorf("%s: want schema %d, got %d", name, schema, got)
		}
	}
}
