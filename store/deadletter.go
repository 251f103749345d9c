package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
)

// ErrNoLetter says that there is no dead letter of that id.
var ErrNoLetter = errors.New("no such dead letter")

// ErrNotWaiting says that a dead letter is not waiting: it was replayed, and has not failed since.
var ErrNotWaiting = errors.New("the dead letter is not waiting")

// State is where a dead letter stands.
type State string

// The states of a dead letter. A replay that fails makes it wait again.
const (
	Waiting  State = "waiting"  // for somebody to see to it
	Replayed State = "replayed" // sent again, its run has not ended
	Closed   State = "closed"   // sent again, and it succeeded
)

// Letter is a dead letter as it is kept. Its id is its event's.
type Letter struct {
	clerk.DeadLetter
	UserID   string
	State    State
	Replays  int  // how often its event was sent again
	Redacted bool // the user was deleted since: the event's data is gone
}

// letter is a Letter in the collection.
type letter struct {
	ID       string `bson:"_id"`
	UserID   string `bson:"user_id"`
	Name     string `bson:"event"`
	TS       int64  `bson:"ts"`
	Function string `bson:"function"`
	RunID    string `bson:"run_id"`
	Reason   string `bson:"reason"`
	// Data is text, not a document: a payload's keys may hold $ and dots, and its numbers shall stay as they are.
	Data     string    `bson:"data,omitempty"`
	FailedAt time.Time `bson:"failed_at"`
	State    State     `bson:"state"`
	Replays  int       `bson:"replays"`
}

func (l letter) letter() Letter {
	return Letter{
		DeadLetter: clerk.DeadLetter{
			Event:    clerk.Event{ID: l.ID, Name: l.Name, TS: l.TS, Data: json.RawMessage(l.Data)},
			Function: l.Function, RunID: l.RunID, Reason: l.Reason, FailedAt: l.FailedAt,
		},
		UserID: l.UserID, State: l.State, Replays: l.Replays, Redacted: l.Data == "",
	}
}

// KeepDeadLetter stores a letter, or, where a replay of its event has failed, makes it wait again. A repeated call,
// or one about an earlier run, changes nothing.
func (s *Store) KeepDeadLetter(ctx context.Context, d clerk.DeadLetter) error {
	if err := s.Setup(ctx); err != nil {
		return err
	}
	l := letter{
		ID: d.Event.ID, UserID: d.Event.UserID(), Name: d.Event.Name, TS: d.Event.TS, Data: string(d.Event.Data),
		Function: d.Function, RunID: d.RunID, Reason: d.Reason, FailedAt: d.FailedAt, State: Waiting, Replays: d.Replay,
	}
	if l.ID == "" { // Inngest names every event; this is for one that it did not
		l.ID = d.RunID
	}
	err := s.write(ctx, "insert dead letter", func(ctx context.Context) error {
		_, err := s.letters.InsertOne(ctx, l)
		return err
	})
	if errors.Is(err, errDuplicate) {
		err = s.updateLetter(ctx, append(byID(l.ID), bson.E{Key: "run_id", Value: bson.D{{Key: "$lt", Value: l.RunID}}}), bson.D{
			{Key: "run_id", Value: l.RunID},
			{Key: "reason", Value: l.Reason},
			{Key: "failed_at", Value: l.FailedAt},
			{Key: "state", Value: Waiting},
			{Key: "replays", Value: d.Replay}, // MarkReplayed may be late
		})
		if errors.Is(err, ErrNotWaiting) { // the same run, or an earlier one
			err = nil
		}
	}
	if err != nil {
		return err
	}
	// The user may have been deleted before the letter was there to be redacted.
	gone, err := s.isDeleted(ctx, l.UserID)
	if gone {
		err = s.redactLetters(ctx, l.UserID)
	}
	return err
}

// updateLetter sets fields of the one letter that matches; it returns [ErrNotWaiting] where none does.
func (s *Store) updateLetter(ctx context.Context, filter, set bson.D) error {
	var matched int64
	err := s.write(ctx, "update dead letter", func(ctx context.Context) error {
		result, err := s.letters.UpdateOne(ctx, filter, bson.D{{Key: "$set", Value: set}})
		if err == nil {
			matched = result.MatchedCount
		}
		return err
	})
	if err == nil && matched == 0 {
		err = ErrNotWaiting
	}
	return err
}

// CloseDeadLetter says that the event of a letter has succeeded after all. Where there is no letter it does nothing.
func (s *Store) CloseDeadLetter(ctx context.Context, eventID string) error {
	err := s.updateLetter(ctx, byID(eventID), bson.D{{Key: "state", Value: Closed}})
	if errors.Is(err, ErrNotWaiting) {
		return nil
	}
	return err
}

// MarkReplayed says that a waiting letter was sent again for the nth time. It returns [ErrNotWaiting] when that is known
// already: from another call, or because the run was faster than this one, and has closed the letter or failed.
func (s *Store) MarkReplayed(ctx context.Context, id string, n int) error {
	filter := append(byID(id), bson.E{Key: "state", Value: Waiting}, bson.E{Key: "replays", Value: n - 1})
	return s.updateLetter(ctx, filter, bson.D{{Key: "state", Value: Replayed}, {Key: "replays", Value: n}})
}

// redactLetters removes what is personal from a user's letters.
func (s *Store) redactLetters(ctx context.Context, userID string) error {
	return s.write(ctx, "redact dead letters", func(ctx context.Context) error {
		_, err := s.letters.UpdateMany(ctx, bson.D{{Key: "user_id", Value: userID}, {Key: "data", Value: bson.D{{Key: "$exists", Value: true}}}},
			bson.D{{Key: "$unset", Value: bson.D{{Key: "data", Value: ""}}}})
		return err
	})
}

// LetterFilter selects letters; a zero field selects all.
type LetterFilter struct {
	Event  string // event name, such as clerk/user.created
	UserID string
	State  State
	Before time.Time // failed before then
	After  time.Time // failed after then
}

func (f LetterFilter) bson() bson.D {
	d := bson.D{}
	for _, e := range []bson.E{{Key: "event", Value: f.Event}, {Key: "user_id", Value: f.UserID}, {Key: "state", Value: string(f.State)}} {
		if e.Value != "" {
			d = append(d, e)
		}
	}
	var at bson.D
	if !f.Before.IsZero() {
		at = append(at, bson.E{Key: "$lt", Value: f.Before})
	}
	if !f.After.IsZero() {
		at = append(at, bson.E{Key: "$gt", Value: f.After})
	}
	if len(at) > 0 {
		d = append(d, bson.E{Key: "failed_at", Value: at})
	}
	return d
}

// Letters passes the selected letters to each, one by one, in the order in which they failed; it ends at the first
// error that each returns.
func (s *Store) Letters(ctx context.Context, f LetterFilter, each func(Letter) error) error {
	cursor, err := s.openLetters(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for {
		var l letter
		more := false
		err := s.call(ctx, "read dead letter", func(ctx context.Context) error {
			if more = cursor.Next(ctx); !more {
				return cursor.Err()
			}
			return cursor.Decode(&l)
		})
		if err != nil || !more {
			return err
		}
		if err := each(l.letter()); err != nil {
			return err
		}
	}
}

func (s *Store) openLetters(ctx context.Context, f LetterFilter) (cursor *mongo.Cursor, err error) {
	err = s.call(ctx, "list dead letters", func(ctx context.Context) (err error) {
		cursor, err = s.letters.Find(ctx, f.bson(), options.Find().SetSort(bson.D{{Key: "failed_at", Value: 1}}))
		return err
	})
	return cursor, err
}

// Letter is one dead letter, or [ErrNoLetter].
func (s *Store) Letter(ctx context.Context, id string) (Letter, error) {
	var l letter
	err := s.call(ctx, "find dead letter", func(ctx context.Context) error {
		return s.letters.FindOne(ctx, byID(id)).Decode(&l)
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Letter{}, fmt.Errorf("%w: %s", ErrNoLetter, id)
	}
	return l.letter(), err
}

func (s *Store) countLetters(ctx context.Context, filter bson.D) (n int64, err error) {
	err = s.call(ctx, "count dead letters", func(ctx context.Context) (err error) {
		n, err = s.letters.CountDocuments(ctx, filter)
		return err
	})
	return n, err
}

// PurgeDeadLetters removes the selected letters and says how many there were.
func (s *Store) PurgeDeadLetters(ctx context.Context, f LetterFilter) (n int64, err error) {
	err = s.write(ctx, "purge dead letters", func(ctx context.Context) error {
		result, err := s.letters.DeleteMany(ctx, f.bson())
		if err == nil {
			n = result.DeletedCount
		}
		return err
	})
	return n, err
}
