package clerk

import (
	"cmp"
	"strings"
)

// Version is an event's place in its user's history. It is taken from the event, never from our clock: two
// replicas must order the same two events alike.
type Version struct {
	At      int64  // data.updated_at, else the event's ts, in Unix milliseconds
	TS      int64  // the event's ts in Unix milliseconds
	EventID string // breaks ties bytewise
}

// Compare is negative when v is older than w, positive when it is newer, 0 when they are the same event.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.At, w.At), cmp.Compare(v.TS, w.TS), strings.Compare(v.EventID, w.EventID))
}

// Change is what one event says about one user. An absent field changes nothing, a null field clears.
type Change struct {
	UserID  string
	Version Version

	Email          Optional[string]
	FirstName      Optional[string]
	LastName       Optional[string]
	ProfilePicture Optional[string]

	// Username is only used when a document is made: see Usernames in docs/guarantees.md.
	Username Optional[string]
}

// Change is what an event of version v says when this user is its data.
func (u User) Change(v Version) Change {
	return Change{
		UserID:         u.ID,
		Version:        v,
		Email:          u.PrimaryEmail(),
		FirstName:      u.FirstName,
		LastName:       u.LastName,
		ProfilePicture: nonEmpty(u.ImageURL),
		Username:       nonEmpty(u.Username),
	}
}

// Version is that of the event with that id and ts (Unix milliseconds; 0: it has none) whose data is this user.
func (u User) Version(eventID string, ts int64) Version {
	at := ts
	if updated, ok := u.UpdatedAt.Value(); ok {
		at = updated
	}
	return Version{At: at, TS: ts, EventID: eventID}
}

// readID is what a change has for an event id when it was read from the Backend API. It sorts before any real one.
const readID = "(api)"

// Read is what the Backend API says about this user. Its version is the lowest of those with the user's updated_at: whatever an
// event of that updated_at or a newer one has set stays as it is, so that reading a user who is copied already writes nothing.
func (u User) Read() Change { return u.Change(u.Version(readID, 0)) }

// ReadGone is the version of a delete that no event has told of: at that time, in Unix milliseconds, the Backend API did not know the user.
func ReadGone(at int64) Version { return Version{At: at, TS: at, EventID: readID} }

// After is the least version that is newer than has for what was read from the Backend API: for a field that holds something
// else than Clerk says, although an event as new as that has set it. Every later event is newer still, by its updated_at.
func (v Version) After(has Version) Version {
	if v.Compare(has) > 0 {
		return v
	}
	return Version{At: has.At, TS: has.TS + 1, EventID: readID}
}

// Outcome says what a change did. It is the return value of the functions, so that a run in Inngest's UI
// tells its story.
type Outcome string

// The outcomes of a change.
const (
	Created        Outcome = "created"         // the document was made
	Updated        Outcome = "updated"         // at least one field has a new value
	Unchanged      Outcome = "unchanged"       // it holds what is there already
	Stale          Outcome = "stale"           // newer events have set all that it carries
	Deleted        Outcome = "deleted"         // the document is gone and stays gone
	AlreadyDeleted Outcome = "already deleted" // the user was deleted before
)
