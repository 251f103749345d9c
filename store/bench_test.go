package store

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store/embedded"
)

func BenchmarkMerge(b *testing.B) {
	first := ann()
	stored := user{values: map[string]string{}, versions: map[string]clerk.Version{}}
	e := merge(stored, first)
	maps.Copy(stored.values, e.set)
	stored.versions = e.versions
	newer, stale := ann(), ann()
	newer.Version, newer.FirstName = v(6, "newer"), clerk.Some("Anna")
	stale.Version = v(4, "stale")
	for _, bb := range []struct {
		name   string
		user   user
		change clerk.Change
		want   clerk.Outcome
	}{
		{"create", user{}, first, clerk.Updated},
		{"update", stored, newer, clerk.Updated},
		{"duplicate", stored, first, clerk.Unchanged},
		{"stale", stored, stale, clerk.Stale},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := merge(bb.user, bb.change).outcome; bb.want != got {
					b.Fatalf("want %q, got %q", bb.want, got)
				}
			}
		})
	}
}

// BenchmarkUsers is what an event costs among so many users: 1,000, and each ten times more up to
// CLERKSYNC_BENCH_USERS. The database is a process of its own, so that allocations are the store's.
func BenchmarkUsers(b *testing.B) {
	most := 1000
	if text := os.Getenv("CLERKSYNC_BENCH_USERS"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			b.Fatalf("CLERKSYNC_BENCH_USERS: %v", err)
		}
	}
	uri, dir := startServer(b, buildServer(b))
	s := setupOn(b, uri)
	s.o.CallTimeout = time.Minute // slow is a result here, no error
	if err := s.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	s.wholeFilters = false // with them, or without an index, the embedded database reads all of a collection, and MongoDB does not
	if dir != "" {
		if err := embedded.IndexIDs(b.Context(), dir, s.users.Database().Name(), s.users.Name()); err != nil {
			b.Fatal(err)
		}
	}
	filled := 0
	for users := 1000; users <= most; users *= 10 {
		fill(b, s, filled, users)
		filled = users
		b.Run("users="+strconv.Itoa(users), func(b *testing.B) { benchmarkEvents(b, s, users) })
	}
}

// fill inserts users from..to-1 as the sync would have left them, in bulk.
func fill(b *testing.B, s *Store, from, to int) {
	b.Helper()
	const batch = 10_000
	for from < to {
		docs := make([]any, 0, batch)
		for range min(batch, to-from) {
			id := benchUser(from)
			docs = append(docs, bson.D{
				{Key: "_id", Value: id},
				{Key: fieldUsername, Value: id},
				{Key: fieldEmail, Value: id + "@example.com"},
				{Key: fieldFirstName, Value: "Ann"},
				{Key: "sync", Value: bookkeeping{Revision: bson.NewObjectID(), Fields: map[string]version{
					fieldEmail: {At: 1, TS: 1, EventID: "filled"}, fieldFirstName: {At: 1, TS: 1, EventID: "filled"},
				}}},
			})
			from++
		}
		if _, err := s.users.InsertMany(b.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchUser(n int) string { return fmt.Sprintf("user_%09d", n) }

// benchmarkEvents runs each kind of event. The number of users stays: what one kind makes, the next one deletes.
func benchmarkEvents(b *testing.B, s *Store, users int) {
	serial := databases.Add(1) << 32 // of versions and of new users, never the same again
	change := func(id string, at int64) clerk.Change {
		first := "Ann " + strconv.FormatInt(at, 10)
		return clerk.Change{UserID: id, Version: v(at, first), FirstName: clerk.Some(first), Email: clerk.Some(id + "@example.com")}
	}
	// Spread over all users, by a step that shares no factor with their number.
	at := func(n int64) string { return benchUser(int(n * 7919 % int64(users))) }
	var made []string
	for _, kind := range []struct {
		name string
		do   func(n int64) (clerk.Outcome, error)
		want clerk.Outcome
	}{
		{"create", func(n int64) (clerk.Outcome, error) {
			id := fmt.Sprintf("user_new_%d", n)
			made = append(made, id)
			return s.Apply(b.Context(), change(id, 1))
		}, clerk.Created},
		{"update", func(n int64) (clerk.Outcome, error) { return s.Apply(b.Context(), change(at(n), n)) }, clerk.Updated},
		{"stale", func(n int64) (clerk.Outcome, error) { return s.Apply(b.Context(), change(at(n), 0)) }, clerk.Stale},
		{"delete", func(n int64) (clerk.Outcome, error) {
			id := fmt.Sprintf("user_never_%d", n)
			if len(made) > 0 {
				id, made = made[len(made)-1], made[:len(made)-1]
			}
			return s.Delete(b.Context(), id, v(n, "deleted"))
		}, clerk.Deleted},
	} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				serial++
				if got, err := kind.do(serial); err != nil || kind.want != got {
					b.Fatalf("want %q, got %q, error %v", kind.want, got, err)
				}
			}
		})
	}
}
