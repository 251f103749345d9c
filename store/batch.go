package store

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
)

// Result is what came of one of several changes.
type Result struct {
	Outcome clerk.Outcome
	Err     error
}

// batchWriters bounds the changes of a batch that are applied one by one at once.
const batchWriters = 8

// ApplyAll is Apply for many changes, each of another user: the same rule and the same order of calls, for all of them in each
// call. The results are in the order of the changes. An error is one of looking them up: nothing was written then.
func (s *Store) ApplyAll(ctx context.Context, changes []clerk.Change) ([]Result, error) {
	b, err := s.lookUp(ctx, changes)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(changes))
	var missing, rest []int
	for i, c := range changes {
		d, ok := b.documents[c.UserID]
		switch {
		case b.bad[c.UserID] != nil:
			results[i].Err = b.bad[c.UserID]
		case !ok && b.deleted[c.UserID]:
			results[i].Outcome = clerk.AlreadyDeleted
		case !ok:
			missing = append(missing, i)
		default:
			e := merge(d.user, c)
			if d.wants(e) || (d.unconfirmed && b.deleted[c.UserID]) {
				rest = append(rest, i)
			}
			results[i].Outcome = e.outcome
		}
	}
	rest = append(rest, s.makeAll(ctx, changes, missing, results)...)
	var g errgroup.Group
	g.SetLimit(batchWriters)
	for _, i := range rest {
		g.Go(func() error {
			results[i].Outcome, results[i].Err = s.protocol().apply(ctx, changes[i])
			return nil
		})
	}
	return results, g.Wait()
}

// wants says that an edit leads to a write.
func (d document) wants(e edit) bool {
	_, named := d.values[fieldUsername]
	return !e.empty() || !d.adopted || !named
}

// makeAll is protocol.make for many: lookUp has looked for tombstones before the insert, and here they are looked for after it.
// It returns those that are to be applied one by one, since their id or their username is taken.
func (s *Store) makeAll(ctx context.Context, changes []clerk.Change, missing []int, results []Result) (taken []int) {
	if len(missing) == 0 {
		return nil
	}
	docs, ids := make([]any, len(missing)), make([]string, len(missing))
	for n, i := range missing {
		c := changes[i]
		e := merge(user{}, c)
		ids[n] = c.UserID
		docs[n] = newDocument(c.UserID, baseUsername(c, e.set[fieldEmail]), e)
	}
	var refused mongo.BulkWriteException
	err := s.write(ctx, "insert users", func(ctx context.Context) error {
		_, err := s.users.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if errors.As(err, &refused) && refused.WriteConcernError == nil {
			return nil // below
		}
		return err
	})
	var gone map[string]bool
	if err == nil {
		gone, err = s.areDeleted(ctx, ids)
	}
	if err != nil { // made or not; to apply them again is right
		for _, i := range missing {
			results[i].Err = err
		}
		return nil
	}
	failed := map[int]bool{}
	for _, w := range refused.WriteErrors {
		failed[w.Index] = true
		i := missing[w.Index]
		if mongo.IsDuplicateKeyError(w) {
			taken = append(taken, i)
		} else {
			results[i].Err = fmt.Errorf("insert users: %w", &serverError{code: w.Code, name: "write error"})
		}
	}
	for n, i := range missing {
		switch {
		case failed[n]:
		case gone[ids[n]]: // between the two looks
			results[i].Outcome, results[i].Err = s.protocol().confirm(ctx, ids[n], clerk.Created)
		default:
			results[i].Outcome = clerk.Created
		}
	}
	return taken
}

// batch is what the database holds about some users.
type batch struct {
	documents map[string]document
	bad       map[string]error // documents that can't be read
	deleted   map[string]bool  // looked up where it matters: no document, or one that may have been made after a delete
}

func (s *Store) lookUp(ctx context.Context, changes []clerk.Change) (b batch, err error) {
	if err := s.Setup(ctx); err != nil {
		return b, err
	}
	ids := make([]string, len(changes))
	for i, c := range changes {
		ids[i] = c.UserID
	}
	if b.documents, b.bad, err = s.findAll(ctx, ids); err != nil {
		return b, err
	}
	var unsure []string
	for _, id := range ids {
		if d, ok := b.documents[id]; b.bad[id] == nil && (!ok || !d.adopted || d.unconfirmed) {
			unsure = append(unsure, id)
		}
	}
	b.deleted, err = s.areDeleted(ctx, unsure)
	return b, err
}

func (s *Store) findAll(ctx context.Context, ids []string) (docs map[string]document, bad map[string]error, err error) {
	raws, err := s.findRaw(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	docs, bad = make(map[string]document, len(raws)), map[string]error{}
	for _, raw := range raws {
		id := raw.Lookup("_id").StringValue()
		if docs[id], err = decode(raw); err != nil {
			bad[id] = err
		}
	}
	return docs, bad, nil
}

func (s *Store) findRaw(ctx context.Context, ids []string) (raws []bson.Raw, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if s.oneWriter.Load() {
		return s.findEach(ctx, ids)
	}
	err = s.call(ctx, "find users", func(ctx context.Context) error {
		cursor, err := s.users.Find(ctx, byIDs(ids), options.Find().SetProjection(synced))
		if err != nil {
			return err
		}
		return cursor.All(ctx, &raws)
	})
	return raws, err
}

// findEach is for FerretDB 1, which reads the whole collection for a list of ids.
func (s *Store) findEach(ctx context.Context, ids []string) (raws []bson.Raw, err error) {
	all := make([]bson.Raw, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(batchWriters)
	for i, id := range ids {
		g.Go(func() error {
			err := s.call(ctx, "find user", func(ctx context.Context) (err error) {
				all[i], err = s.users.FindOne(ctx, byID(id), options.FindOne().SetProjection(synced)).Raw()
				return err
			})
			if errors.Is(err, mongo.ErrNoDocuments) {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, raw := range all {
		if raw != nil {
			raws = append(raws, raw)
		}
	}
	return raws, nil
}

// areDeleted are those of the users that have a tombstone.
func (s *Store) areDeleted(ctx context.Context, ids []string) (map[string]bool, error) {
	found := map[string]bool{}
	if len(ids) == 0 {
		return found, nil
	}
	var raws []bson.Raw
	err := s.call(ctx, "find tombstones", func(ctx context.Context) error {
		cursor, err := s.tombstones.Find(ctx, byIDs(ids), options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			return err
		}
		return cursor.All(ctx, &raws)
	})
	for _, raw := range raws {
		found[raw.Lookup("_id").StringValue()] = true
	}
	return found, err
}

func byIDs(ids []string) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
}
