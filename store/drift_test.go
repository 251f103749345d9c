package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/glowup-app/clerksync/clerk"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	read := ann()
	read.Version = clerk.Version{At: 7, EventID: "(api)"}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, s *Store)
		want    Comparison
	}{
		{"missing", func(*testing.T, *Store) {}, Comparison{Outcome: clerk.Created, Version: read.Version}},
		{
			"the same", func(t *testing.T, s *Store) { apply(t, s, ann(), clerk.Created) },
			Comparison{Outcome: clerk.Unchanged, Exists: true, Version: read.Version},
		},
		{"older", func(t *testing.T, s *Store) {
			old := ann()
			old.LastName = clerk.Some("Li")
			apply(t, s, old, clerk.Created)
		}, Comparison{Outcome: clerk.Updated, Exists: true, Differs: []string{"last_name", "full_name"}, Version: read.Version}},
		{
			"deleted", func(t *testing.T, s *Store) { remove(t, s, "user_ann", clerk.Deleted) },
			Comparison{Outcome: clerk.AlreadyDeleted, Version: read.Version},
		},
		{
			"a stub", func(t *testing.T, s *Store) { insert(t, s, bson.M{"_id": "user_ann", "email": "ann@example.com"}) },
			Comparison{Outcome: clerk.Updated, Exists: true, Version: read.Version, Differs: []string{"first_name", "last_name", "full_name", "profile_picture"}},
		},
		{"overwritten by the application", func(t *testing.T, s *Store) {
			newer := ann()
			newer.Version = v(9, "msg_1")
			apply(t, s, newer, clerk.Created)
			overwrite(t, s, bson.M{"email": "x@example.com", "full_name": "X"}, bson.M{"profile_picture": ""})
		}, Comparison{
			Outcome: clerk.Stale, Exists: true, Differs: []string{"email", "full_name", "profile_picture"},
			Version: clerk.Version{At: 9, TS: 10, EventID: "(api)"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			tt.prepare(t, s)
			got, err := s.Compare(t.Context(), []clerk.Change{read})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]Comparison{tt.want}, got); d != "" {
				t.Errorf("comparison (-want +got)\n%s", d)
			}
			// The version that it names repairs, once.
			if tt.want.Outcome == clerk.AlreadyDeleted {
				return
			}
			repair := read
			repair.Version = got[0].Version
			if _, err := s.Apply(t.Context(), repair); err != nil {
				t.Fatal(err)
			}
			if got, err = s.Compare(t.Context(), []clerk.Change{read}); err != nil || len(got[0].Differs) > 0 || !got[0].Exists {
				t.Errorf("want nothing that differs after the repair, got %+v and %v", got, err)
			}
		})
	}
}

// overwrite is what an application must not do.
func overwrite(t *testing.T, s *Store, set, unset bson.M) {
	t.Helper()
	if _, err := s.users.UpdateOne(t.Context(), byID("user_ann"), bson.M{"$set": set, "$unset": unset}); err != nil {
		t.Fatal(err)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var changes []clerk.Change
	for n := range 25 {
		changes = append(changes, numbered(n, v(1, "a")))
	}
	if _, err := s.ApplyAll(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	insert(t, s, bson.M{"_id": "application"})
	insert(t, s, bson.M{"_id": bson.NewObjectID()})
	list := func(after string, limit int64) (ids []string) {
		t.Helper()
		err := s.Documents(t.Context(), after, limit, func(id string, synced bool) error {
			if want := id != "application"; want != synced {
				t.Errorf("%s: want synced %v, got %v", id, want, synced)
			}
			ids = append(ids, id)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	want := []string{"application"}
	for n := range 25 {
		want = append(want, fmt.Sprintf("user_%03d", n))
	}
	all := list("", 0)
	slices.Sort(all)
	if d := cmp.Diff(want, all); d != "" {
		t.Errorf("all (-want +got)\n%s", d)
	}
	var pages []string
	for page := list("", 10); len(page) > 0; page = list(pages[len(pages)-1], 10) {
		pages = append(pages, page...)
	}
	if d := cmp.Diff(want, pages); d != "" {
		t.Errorf("by pages (-want +got)\n%s", d)
	}
	if n, err := s.Count(t.Context()); n != 27 || err != nil {
		t.Errorf("count: want 27, got %d and %v", n, err)
	}
}
