package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
	"github.com/glowup-app/clerksync/store"
	"github.com/glowup-app/clerksync/store/embedded"
)

var (
	serverURI string
	serverDir string // of the embedded database
	databases atomic.Int64
)

// TestMain starts one database for the package; each test has a database of its own on it.
func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if serverURI = os.Getenv("TEST_DATABASE_URI"); serverURI == "" {
		dir, err := os.MkdirTemp("", "reconcile-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		db, err := embedded.Start(context.Background(), "127.0.0.1:0", dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = db.Stop() }()
		serverURI, serverDir = db.URI(), dir
	}
	return m.Run()
}

// world is Clerk, and a database.
type world struct {
	t     *testing.T
	clerk *clerktest.Clerk
	api   *clerk.API
	store *store.Store
	users *mongo.Collection
	log   *slog.Logger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	name := fmt.Sprintf("reconcile_test_%d_%d", os.Getpid(), databases.Add(1))
	w := &world{t: t, clerk: clerktest.New(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	w.api = clerk.NewAPI(clerktest.Key, clerk.APIOptions{URL: w.clerk.URL})
	var err error
	if w.store, err = store.New(serverURI, name, "users", store.Options{Logger: w.log, CallTimeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(serverURI))
	if err != nil {
		t.Fatal(err)
	}
	w.users = client.Database(name).Collection("users")
	if serverDir != "" {
		if err := errors.Join(w.store.Setup(t.Context()), embedded.IndexIDs(t.Context(), serverDir, name, "users")); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		w.clerk.Close()
		if err := errors.Join(w.users.Database().Drop(ctx), client.Disconnect(ctx), w.store.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return w
}

// since is when the users of these tests were last changed.
const since = 1_700_000_000_000

func id(n int) string { return fmt.Sprintf("user_%05d", n) }

// ann is the nth user as Clerk has them.
func ann(n int) clerktest.User {
	return clerktest.User{
		ID: id(n), CreatedAt: since + int64(n), UpdatedAt: since + int64(n), FirstName: "Ann", LastName: fmt.Sprint(n),
		Email: id(n) + "@example.com", ImageURL: "https://img.example.com/" + id(n),
	}
}

// fill makes users at Clerk.
func (w *world) fill(n int) {
	for i := range n {
		w.clerk.Put(ann(i))
	}
}

// docs are the documents as an application reads them, by _id.
func (w *world) docs() map[string]bson.M {
	w.t.Helper()
	cursor, err := w.users.Find(w.t.Context(), bson.M{})
	if err != nil {
		w.t.Fatal(err)
	}
	var list []bson.M
	if err := cursor.All(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	docs := map[string]bson.M{}
	for _, doc := range list {
		delete(doc, "sync")
		docs[fmt.Sprint(doc["_id"])] = doc
	}
	return docs
}

// want are the documents that Clerk's users make.
func (w *world) want() map[string]bson.M {
	docs := map[string]bson.M{}
	for _, u := range w.clerk.Users() {
		docs[u.ID] = bson.M{
			"_id": u.ID, "username": u.ID, "email": u.Email, "first_name": u.FirstName, "last_name": u.LastName,
			"full_name": u.FirstName + " " + u.LastName, "profile_picture": u.ImageURL,
		}
	}
	return docs
}

func (w *world) event(u clerktest.User, version clerk.Version) clerk.Change {
	return clerk.Change{
		UserID: u.ID, Version: version, Email: clerk.Some(u.Email), FirstName: clerk.Some(u.FirstName),
		LastName: clerk.Some(u.LastName), ProfilePicture: clerk.Some(u.ImageURL),
	}
}

func (w *world) apply(c clerk.Change) {
	w.t.Helper()
	if _, err := w.store.Apply(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(id string) {
	w.t.Helper()
	if _, err := w.store.Delete(w.t.Context(), id, clerk.Version{At: 1}); err != nil {
		w.t.Fatal(err)
	}
}
