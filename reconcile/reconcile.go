package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store"
)

// Kind is in which way a document is not what Clerk says.
type Kind string

// The kinds of drift, and Unknown, which is none.
const (
	Missing Kind = "missing" // a user without document
	Stale   Kind = "stale"   // fields differ
	Deleted Kind = "deleted" // a document of ours whose user Clerk does not know
	Unknown Kind = "unknown" // the application's document, of no user of Clerk's; never touched
)

// Drift is a document that is not what Clerk says.
type Drift struct {
	Kind     Kind     `json:"kind"`
	UserID   string   `json:"user_id"`
	Fields   []string `json:"fields,omitempty"` // that differ; names, no values
	Repaired bool     `json:"repaired"`
	Note     string   `json:"note,omitempty"` // why it can't be, or was not
}

// Options of a Reconciler; a zero field means its default.
type Options struct {
	// Repair writes what is missing or stale.
	Repair bool
	// Delete removes documents of users whom Clerk does not know, after each was asked for by itself.
	Delete bool
	// MaxDelete is with how many of them Delete still believes Clerk: with more none is removed. Default 1 % of the documents, at least 10.
	MaxDelete int64
	// Yes lifts MaxDelete.
	Yes bool
	// Settle is how long a change may take from Clerk to the collection. What is younger is no drift yet. Zero means none.
	Settle time.Duration
	// Each is told what was found. Default: nobody.
	Each func(Drift)
	// Progress is told how many of Clerk's users ("users"), and then of the documents, were looked at. Default: nobody.
	Progress func(what string, n int64)
}

// Reconciler compares all users of Clerk's with the collection.
//
// It looks at Clerk's users page by page and at their documents, then at all documents and whether Clerk has their users. No
// verdict rests on one look: before it Clerk is asked about the user again, and then the database, and changes that may still be
// under way do not count.
type Reconciler struct {
	api   *clerk.API
	store *store.Store
	o     Options
	now   func() time.Time
}

// New is a Reconciler; it does not connect.
func New(api *clerk.API, s *store.Store, o Options) *Reconciler {
	if o.Each == nil {
		o.Each = func(Drift) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64) {}
	}
	return &Reconciler{api: api, store: s, o: o, now: time.Now}
}

// Run compares everything, and saves the result.
func (r *Reconciler) Run(ctx context.Context) (store.Reconciliation, error) {
	if r.o.Delete && r.o.MaxDelete == 0 {
		n, err := r.store.Count(ctx)
		if err != nil {
			return store.Reconciliation{}, err
		}
		r.o.MaxDelete = max(10, n/100)
	}
	st := State{StartedAt: r.now()}
	for !st.Done {
		if err := r.wait(ctx, st.Wait); err != nil {
			return st.Result, err
		}
		if err := r.Step(ctx, &st, 0); err != nil {
			return st.Result, err
		}
	}
	return st.Result, nil
}

func (r *Reconciler) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// State is how far a reconcile has come. It is small, and may be kept as JSON between steps.
type State struct {
	StartedAt time.Time            `json:"started_at"`
	Position  clerk.Position       `json:"position"`       // among Clerk's users
	Scanned   bool                 `json:"scanned"`        // all of them
	After     string               `json:"after"`          // the document that was looked at last
	Listed    bool                 `json:"listed"`         // all of them
	Held      []string             `json:"held,omitempty"` // documents without user at the first look
	Refused   bool                 `json:"refused"`        // too many to be removed
	Documents int64                `json:"documents"`
	Result    store.Reconciliation `json:"result"`
	Wait      time.Duration        `json:"wait"` // before the next step
	Done      bool                 `json:"done"`
}

// looksAgain says what the next step does with the held documents. Each such look waits before it, so they gather, as many as one question to Clerk takes;
// and the state stays small.
func (st *State) looksAgain() bool {
	return len(st.Held) >= clerk.MaxIDs || len(st.Held) > 0 && st.Listed
}

// Step does the next part: a page of Clerk's users, or documents, as many as the limit says (0: all that are left), or the second look at those
// without user. The last one saves the result. A step may be repeated: the state is only changed when it succeeds.
func (r *Reconciler) Step(ctx context.Context, st *State, limit int64) (err error) {
	next := *st
	next.Wait = 0
	switch {
	case !st.Scanned:
		err = r.stepUsers(ctx, &next)
	case st.looksAgain():
		err = r.lookAgain(ctx, &next)
	case !st.Listed:
		err = r.stepDocuments(ctx, &next, limit)
	default:
		next.Result.At, next.Result.Took, next.Done = r.now(), r.now().Sub(st.StartedAt), true
		err = r.store.SaveReconciliation(ctx, next.Result)
	}
	if err != nil {
		return err
	}
	if next.looksAgain() {
		next.Wait = r.o.Settle
	}
	*st = next
	return nil
}

// stepUsers compares a page of Clerk's users.
func (r *Reconciler) stepUsers(ctx context.Context, st *State) error {
	page, err := r.api.Users(ctx, st.Position)
	if err != nil {
		return err
	}
	for _, u := range page.Malformed {
		r.found(&st.Result, Drift{Kind: Stale, UserID: u.ID, Note: u.Err.Error()})
	}
	found, err := r.differing(ctx, page.Users)
	if err != nil {
		return err
	}
	// The second look: a user, or the document, may have changed since the page was read.
	for len(found) > 0 {
		n := min(len(found), clerk.MaxIDs)
		var ids []string
		for _, f := range found[:n] {
			ids = append(ids, f.user.ID)
		}
		found = found[n:]
		users, err := r.api.UsersByID(ctx, ids)
		if err != nil {
			return err
		}
		confirmed, err := r.differing(ctx, users)
		if err != nil {
			return err
		}
		for _, f := range confirmed {
			if err := r.repair(ctx, &st.Result, f); err != nil {
				return err
			}
		}
	}
	st.Result.Users += int64(len(page.Users) + len(page.Malformed))
	st.Position, st.Scanned = page.Next, page.Last
	r.o.Progress("users", st.Result.Users)
	return nil
}

// finding is a user whose document differs.
type finding struct {
	user clerk.User
	store.Comparison
}

// differing are those of the users whose documents differ, but for those who have changed a moment ago.
func (r *Reconciler) differing(ctx context.Context, users []clerk.User) (found []finding, err error) {
	changes := make([]clerk.Change, len(users))
	for i, u := range users {
		changes[i] = u.Read()
	}
	comparisons, err := r.store.Compare(ctx, changes)
	if err != nil {
		return nil, err
	}
	youngest := r.now().Add(-r.o.Settle).UnixMilli()
	for i, c := range comparisons {
		if c.Exists && len(c.Differs) == 0 && c.Err == nil {
			continue
		}
		if at, ok := users[i].UpdatedAt.Value(); ok && at > youngest && r.o.Settle > 0 {
			continue
		}
		found = append(found, finding{users[i], c})
	}
	return found, nil
}

// repair reports a finding, and applies what Clerk says if it is to.
func (r *Reconciler) repair(ctx context.Context, result *store.Reconciliation, f finding) error {
	d := Drift{Kind: Stale, UserID: f.user.ID, Fields: f.Differs}
	if !f.Exists {
		d.Kind = Missing
	}
	switch {
	case f.Err != nil:
		d.Note = f.Err.Error()
	case f.Outcome == clerk.AlreadyDeleted:
		d.Note = "a tombstone keeps the user deleted"
	case r.o.Repair:
		c := f.user.Read()
		c.Version = f.Version
		outcome, err := r.store.Apply(ctx, c)
		switch {
		case store.Unreadable(err):
			d.Note = err.Error()
		case err != nil:
			return fmt.Errorf("repair %s: %w", f.user.ID, err)
		case outcome == clerk.AlreadyDeleted:
			d.Note = "deleted a moment ago"
		default: // also where an event was faster
			d.Repaired = true
		}
	}
	r.found(result, d)
	return nil
}

// found counts and reports.
func (r *Reconciler) found(result *store.Reconciliation, d Drift) {
	switch d.Kind {
	case Missing:
		result.Missing++
	case Stale:
		result.Stale++
	case Deleted:
		result.Deleted++
	case Unknown:
		result.Unknown++
	}
	if d.Repaired {
		result.Repaired++
	}
	r.o.Each(d)
}
