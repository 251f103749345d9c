package store

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
)

// What clerksync knows about its own work is in <collection>_sync_state, a document each: it survives the container that a
// command runs in.
const (
	stateBackfill  = "backfill"
	stateReconcile = "reconcile"
)

// Checkpoint is how far a backfill has come: all users before the position are written.
type Checkpoint struct {
	Instance  string         `bson:"instance"` // Clerk's; another one's checkpoint means nothing
	Since     int64          `bson:"since"`    // only users updated since, Unix milliseconds; 0: all
	SinceAs   string         `bson:"since_as"` // how the operator said that: an age moves on
	Position  clerk.Position `bson:"position"`
	StartedAt time.Time      `bson:"started_at"`

	Created   int64 `bson:"created"`
	Updated   int64 `bson:"updated"`
	Unchanged int64 `bson:"unchanged"`
	Skipped   int64 `bson:"skipped"`
	Failed    int64 `bson:"failed"`
}

// Users is how many users the backfill has come past.
func (c Checkpoint) Users() int64 {
	return c.Created + c.Updated + c.Unchanged + c.Skipped + c.Failed
}

// SaveCheckpoint takes the place of the one before.
func (s *Store) SaveCheckpoint(ctx context.Context, c Checkpoint) error {
	return s.saveState(ctx, stateBackfill, c)
}

// Checkpoint is that of a backfill that has not ended; ok is false where there is none.
func (s *Store) Checkpoint(ctx context.Context) (c Checkpoint, ok bool, err error) {
	ok, err = s.loadState(ctx, stateBackfill, &c)
	return c, ok, err
}

// DropCheckpoint says that the backfill has ended.
func (s *Store) DropCheckpoint(ctx context.Context) error {
	return s.write(ctx, "drop checkpoint", func(ctx context.Context) error {
		_, err := s.state.DeleteOne(ctx, byID(stateBackfill))
		return err
	})
}

// Reconciliation is what the last reconcile found.
type Reconciliation struct {
	At       time.Time     `bson:"at"` // when it ended
	Took     time.Duration `bson:"took"`
	Users    int64         `bson:"users"` // of Clerk's, compared
	Missing  int64         `bson:"missing"`
	Stale    int64         `bson:"stale"`
	Deleted  int64         `bson:"deleted"`  // in Clerk, and still here
	Unknown  int64         `bson:"unknown"`  // the application's own documents: no drift
	Repaired int64         `bson:"repaired"` // of the first three
}

// Drift is how many users were not what Clerk says when the reconcile ended.
func (r Reconciliation) Drift() int64 { return r.Missing + r.Stale + r.Deleted - r.Repaired }

// SaveReconciliation takes the place of the one before.
func (s *Store) SaveReconciliation(ctx context.Context, r Reconciliation) error {
	return s.saveState(ctx, stateReconcile, r)
}

// LastReconciliation is that of the last reconcile that ended; ok is false where there was none.
func (s *Store) LastReconciliation(ctx context.Context) (r Reconciliation, ok bool, err error) {
	ok, err = s.loadState(ctx, stateReconcile, &r)
	return r, ok, err
}

func (s *Store) saveState(ctx context.Context, id string, v any) error {
	return s.write(ctx, "save state", func(ctx context.Context) error {
		_, err := s.state.UpdateOne(ctx, byID(id), bson.D{{Key: "$set", Value: v}}, options.UpdateOne().SetUpsert(true))
		return err
	})
}

func (s *Store) loadState(ctx context.Context, id string, v any) (ok bool, err error) {
	err = s.call(ctx, "load state", func(ctx context.Context) error {
		return s.state.FindOne(ctx, byID(id)).Decode(v)
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}
