package store

import (
	"slices"
	"strings"

	"github.com/glowup-app/clerksync/clerk"
)

// Fields of a user's document.
const (
	fieldEmail          = "email"
	fieldFirstName      = "first_name"
	fieldLastName       = "last_name"
	fieldFullName       = "full_name"
	fieldProfilePicture = "profile_picture"
	fieldUsername       = "username"
)

// user is what a document holds, as far as the sync goes.
type user struct {
	values   map[string]string        // by field; a field that is absent, or no string, is not in it
	versions map[string]clerk.Version // by field: of the event that set or cleared it
}

// edit is what turns one user into another.
type edit struct {
	set      map[string]string
	unset    []string
	versions map[string]clerk.Version
	outcome  clerk.Outcome
}

func (e edit) empty() bool { return len(e.set) == 0 && len(e.unset) == 0 && len(e.versions) == 0 }

// merge says what a change does to a user: each field that the change carries and that no newer event has set
// gets the change's value and version. Its result depends on the changes that were merged, not on their order.
func merge(u user, c clerk.Change) edit {
	e := edit{set: map[string]string{}, versions: map[string]clerk.Version{}}
	carries, seen := false, false
	for _, f := range []struct {
		name  string
		value clerk.Optional[string]
	}{
		{fieldEmail, c.Email},
		{fieldFirstName, c.FirstName},
		{fieldLastName, c.LastName},
		{fieldProfilePicture, c.ProfilePicture},
	} {
		if !f.value.Present() {
			continue
		}
		carries = true
		if has, ok := u.versions[f.name]; ok && c.Version.Compare(has) <= 0 {
			seen = seen || c.Version == has
			continue
		}
		e.versions[f.name] = c.Version
		value, ok := f.value.Value()
		e.put(u, f.name, value, ok)
	}
	if e.wins(fieldFirstName) || e.wins(fieldLastName) {
		full := fullName(e.result(u, fieldFirstName), e.result(u, fieldLastName))
		e.put(u, fieldFullName, full, full != "")
	}
	switch {
	case len(e.set) > 0 || len(e.unset) > 0:
		e.outcome = clerk.Updated
	case len(e.versions) > 0 || seen || !carries:
		e.outcome = clerk.Unchanged
	default:
		e.outcome = clerk.Stale
	}
	return e
}

// put sets a field, or clears it where there is no value, if that makes a difference.
func (e *edit) put(u user, field, value string, ok bool) {
	has, there := u.values[field]
	switch {
	case ok && (!there || has != value):
		e.set[field] = value
	case !ok && there:
		e.unset = append(e.unset, field)
	}
}

func (e *edit) wins(field string) bool {
	_, ok := e.versions[field]
	return ok
}

// result is the value of a field after the edit, empty where there is none.
func (e *edit) result(u user, field string) string {
	if v, ok := e.set[field]; ok {
		return v
	}
	if slices.Contains(e.unset, field) {
		return ""
	}
	return u.values[field]
}

func fullName(names ...string) string {
	var parts []string
	for _, n := range names {
		if n != "" {
			parts = append(parts, n)
		}
	}
	return strings.Join(parts, " ")
}
