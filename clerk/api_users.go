package clerk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// MaxPage is how many users Clerk lists at once:
// https://clerk.com/docs/reference/backend-api/tag/users/get/users.
const MaxPage = 500

// MaxIDs is how many users can be asked for by their ids at once.
const MaxIDs = 100

// Position is how far a walk through all users has come. The zero Position is before the first one. A walk may go on
// from a Position after any time, and in another process.
type Position struct {
	// After is where the next page begins: users made after then, in Unix milliseconds.
	After int64 `json:"after" bson:"after"`
	// Seen are users that the next page repeats.
	Seen []string `json:"seen,omitempty" bson:"seen,omitempty"`
	// Cursor is the last user of a page, and set only where a whole page of users was made in one millisecond.
	Cursor string `json:"cursor,omitempty" bson:"cursor,omitempty"`
}

// Page is a part of all users.
type Page struct {
	Users     []User
	Malformed []MalformedUser
	Next      Position
	Last      bool // nothing follows
}

// MalformedUser is one that Clerk sent in a shape that it does not document.
type MalformedUser struct {
	ID  string // may be empty
	Err error  // an ErrMalformed
}

// Users is the page at a position.
//
// Users are listed in the order in which they were made, which never changes, and each page begins where the one before
// ended, by time: created_at_after the last millisecond that was seen, less one. So a page does not move when users before it are
// deleted, as pages by offset do, and users made meanwhile come at the end. The users of that last millisecond come again
// and are left out by their ids, which is also why it does not matter in which order Clerk lists them. Only where a page and more were
// made in one millisecond, as an import can do, pages follow the cursor starting_after inside of it. Clerk advises against large offsets: they time out.
//
// A user who is there from the beginning of a walk to its end is in exactly one page. One who was imported during it, with a
// created_at in the past, may not be; webhooks tell of that one.
func (a *API) Users(ctx context.Context, at Position) (Page, error) {
	list, err := a.list(ctx, at)
	var answer *APIError
	if at.Cursor != "" && errors.As(err, &answer) && !answer.passing() && answer.Status != http.StatusUnauthorized {
		// Deleted meanwhile. What this page repeats is harmless.
		at.Cursor, at.Seen = "", nil
		list, err = a.list(ctx, at)
	}
	if err != nil {
		return Page{}, fmt.Errorf("list users: %w", err)
	}
	return at.page(list)
}

func (a *API) list(ctx context.Context, at Position) (list []json.RawMessage, err error) {
	query := url.Values{"limit": {strconv.Itoa(MaxPage)}, "order_by": {"+created_at"}}
	if at.After > 0 {
		query.Set("created_at_after", strconv.FormatInt(at.After, 10))
	}
	if at.Cursor != "" {
		query.Set("starting_after", at.Cursor)
	}
	err = a.call(ctx, "/users", query, &list)
	return list, err
}

// errDisorder keeps a walk from going round for ever, or from passing over users.
var errDisorder = errors.New("clerk did not list users by created_at: no walk can rest on that")

func (at Position) page(list []json.RawMessage) (Page, error) {
	p := Page{Users: make([]User, 0, len(list))}
	seen := make(map[string]bool, len(at.Seen))
	for _, id := range at.Seen {
		seen[id] = true
	}
	last, lastID, news := at.After, "", 0
	var ofLast []string // made in the last millisecond
	for i, raw := range list {
		o, err := readObject(raw, fmt.Sprintf("users[%d]", i))
		if err != nil {
			return Page{}, err
		}
		created, ok := decodeInteger(o["created_at"])
		id, named := decodeString(o["id"])
		switch {
		case !ok:
			return Page{}, &FieldError{Field: fmt.Sprintf("users[%d].created_at", i), Want: "integer", Got: kind(o["created_at"])}
		case created < last, named && id == at.Cursor && id != "":
			return Page{}, errDisorder
		case created > last:
			last, ofLast = created, nil
		}
		lastID, ofLast = id, append(ofLast, id)
		if seen[id] {
			continue
		}
		news++
		if u, err := o.user(); err == nil {
			p.Users = append(p.Users, u)
		} else {
			p.Malformed = append(p.Malformed, MalformedUser{ID: id, Err: err})
		}
	}
	switch {
	case last > at.After+1:
		p.Next = Position{After: last - 1, Seen: ofLast}
	case len(list) == MaxPage: // all made in one millisecond
		p.Next = Position{After: at.After, Cursor: lastID}
	case at.Cursor != "":
		p.Next = Position{After: at.After + 1}
	default:
		p.Next, p.Last = at, news == 0
		p.Next.Seen = ofLast
	}
	return p, nil
}

// UserID is what an id of Clerk's looks like. Another one must not be asked for: + and - in front of an id mean something in a list.
var userID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,199}$`)

// UsersByID are those of the users, at most [MaxIDs], that there are.
func (a *API) UsersByID(ctx context.Context, ids []string) ([]User, error) {
	query := url.Values{"limit": {strconv.Itoa(MaxIDs)}, "order_by": {"+created_at"}}
	for _, id := range ids {
		if userID.MatchString(id) {
			query.Add("user_id", id)
		}
	}
	if len(query["user_id"]) == 0 { // without the filter it would be anybody
		return nil, nil
	}
	var list []json.RawMessage
	if err := a.call(ctx, "/users", query, &list); err != nil {
		return nil, fmt.Errorf("list users by id: %w", err)
	}
	users := make([]User, 0, len(list))
	for _, raw := range list {
		u, err := ParseUser(raw)
		if err != nil {
			// It is there, which is what is asked most of the time.
			o, _ := readObject(raw, "data")
			if u.ID, _ = decodeString(o["id"]); u.ID == "" {
				return nil, fmt.Errorf("list users by id: %w", err)
			}
		}
		users = append(users, u)
	}
	return users, nil
}

// Gone says that Clerk knows no such user. It takes Clerk's own word for it, not any 404.
func (a *API) Gone(ctx context.Context, id string) (bool, error) {
	if !userID.MatchString(id) {
		return true, nil
	}
	var user json.RawMessage
	err := a.call(ctx, "/users/"+id, nil, &user)
	var answer *APIError
	if errors.As(err, &answer) && answer.Status == http.StatusNotFound && answer.Code == "resource_not_found" {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("get user: %w", err)
	}
	return false, nil
}

// Count is how many users there are.
func (a *API) Count(ctx context.Context) (int64, error) {
	var count struct {
		Total int64 `json:"total_count"`
	}
	if err := a.call(ctx, "/users/count", nil, &count); err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return count.Total, nil
}

// Instance is what the secret key belongs to.
type Instance struct {
	ID          string `json:"id"`               // "ins_…"
	Environment string `json:"environment_type"` // "development" or "production"
}

// Instance asks which instance the secret key belongs to.
func (a *API) Instance(ctx context.Context) (Instance, error) {
	var i Instance
	if err := a.call(ctx, "/instance", nil, &i); err != nil {
		return Instance{}, fmt.Errorf("get instance: %w", err)
	}
	return i, nil
}

// Newest is when the newest user was made, or the zero time where there is nobody.
func (a *API) Newest(ctx context.Context) (time.Time, error) {
	var users []struct {
		CreatedAt int64 `json:"created_at"`
	}
	if err := a.call(ctx, "/users", url.Values{"limit": {"1"}, "order_by": {"-created_at"}}, &users); err != nil {
		return time.Time{}, fmt.Errorf("list newest user: %w", err)
	}
	if len(users) == 0 {
		return time.Time{}, nil
	}
	return time.UnixMilli(users[0].CreatedAt), nil
}
