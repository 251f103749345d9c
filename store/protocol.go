package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/glowup-app/clerksync/clerk"
)

// Apply merges a change into the user's document, which it makes when there is none. It returns
// [clerk.Created], Updated, Unchanged, Stale or AlreadyDeleted. [ErrConflict], [ErrUsernameTaken] and every
// other error mean that it may be applied or not, and that applying it again is right.
func (s *Store) Apply(ctx context.Context, c clerk.Change) (clerk.Outcome, error) {
	if err := s.Setup(ctx); err != nil {
		return "", err
	}
	return s.protocol().apply(ctx, c)
}

// Delete removes a user for good, and what is personal from the user's dead letters. It returns [clerk.Deleted] or AlreadyDeleted. After any error, deleting again
// is right.
func (s *Store) Delete(ctx context.Context, userID string, v clerk.Version) (clerk.Outcome, error) {
	if err := s.Setup(ctx); err != nil {
		return "", err
	}
	outcome, err := s.protocol().remove(ctx, userID, v)
	if err != nil {
		return "", err
	}
	// After the tombstone: a letter that comes later finds it, see KeepDeadLetter.
	return outcome, s.redactLetters(ctx, userID)
}

func (s *Store) protocol() protocol {
	return protocol{db: s, afterRace: func(ctx context.Context, try int) error {
		s.metrics.conflicts.Inc()
		return pause(ctx, try)
	}}
}

// documents is all that the protocol needs of a database: single documents, unique indexes, compare-and-set.
type documents interface {
	// find reads a user's document; ok is false where there is none.
	find(ctx context.Context, id string) (d document, ok bool, err error)
	// insert makes a document of an edit, unconfirmed. It returns errDuplicate when the id or the username is taken.
	insert(ctx context.Context, id, username string, e edit) error
	// update applies an edit to the document that was read, and gives it a username where one is given. It
	// returns errRaced when the document has changed or gone since, and errDuplicate when the username is taken.
	update(ctx context.Context, id string, d document, username string, e edit) error
	// remove deletes a user's document; it says whether there was one.
	remove(ctx context.Context, id string) (bool, error)
	// isDeleted looks for a user's tombstone.
	isDeleted(ctx context.Context, id string) (bool, error)
	// bury inserts the tombstone. It returns errDuplicate when there is one.
	bury(ctx context.Context, id string, v clerk.Version) error
}

// protocol keeps one user's document right among writers that run at once, stop anywhere and are run again.
// It is the order of its calls that makes it right.
type protocol struct {
	db documents
	// afterRace is called before each new try of a writer that lost a race; try counts from 1.
	afterRace func(ctx context.Context, try int) error
}

const (
	// raceTries bounds how often a writer that lost a race reads again. Inngest runs one event of a user at a
	// time, so a race is rare and a second one rarer.
	raceTries = 10
	raceDelay = 5 * time.Millisecond
)

func (p protocol) apply(ctx context.Context, c clerk.Change) (clerk.Outcome, error) {
	for try := range raceTries {
		if try > 0 {
			if err := p.afterRace(ctx, try); err != nil {
				return "", err
			}
		}
		outcome, err := p.applyOnce(ctx, c)
		if !errors.Is(err, errRaced) {
			return outcome, err
		}
	}
	return "", ErrConflict
}

func (p protocol) applyOnce(ctx context.Context, c clerk.Change) (clerk.Outcome, error) {
	d, ok, err := p.db.find(ctx, c.UserID)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return p.make(ctx, c)
	case !d.adopted || d.unconfirmed:
		return p.applyUnconfirmed(ctx, d, c)
	default:
		return p.applyTo(ctx, d, c)
	}
}

// make inserts the user's document. The tombstone is looked for on both sides of the insert: before, so that a
// late event of a deleted user makes nothing; after, because a delete may have passed in between. A writer that
// stops before the second look leaves the document unconfirmed, and whoever comes next looks in its place.
func (p protocol) make(ctx context.Context, c clerk.Change) (clerk.Outcome, error) {
	if gone, err := p.db.isDeleted(ctx, c.UserID); gone || err != nil {
		return deletedOr("", gone), err
	}
	e := merge(user{}, c)
	err := withUsername(baseUsername(c, e.set[fieldEmail]), func(username string) error {
		err := p.db.insert(ctx, c.UserID, username, e)
		if !errors.Is(err, errDuplicate) {
			return err
		}
		// Taken is the id or the username, and not every server says which.
		_, ok, findErr := p.db.find(ctx, c.UserID)
		switch {
		case findErr != nil:
			return findErr
		case ok:
			return errRaced
		default:
			return err
		}
	})
	if err != nil {
		return "", err
	}
	return p.confirm(ctx, c.UserID, clerk.Created)
}

// applyUnconfirmed is applyTo for a document that may have been made after the user was deleted.
func (p protocol) applyUnconfirmed(ctx context.Context, d document, c clerk.Change) (clerk.Outcome, error) {
	gone, err := p.db.isDeleted(ctx, c.UserID)
	switch {
	case err != nil:
		return "", err
	case gone && d.adopted:
		_, err := p.db.remove(ctx, c.UserID)
		return deletedOr("", err == nil), err
	case gone: // the application made it after the delete; it is not ours to take away
		return clerk.AlreadyDeleted, nil
	}
	outcome, err := p.applyTo(ctx, d, c)
	if err != nil || d.adopted {
		return outcome, err
	}
	return p.confirm(ctx, c.UserID, outcome)
}

// applyTo merges a change into a document that is there.
func (p protocol) applyTo(ctx context.Context, d document, c clerk.Change) (clerk.Outcome, error) {
	e := merge(d.user, c)
	if _, named := d.values[fieldUsername]; named {
		if e.empty() && d.adopted {
			return e.outcome, nil
		}
		return e.outcome, p.db.update(ctx, c.UserID, d, "", e)
	}
	// The application's document has no username, or lost it.
	err := withUsername(baseUsername(c, e.result(d.user, fieldEmail)), func(username string) error {
		return p.db.update(ctx, c.UserID, d, username, e)
	})
	return clerk.Updated, err
}

// confirm takes a document that was just made away again when the user was deleted meanwhile.
func (p protocol) confirm(ctx context.Context, id string, outcome clerk.Outcome) (clerk.Outcome, error) {
	gone, err := p.db.isDeleted(ctx, id)
	if gone {
		_, err = p.db.remove(ctx, id)
	}
	if err != nil {
		return "", err
	}
	return deletedOr(outcome, gone), nil
}

// remove writes the tombstone first. From then on nobody makes the document, but for those who looked for a
// tombstone before it was there; they look again after their insert (see make), and take away what they made.
func (p protocol) remove(ctx context.Context, userID string, v clerk.Version) (clerk.Outcome, error) {
	before, err := p.db.isDeleted(ctx, userID)
	if err != nil {
		return "", err
	}
	if !before {
		if err := p.db.bury(ctx, userID, v); err != nil && !errors.Is(err, errDuplicate) { // a repeated delete was faster
			return "", err
		}
	}
	removed, err := p.db.remove(ctx, userID)
	if err != nil {
		return "", err
	}
	return deletedOr(clerk.Deleted, before && !removed), nil
}

func deletedOr(outcome clerk.Outcome, gone bool) clerk.Outcome {
	if gone {
		return clerk.AlreadyDeleted
	}
	return outcome
}

// withUsername writes with the base, and with a suffix for as long as the unique index refuses.
func withUsername(base string, write func(username string) error) error {
	for try := range usernameTries {
		err := write(usernameCandidate(base, try))
		if !errors.Is(err, errDuplicate) {
			return err
		}
	}
	return fmt.Errorf("%d tries: %w", usernameTries, ErrUsernameTaken)
}

// pause waits a random time that grows with the tries, so that writers that met do not meet again.
func pause(ctx context.Context, try int) error {
	most := raceDelay << try
	timer := time.NewTimer(rand.N(most)) //nolint:gosec // it spreads writers, it guards nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
