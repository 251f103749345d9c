package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// tombstoneRetention is how long a tombstone outlives the last event that it could have to stop. A webhook may come
// 27 hours late by Svix's redeliveries and its run another 26 hours by Inngest's retries; an operator may resend one
// from Svix for 90 days; and a dead letter may be replayed for as long as it is kept. A year, beside that, costs
// about a hundred bytes a user.
const tombstoneRetention = 365 * 24 * time.Hour

// expiring are the collections whose documents go, by the field that holds their date.
func (s *Store) expiring() []expiry {
	return []expiry{
		{s.letters, "failed_at", s.o.DeadLetterRetention},
		{s.tombstones, "deleted_at", tombstoneRetention + s.o.DeadLetterRetention},
	}
}

type expiry struct {
	collection *mongo.Collection
	field      string
	after      time.Duration
}

// ensureExpiry lets the server remove what has expired, where it can. Elsewhere Sweep does.
func (s *Store) ensureExpiry(ctx context.Context) error {
	for _, e := range s.expiring() {
		seconds := int32(e.after / time.Second) //nolint:gosec // the configuration allows at most ten years
		err := s.write(ctx, "create index", func(ctx context.Context) error {
			_, err := e.collection.Indexes().CreateOne(ctx, mongo.IndexModel{
				Keys: bson.D{{Key: e.field, Value: 1}}, Options: options.Index().SetExpireAfterSeconds(seconds).SetName("expire"),
			})
			return err
		})
		switch {
		case isServerError(err, notImplemented, commandNotFound):
			s.sweeps.Store(true)
			return nil
		case isServerError(err, indexOptionsConflict): // the retention was changed
			err = s.write(ctx, "change index", func(ctx context.Context) error {
				return e.collection.Database().RunCommand(ctx, bson.D{
					{Key: "collMod", Value: e.collection.Name()},
					{Key: "index", Value: bson.D{{Key: "name", Value: "expire"}, {Key: "expireAfterSeconds", Value: seconds}}},
				}).Err()
			})
		}
		if err != nil {
			return fmt.Errorf("let %s expire: %w", e.collection.Name(), err)
		}
	}
	return nil
}

// Sweep removes what has expired where the server does not do that itself, and says how much that was.
func (s *Store) Sweep(ctx context.Context) (int64, error) {
	if err := s.Setup(ctx); err != nil {
		return 0, err
	}
	if !s.sweeps.Load() {
		return 0, nil
	}
	var total int64
	var errs []error
	for _, e := range s.expiring() {
		errs = append(errs, s.write(ctx, "sweep", func(ctx context.Context) error {
			result, err := e.collection.DeleteMany(ctx, bson.D{{Key: e.field, Value: bson.D{{Key: "$lt", Value: time.Now().Add(-e.after)}}}})
			if err == nil {
				total += result.DeletedCount
			}
			return err
		}))
	}
	return total, errors.Join(errs...)
}
