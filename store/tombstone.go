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

// tombstone keeps a deleted user deleted. It holds nothing personal.
type tombstone struct {
	ID      string  `bson:"_id"`
	Version version `bson:"version"` // of the event that deleted the user
	// DeletedAt is our clock's time, for how long a tombstone is kept; no order rests on it.
	DeletedAt time.Time `bson:"deleted_at"`
}

// bury inserts a tombstone, see documents.
func (s *Store) bury(ctx context.Context, userID string, v clerk.Version) error {
	return s.write(ctx, "insert tombstone", func(ctx context.Context) error {
		_, err := s.tombstones.InsertOne(ctx, tombstone{ID: userID, Version: version(v), DeletedAt: time.Now()})
		return err
	})
}

// isDeleted looks for a tombstone, see documents.
func (s *Store) isDeleted(ctx context.Context, userID string) (bool, error) {
	err := s.call(ctx, "find tombstone", func(ctx context.Context) error {
		only := options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})
		return s.tombstones.FindOne(ctx, byID(userID), only).Err()
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	if err == nil {
		s.metrics.tombstoneHits.Inc()
	}
	return err == nil, err
}
