package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
)

// document is a user's document as it was read.
type document struct {
	user
	// adopted says that there was bookkeeping: false for a document that the application made first.
	adopted bool
	// revision is new with every write of ours, never used twice, also not by a later document of the same id.
	revision bson.ObjectID
	// unconfirmed says that nobody has seen, since the document was made, that there is no tombstone.
	unconfirmed bool
	// schema is that of the bookkeeping, as it was read.
	schema int
}

const (
	keySync        = "sync"
	keySchema      = "sync.schema"
	keyRevision    = "sync.rev"
	keyUnconfirmed = "sync.unconfirmed"
	keyFields      = "sync.fields."
)

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

var synced = bson.D{
	{Key: fieldEmail, Value: 1},
	{Key: fieldFirstName, Value: 1},
	{Key: fieldLastName, Value: 1},
	{Key: fieldFullName, Value: 1},
	{Key: fieldProfilePicture, Value: 1},
	{Key: fieldUsername, Value: 1},
	{Key: keySync, Value: 1},
}

// find reads a user's document, see documents.
func (s *Store) find(ctx context.Context, id string) (d document, ok bool, err error) {
	var raw bson.Raw
	err = s.call(ctx, "find user", func(ctx context.Context) (err error) {
		raw, err = s.users.FindOne(ctx, byID(id), options.FindOne().SetProjection(synced)).Raw()
		return err
	})
	if errors.Is(err, mongo.ErrNoDocuments) {
		return document{}, false, nil
	}
	if err != nil {
		return document{}, false, err
	}
	d, err = decode(raw)
	return d, err == nil, err
}

func decode(raw bson.Raw) (document, error) {
	d := document{user: user{values: map[string]string{}, versions: map[string]clerk.Version{}}}
	for _, f := range synced {
		if v, ok := raw.Lookup(f.Key).StringValueOK(); ok {
			d.values[f.Key] = v
		}
	}
	value, err := raw.LookupErr(keySync)
	if err != nil {
		return d, nil
	}
	b, err := readSync(value)
	if err != nil {
		return d, err
	}
	d.adopted, d.revision, d.unconfirmed, d.schema = true, b.Revision, b.Unconfirmed, b.Schema
	for name, v := range b.Fields {
		d.versions[name] = clerk.Version(v)
	}
	return d, nil
}

// insert makes a document of an edit, see documents.
func (s *Store) insert(ctx context.Context, id, username string, e edit) error {
	doc := newDocument(id, username, e)
	return s.write(ctx, "insert user", func(ctx context.Context) error {
		_, err := s.users.InsertOne(ctx, doc)
		return err
	})
}

func newDocument(id, username string, e edit) bson.D {
	b := bookkeeping{Schema: schema, Revision: bson.NewObjectID(), Unconfirmed: true, Fields: map[string]version{}}
	for name, v := range e.versions {
		b.Fields[name] = version(v)
	}
	doc := bson.D{{Key: "_id", Value: id}, {Key: fieldUsername, Value: username}}
	for _, name := range slices.Sorted(maps.Keys(e.set)) {
		doc = append(doc, bson.E{Key: name, Value: e.set[name]})
	}
	return append(doc, bson.E{Key: keySync, Value: b})
}

// update applies an edit to the document that was read, see documents.
func (s *Store) update(ctx context.Context, id string, d document, username string, e edit) error {
	var set, unset bson.D
	for _, name := range slices.Sorted(maps.Keys(e.set)) {
		set = append(set, bson.E{Key: name, Value: e.set[name]})
	}
	for _, name := range e.unset {
		unset = append(unset, bson.E{Key: name, Value: ""})
	}
	if username != "" {
		set = append(set, bson.E{Key: fieldUsername, Value: username})
	}
	filter := append(byID(id), bson.E{Key: keyRevision, Value: d.revision})
	if d.adopted && d.schema != schema { // the whole of it, in the shape of now
		b := bookkeeping{Schema: schema, Revision: bson.NewObjectID(), Fields: map[string]version{}}
		for _, versions := range []map[string]clerk.Version{d.versions, e.versions} {
			for name, v := range versions {
				b.Fields[name] = version(v)
			}
		}
		set = append(set, bson.E{Key: keySync, Value: b})
	} else {
		set = append(set, bson.E{Key: keyRevision, Value: bson.NewObjectID()})
		for _, name := range slices.Sorted(maps.Keys(e.versions)) {
			set = append(set, bson.E{Key: keyFields + name, Value: version(e.versions[name])})
		}
		switch {
		case !d.adopted: // it is made, as far as tombstones go
			filter = append(byID(id), bson.E{Key: keyRevision, Value: bson.D{{Key: "$exists", Value: false}}})
			set = append(set, bson.E{Key: keySchema, Value: schema}, bson.E{Key: keyUnconfirmed, Value: true})
		case d.unconfirmed:
			unset = append(unset, bson.E{Key: keyUnconfirmed, Value: ""})
		}
	}
	change := bson.D{{Key: "$set", Value: set}}
	if len(unset) > 0 {
		change = append(change, bson.E{Key: "$unset", Value: unset})
	}
	var matched int64
	err := s.write(ctx, "update user", func(ctx context.Context) error {
		if s.oneWriter.Load() && d.adopted && !s.wholeFilters {
			// FerretDB 1 finds by _id alone; with more in the filter it reads the whole collection. Nobody else writes now.
			has, err := s.users.FindOne(ctx, byID(id), options.FindOne().SetProjection(bson.D{{Key: keyRevision, Value: 1}})).Raw()
			if rev, ok := has.Lookup("sync", "rev").ObjectIDOK(); !ok || rev != d.revision {
				if errors.Is(err, mongo.ErrNoDocuments) {
					err = nil
				}
				return err
			}
			filter = byID(id)
		}
		result, err := s.users.UpdateOne(ctx, filter, change)
		if err == nil {
			matched = result.MatchedCount
		}
		return err
	})
	if err != nil {
		return err
	}
	if matched == 0 {
		return fmt.Errorf("update user: %w", errRaced)
	}
	return nil
}

// remove deletes a user's document, see documents.
func (s *Store) remove(ctx context.Context, id string) (bool, error) {
	var deleted int64
	err := s.write(ctx, "delete user", func(ctx context.Context) error {
		result, err := s.users.DeleteOne(ctx, byID(id))
		if err == nil {
			deleted = result.DeletedCount
		}
		return err
	})
	return deleted > 0, err
}
