package store

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// index is what the server says of an index, as far as it matters here.
type index struct {
	Name        string   `bson:"name"`
	Key         bson.D   `bson:"key"`
	Unique      bool     `bson:"unique"`
	Partial     bson.Raw `bson:"partialFilterExpression"`
	ExpireAfter *int64   `bson:"expireAfterSeconds"`
}

// ensureUsernameIndex makes the unique index on username unless there is one, such as Mongoose's.
func (s *Store) ensureUsernameIndex(ctx context.Context) error {
	all, err := s.indexes(ctx, s.users)
	if err != nil {
		return err
	}
	if found, err := s.usernameIndex(all); found || err != nil {
		return err
	}
	// Sparse: the application's own documents may have no username yet.
	err = s.createUsernameIndex(ctx, options.Index().SetUnique(true).SetSparse(true))
	if isServerError(err, notImplemented, commandNotFound) {
		// FerretDB 1 has no sparse indexes and does not need one: its unique index passes over missing fields.
		err = s.createUsernameIndex(ctx, options.Index().SetUnique(true))
	}
	if errors.Is(err, errDuplicate) {
		return fmt.Errorf("%w: no unique index on %s of %s can be made, since some documents share one: make them differ",
			ErrIncompatibleIndex, fieldUsername, s.users.Name())
	}
	return err
}

// usernameIndex says whether there is one that will do.
func (s *Store) usernameIndex(all []index) (bool, error) {
	i := on(all, fieldUsername)
	if i != nil && (!i.Unique || i.Partial != nil) {
		return false, fmt.Errorf("%w: %q on %s of %s must be unique and without a partial filter: drop it, clerksync makes its own",
			ErrIncompatibleIndex, i.Name, fieldUsername, s.users.Name())
	}
	return i != nil, nil
}

// letterIndexes are for the delete of a user, which looks for the user's letters, and for counting those that wait.
var letterIndexes = []string{"user_id", "state"}

func (s *Store) ensureLetterIndexes(ctx context.Context) error {
	for _, field := range letterIndexes { // one by one: FerretDB 1 refuses two that are there already
		err := s.write(ctx, "create index", func(ctx context.Context) error {
			_, err := s.letters.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: field, Value: 1}}})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) createUsernameIndex(ctx context.Context, o *options.IndexOptionsBuilder) error {
	return s.write(ctx, "create index", func(ctx context.Context) error {
		_, err := s.users.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: fieldUsername, Value: 1}}, Options: o})
		return err
	})
}

// https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
const (
	internalError     = 1
	namespaceNotFound = 26
	commandNotFound   = 59
	// A TTL index of another duration is there.
	indexOptionsConflict = 85
	notImplemented       = 238
)
