package store

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/glowup-app/clerksync/clerk"
)

func v(at int64, id string) clerk.Version { return clerk.Version{At: at, TS: at, EventID: id} }

func TestMerge(t *testing.T) {
	t.Parallel()
	old, now, next := v(1, "a"), v(2, "b"), v(3, "c")
	ann := user{
		values: map[string]string{"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "full_name": "Ann Lee"},
		versions: map[string]clerk.Version{
			"email": now, "first_name": now, "last_name": now,
		},
	}
	for _, tt := range []struct {
		name   string
		user   user
		change clerk.Change
		want   edit
	}{
		{
			"a first event sets what it carries",
			user{},
			clerk.Change{Version: now, FirstName: clerk.Some("Ann"), LastName: clerk.Null[string](), Email: clerk.Some("a@example.com")},
			edit{
				set:      map[string]string{"first_name": "Ann", "full_name": "Ann", "email": "a@example.com"},
				versions: map[string]clerk.Version{"first_name": now, "last_name": now, "email": now},
				outcome:  clerk.Updated,
			},
		},
		{
			"an absent field changes nothing", ann,
			clerk.Change{Version: next, Email: clerk.Some("new@example.com")},
			edit{set: map[string]string{"email": "new@example.com"}, versions: map[string]clerk.Version{"email": next}, outcome: clerk.Updated},
		},
		{
			"null clears, and the full name follows", ann,
			clerk.Change{Version: next, LastName: clerk.Null[string]()},
			edit{
				set: map[string]string{"full_name": "Ann"}, unset: []string{"last_name"},
				versions: map[string]clerk.Version{"last_name": next}, outcome: clerk.Updated,
			},
		},
		{
			"both names null clear the full name", ann,
			clerk.Change{Version: next, FirstName: clerk.Null[string](), LastName: clerk.Null[string]()},
			edit{
				unset:    []string{"first_name", "last_name", "full_name"},
				versions: map[string]clerk.Version{"first_name": next, "last_name": next}, outcome: clerk.Updated,
			},
		},
		{
			"an empty name is kept, and not joined",
			user{},
			clerk.Change{Version: now, FirstName: clerk.Some(""), LastName: clerk.Some("Lee")},
			edit{
				set:      map[string]string{"first_name": "", "last_name": "Lee", "full_name": "Lee"},
				versions: map[string]clerk.Version{"first_name": now, "last_name": now}, outcome: clerk.Updated,
			},
		},
		{
			"an older event writes nothing", ann,
			clerk.Change{Version: old, Email: clerk.Some("old@example.com"), FirstName: clerk.Null[string]()},
			edit{outcome: clerk.Stale},
		},
		{
			"an older event that carries a field the newer one lacked still counts", ann,
			clerk.Change{Version: old, Email: clerk.Some("old@example.com"), ProfilePicture: clerk.Some("https://img.example.com/1")},
			edit{
				set:      map[string]string{"profile_picture": "https://img.example.com/1"},
				versions: map[string]clerk.Version{"profile_picture": old}, outcome: clerk.Updated,
			},
		},
		{
			"the same event again writes nothing", ann,
			clerk.Change{Version: now, Email: clerk.Some("ann@example.com"), FirstName: clerk.Some("Ann"), LastName: clerk.Some("Lee")},
			edit{outcome: clerk.Unchanged},
		},
		{
			"the same content of a newer event moves versions only", ann,
			clerk.Change{Version: next, Email: clerk.Some("ann@example.com")},
			edit{versions: map[string]clerk.Version{"email": next}, outcome: clerk.Unchanged},
		},
		{
			"at the same time the greater event id wins", ann,
			clerk.Change{Version: v(2, "c"), Email: clerk.Some("c@example.com")},
			edit{set: map[string]string{"email": "c@example.com"}, versions: map[string]clerk.Version{"email": v(2, "c")}, outcome: clerk.Updated},
		},
		{
			"a field that was cleared has a version, too",
			user{versions: map[string]clerk.Version{"email": now}},
			clerk.Change{Version: old, Email: clerk.Some("old@example.com")},
			edit{outcome: clerk.Stale},
		},
		{
			"an event that carries nothing changes nothing", ann,
			clerk.Change{Version: next},
			edit{outcome: clerk.Unchanged},
		},
		{
			"what the application wrote is older than any event",
			user{values: map[string]string{"first_name": "Stub", "full_name": "A. Stub"}},
			clerk.Change{Version: old, LastName: clerk.Some("Lee")},
			edit{
				set:      map[string]string{"last_name": "Lee", "full_name": "Stub Lee"},
				versions: map[string]clerk.Version{"last_name": old}, outcome: clerk.Updated,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := merge(tt.user, tt.change)
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(edit{}), equateEmpty); d != "" {
				t.Errorf("merge (-want +got)\n%s", d)
			}
		})
	}
}

// equateEmpty makes a nil map or slice equal to an empty one.
var equateEmpty = cmp.FilterValues(func(a, b any) bool { return isEmpty(a) && isEmpty(b) }, cmp.Ignore())

func isEmpty(x any) bool {
	switch x := x.(type) {
	case map[string]string:
		return len(x) == 0
	case map[string]clerk.Version:
		return len(x) == 0
	case []string:
		return len(x) == 0
	}
	return false
}

// apply is what the store does with an edit, in memory.
func (u user) apply(e edit) user {
	next := user{values: map[string]string{}, versions: map[string]clerk.Version{}}
	maps.Copy(next.values, u.values)
	maps.Copy(next.versions, u.versions)
	maps.Copy(next.values, e.set)
	for _, k := range e.unset {
		delete(next.values, k)
	}
	maps.Copy(next.versions, e.versions)
	return next
}

// genChange has few values and few versions, so that they meet.
func genChange() *rapid.Generator[clerk.Change] {
	field := rapid.Custom(func(t *rapid.T) clerk.Optional[string] {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return clerk.Optional[string]{}
		case 1:
			return clerk.Null[string]()
		default:
			return clerk.Some(rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "value"))
		}
	})
	return rapid.Custom(func(t *rapid.T) clerk.Change {
		return clerk.Change{
			UserID: "user_1",
			Version: clerk.Version{
				At: rapid.Int64Range(1, 3).Draw(t, "at"), TS: rapid.Int64Range(1, 2).Draw(t, "ts"),
				EventID: rapid.StringMatching(`[a-f]{3}`).Draw(t, "id"),
			},
			Email: field.Draw(t, "email"), FirstName: field.Draw(t, "first"), LastName: field.Draw(t, "last"),
			ProfilePicture: field.Draw(t, "picture"),
		}
	})
}

// model is the obviously right merge: sort by version, then let each event overwrite what it carries.
func model(changes []clerk.Change) map[string]string {
	type carried struct {
		version clerk.Version
		value   clerk.Optional[string]
	}
	newest := map[string]carried{}
	for _, c := range changes {
		for name, value := range map[string]clerk.Optional[string]{
			"email": c.Email, "first_name": c.FirstName, "last_name": c.LastName, "profile_picture": c.ProfilePicture,
		} {
			has, ok := newest[name]
			if value.Present() && (!ok || c.Version.Compare(has.version) > 0) {
				newest[name] = carried{c.Version, value}
			}
		}
	}
	doc := map[string]string{}
	for name, c := range newest {
		if s, ok := c.value.Value(); ok {
			doc[name] = s
		}
	}
	switch first, last := doc["first_name"], doc["last_name"]; {
	case first != "" && last != "":
		doc["full_name"] = first + " " + last
	case first+last != "":
		doc["full_name"] = first + last
	}
	return doc
}

// distinct drops changes with the version of an earlier one: an event id stands for one payload.
func distinct(changes []clerk.Change) []clerk.Change {
	seen := map[string]bool{}
	var out []clerk.Change
	for _, c := range changes {
		if !seen[c.Version.EventID] {
			seen[c.Version.EventID] = true
			out = append(out, c)
		}
	}
	return out
}

func TestMergeConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		changes := distinct(rapid.SliceOfN(genChange(), 1, 8).Draw(t, "changes"))
		again := rapid.SliceOfN(rapid.SampledFrom(changes), 0, 4).Draw(t, "duplicates")
		var u user
		for _, c := range rapid.Permutation(append(again, changes...)).Draw(t, "order") {
			u = u.apply(merge(u, c))
			if e := merge(u, c); !e.empty() {
				t.Fatalf("the same event again writes %+v", e)
			}
		}
		if d := cmp.Diff(model(changes), u.values, equateEmpty); d != "" {
			t.Fatalf("the order of delivery changed the document (-want +got)\n%s", d)
		}
	})
}
