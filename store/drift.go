package store

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
)

// Comparison is how a user's document stands to a change.
type Comparison struct {
	// Outcome is what Apply would answer now.
	Outcome clerk.Outcome
	// Exists says that there is a document.
	Exists bool
	// Differs are the synced fields whose value is not the change's, full_name included.
	Differs []string
	// Version is one that lets the change win where it differs, whatever has set those fields.
	Version clerk.Version
	// Err is about this document alone: it can't be read.
	Err error
}

// Compare says how documents stand to changes, in their order, and writes nothing.
func (s *Store) Compare(ctx context.Context, changes []clerk.Change) ([]Comparison, error) {
	b, err := s.lookUp(ctx, changes)
	if err != nil {
		return nil, err
	}
	all := make([]Comparison, len(changes))
	for i, c := range changes {
		d, ok := b.documents[c.UserID]
		all[i] = Comparison{Exists: ok, Version: c.Version, Err: b.bad[c.UserID]}
		switch {
		case b.bad[c.UserID] != nil:
		case b.deleted[c.UserID]:
			all[i].Outcome = clerk.AlreadyDeleted
		case !ok:
			all[i].Outcome = clerk.Created
		default:
			e := merge(d.user, c)
			if all[i].Outcome = e.outcome; e.empty() && d.wants(e) {
				all[i].Outcome = clerk.Updated
			}
			all[i].Differs, all[i].Version = compare(d.user, c)
		}
	}
	return all, nil
}

// compare lists the fields in which a document is not what a change says, and a version that is newer than theirs.
func compare(u user, c clerk.Change) (differs []string, v clerk.Version) {
	v = c.Version
	// What the document would be if the change were newer than all of it.
	e := merge(user{values: u.values}, c)
	for _, f := range synced {
		_, set := e.set[f.Key]
		unset := false
		for _, name := range e.unset {
			unset = unset || name == f.Key
		}
		if !set && !unset {
			continue
		}
		differs = append(differs, f.Key)
		sources := []string{f.Key}
		if f.Key == fieldFullName {
			sources = []string{fieldFirstName, fieldLastName}
		}
		for _, name := range sources {
			if has, ok := u.versions[name]; ok {
				v = v.After(has)
			}
		}
	}
	return differs, v
}

// Documents passes the users' documents to each, by _id and whether clerksync has written them; it ends at the first error
// that each returns. With a limit it is that many, in the order of their ids, after the one given; with 0 it is all, in any order.
// A document whose _id is no string is no user's, and left out.
func (s *Store) Documents(ctx context.Context, after string, limit int64, each func(id string, synced bool) error) error {
	if err := s.Setup(ctx); err != nil {
		return err
	}
	filter := bson.D{}
	opts := options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}, {Key: keyRevision, Value: 1}}).SetBatchSize(1000)
	if limit > 0 {
		filter = bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}}
		opts.SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(limit)
	}
	var cursor *mongo.Cursor
	err := s.call(ctx, "list users", func(ctx context.Context) (err error) {
		cursor, err = s.users.Find(ctx, filter, opts)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for {
		more := false
		if cursor.RemainingBatchLength() > 0 {
			more = cursor.Next(ctx)
		} else if err := s.call(ctx, "list more users", func(ctx context.Context) error {
			more = cursor.Next(ctx)
			return cursor.Err()
		}); err != nil {
			return err
		}
		if !more {
			return nil
		}
		id, ok := cursor.Current.Lookup("_id").StringValueOK()
		if !ok {
			continue
		}
		_, ours := cursor.Current.Lookup("sync", "rev").ObjectIDOK()
		if err := each(id, ours); err != nil {
			return err
		}
	}
}

// Count is about how many documents there are.
func (s *Store) Count(ctx context.Context) (n int64, err error) {
	err = s.call(ctx, "count users", func(ctx context.Context) (err error) {
		n, err = s.users.EstimatedDocumentCount(ctx)
		return err
	})
	return n, err
}
