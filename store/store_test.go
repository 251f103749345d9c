package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store/embedded"
)

var (
	serverURI string
	databases atomic.Int64
)

// TestMain starts one database for the package; each test has a database of its own on it.
func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if serverURI = os.Getenv("TEST_DATABASE_URI"); serverURI == "" {
		db, err := embedded.Start(context.Background(), "127.0.0.1:0", os.Getenv(serveVariable))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = db.Stop() }()
		serverURI = db.URI()
	}
	return m.Run()
}

// setup is a store on an empty database.
func setup(t testing.TB) *Store {
	t.Helper()
	return setupOn(t, serverURI)
}

func setupOn(t testing.TB, uri string) *Store {
	t.Helper()
	name := fmt.Sprintf("store_test_%d_%d", os.Getpid(), databases.Add(1))
	s, err := New(uri, name, "users", Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.wholeFilters = true // what is shown here shall be shown of a MongoDB
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(s.users.Database().Drop(ctx), s.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// read is a user's document as an application sees it, without "sync"; nil where there is none.
func read(t *testing.T, s *Store, id string) bson.M {
	t.Helper()
	var doc bson.M
	err := s.users.FindOne(t.Context(), byID(id)).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(doc, "sync")
	return doc
}

func apply(t *testing.T, s *Store, c clerk.Change, want clerk.Outcome) {
	t.Helper()
	got, err := s.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want != got {
		t.Errorf("outcome of %s: want %q, got %q", c.Version.EventID, want, got)
	}
}

func remove(t *testing.T, s *Store, id string, want clerk.Outcome) {
	t.Helper()
	got, err := s.Delete(t.Context(), id, v(9, "delete"))
	if err != nil {
		t.Fatal(err)
	}
	if want != got {
		t.Errorf("outcome of the delete: want %q, got %q", want, got)
	}
}

func insert(t *testing.T, s *Store, doc bson.M) {
	t.Helper()
	if _, err := s.users.InsertOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

func wantDoc(t *testing.T, s *Store, id string, want bson.M) {
	t.Helper()
	if d := cmp.Diff(want, read(t, s, id)); d != "" {
		t.Errorf("document of %s (-want +got)\n%s", id, d)
	}
}

// ann is a whole user, as of version 5.
func ann() clerk.Change {
	return clerk.Change{
		UserID: "user_ann", Version: v(5, "created"),
		Email: clerk.Some("ann@example.com"), FirstName: clerk.Some("Ann"), LastName: clerk.Some("Lee"),
		ProfilePicture: clerk.Some("https://img.example.com/ann"),
	}
}

func annDoc() bson.M {
	return bson.M{
		"_id": "user_ann", "username": "ann", "email": "ann@example.com", "first_name": "Ann", "last_name": "Lee",
		"full_name": "Ann Lee", "profile_picture": "https://img.example.com/ann",
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	t.Run("the application's own fields survive", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		apply(t, s, ann(), clerk.Created)
		if _, err := s.users.UpdateByID(t.Context(), "user_ann", bson.M{"$set": bson.M{"plan": "pro", "settings": bson.M{"dark": true}}}); err != nil {
			t.Fatal(err)
		}
		apply(t, s, clerk.Change{UserID: "user_ann", Version: v(6, "b"), Email: clerk.Some("new@example.com")}, clerk.Updated)
		want := annDoc()
		want["plan"], want["settings"], want["email"] = "pro", bson.D{{Key: "dark", Value: true}}, "new@example.com"
		wantDoc(t, s, "user_ann", want)
	})
	t.Run("hostile values are values", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		c := clerk.Change{
			UserID: "$where.a.b", Version: clerk.Version{At: -1 << 63, TS: 1<<63 - 1, EventID: "$set.sync"},
			FirstName: clerk.Some("$unset"), LastName: clerk.Some(strings.Repeat("é", 100_000)),
		}
		apply(t, s, c, clerk.Created)
		apply(t, s, c, clerk.Unchanged)
		if want, got := "$where.a.b", read(t, s, c.UserID)["username"]; want != got {
			t.Errorf("want %q, got %q", want, got)
		}
	})
}

func TestUsername(t *testing.T) {
	t.Parallel()
	create := func(t *testing.T, s *Store, id string, c clerk.Change) string {
		t.Helper()
		c.UserID, c.Version = id, v(1, "create "+id)
		apply(t, s, c, clerk.Created)
		name, _ := read(t, s, id)["username"].(string)
		return name
	}
	for _, tt := range []struct {
		name   string
		change clerk.Change
		want   string
	}{
		{"Clerk's own goes first", clerk.Change{Username: clerk.Some("annie"), Email: clerk.Some("ann@example.com")}, "annie"},
		{"else the email's local part", clerk.Change{Username: clerk.Null[string](), Email: clerk.Some("ann@example.com")}, "ann"},
		{"a quoted local part may hold an @", clerk.Change{Email: clerk.Some(`"a@b"@example.com`)}, `"a@b"`},
		{"else the id", clerk.Change{FirstName: clerk.Some("Ann")}, "user_1"},
		{"an address without local part has none", clerk.Change{Email: clerk.Some("@example.com")}, "user_1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := create(t, setup(t), "user_1", tt.change); tt.want != got {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
	t.Run("a later change in Clerk does not rename", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		create(t, s, "user_1", clerk.Change{Username: clerk.Some("ann")})
		apply(t, s, clerk.Change{UserID: "user_1", Version: v(2, "b"), Username: clerk.Some("other")}, clerk.Unchanged)
		if want, got := "ann", read(t, s, "user_1")["username"]; want != got {
			t.Errorf("want %q, got %q", want, got)
		}
	})
	t.Run("fifty at once with one local part all get their own", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		var g errgroup.Group
		for i := range 50 {
			id := fmt.Sprintf("user_%02d", i)
			g.Go(func() error {
				out, err := s.Apply(t.Context(), clerk.Change{
					UserID: id, Version: v(1, id), Email: clerk.Some(fmt.Sprintf("ann@%d.example.com", i)),
				})
				if err == nil && out != clerk.Created {
					return fmt.Errorf("outcome of %s: want created, got %q", id, out)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		names := map[any]bool{}
		suffixed := regexp.MustCompile(`^ann[0-9]*$`)
		for i := range 50 {
			name := read(t, s, fmt.Sprintf("user_%02d", i))["username"]
			if text, _ := name.(string); names[name] || !suffixed.MatchString(text) {
				t.Errorf("want ann and a number, used once, got %q", name)
			}
			names[name] = true
		}
		if !names["ann"] {
			t.Error("want one of them to be plain ann")
		}
	})
	t.Run("the name of a deleted user is free again", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		create(t, s, "user_1", clerk.Change{Username: clerk.Some("ann")})
		remove(t, s, "user_1", clerk.Deleted)
		if want, got := "ann", create(t, s, "user_2", clerk.Change{Username: clerk.Some("ann")}); want != got {
			t.Errorf("want %q, got %q", want, got)
		}
	})
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	t.Run("a stub without username gets a free one", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		other := ann()
		other.UserID = "user_other"
		apply(t, s, other, clerk.Created) // holds the name ann
		insert(t, s, bson.M{"_id": "user_ann", "plan": "pro"})
		apply(t, s, ann(), clerk.Updated)
		got, _ := read(t, s, "user_ann")["username"].(string)
		if !regexp.MustCompile(`^ann[0-9]+$`).MatchString(got) {
			t.Errorf("want ann and a number, got %q", got)
		}
	})
	t.Run("several stubs without username live side by side", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		if err := s.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
		insert(t, s, bson.M{"_id": "user_1"})
		insert(t, s, bson.M{"_id": "user_2"})
	})
	t.Run("a sub-document sync of somebody else is an error that says so", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		insert(t, s, bson.M{"_id": "user_ann", "sync": "mine"})
		if _, err := s.Apply(t.Context(), ann()); err == nil || !strings.Contains(err.Error(), `"sync" is not clerksync's`) {
			t.Errorf("want an error about sync, got %v", err)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	t.Run("a tombstone holds nothing personal", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		apply(t, s, ann(), clerk.Created)
		remove(t, s, "user_ann", clerk.Deleted)
		var got bson.M
		if err := s.tombstones.FindOne(t.Context(), byID("user_ann")).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if _, ok := got["deleted_at"].(bson.DateTime); !ok {
			t.Errorf("want a date in deleted_at, got %v", got["deleted_at"])
		}
		delete(got, "deleted_at")
		want := bson.M{"_id": "user_ann", "version": bson.D{{Key: "at", Value: int64(9)}, {Key: "ts", Value: int64(9)}, {Key: "event", Value: "delete"}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("tombstone (-want +got)\n%s", d)
		}
	})
}

func TestConcurrentWritersConverge(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var changes []clerk.Change
	for i := range 24 {
		c := clerk.Change{UserID: "user_1", Version: v(int64(i/2), fmt.Sprintf("event %02d", i))}
		value := clerk.Some(fmt.Sprint(i))
		switch i % 4 {
		case 0:
			c.Email = value
		case 1:
			c.FirstName, c.LastName = value, clerk.Null[string]()
		case 2:
			c.LastName = value
		case 3:
			c.ProfilePicture, c.FirstName = value, value
		}
		changes = append(changes, c)
	}
	var wg sync.WaitGroup
	for _, c := range append(changes, changes...) {
		wg.Go(func() {
			for { // as Inngest would
				if _, err := s.Apply(t.Context(), c); !errors.Is(err, ErrConflict) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	got := read(t, s, "user_1")
	delete(got, "username") // that of whoever came first
	want := bson.M{"_id": "user_1"}
	for k, v := range model(changes) {
		want[k] = v
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("document (-want +got)\n%s", d)
	}
}

func TestUsernameIndex(t *testing.T) {
	t.Parallel()
	create := func(t *testing.T, s *Store, o *options.IndexOptionsBuilder) {
		t.Helper()
		if err := s.createUsernameIndex(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("setting up again changes nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		for range 2 {
			s.isSetUp.Store(false)
			if err := s.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a unique index of the application's is taken over", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		create(t, s, options.Index().SetUnique(true).SetName("mongoose_made_this"))
		if err := s.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("an index that is not unique is an error with the remedy", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		create(t, s, options.Index().SetName("plain"))
		if err := s.Setup(t.Context()); !errors.Is(err, ErrIncompatibleIndex) || !strings.Contains(err.Error(), "drop it") {
			t.Errorf("want %v with a remedy, got %v", ErrIncompatibleIndex, err)
		}
	})
	t.Run("usernames that are not unique are an error that quotes none", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		insert(t, s, bson.M{"_id": "user_1", "username": "canary"})
		insert(t, s, bson.M{"_id": "user_2", "username": "canary"})
		err := s.Setup(t.Context())
		if !errors.Is(err, ErrIncompatibleIndex) || strings.Contains(err.Error(), "canary") {
			t.Errorf("want %v without the name, got %v", ErrIncompatibleIndex, err)
		}
	})
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	// Nothing listens on port 1, and the password must not show in any error.
	s, err := New("mongodb://ann:canary@127.0.0.1:1/glowup?serverSelectionTimeoutMS=50", "glowup", "users", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.WithoutCancel(t.Context())) }()
	for name, call := range map[string]func() error{
		"ping":   func() error { return s.Ping(t.Context()) },
		"apply":  func() error { _, err := s.Apply(t.Context(), ann()); return err },
		"delete": func() error { _, err := s.Delete(t.Context(), "user_ann", v(1, "a")); return err },
	} {
		err := call()
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: want an error without the password, got %v", name, err)
		}
	}
}

// A server that takes the connection and never answers must not hold a run for ever.
func TestSilentDatabase(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.o.CallTimeout = time.Millisecond
	err := s.call(t.Context(), "wait", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("want %v, got %v", ErrTimeout, err)
	}
}

func TestErrorsQuoteNoValues(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(t, s, bson.M{"_id": "user_1", "username": "canary"})
	insert(t, s, bson.M{"_id": "user_2", "username": "other"})
	e := edit{set: map[string]string{"email": "canary@example.com"}}
	if err := s.insert(t.Context(), "user_3", "canary", e); !errors.Is(err, errDuplicate) || strings.Contains(err.Error(), "canary") {
		t.Errorf("insert: want %v without values, got %v", errDuplicate, err)
	}
	if err := s.update(t.Context(), "user_2", document{}, "canary", e); !errors.Is(err, errDuplicate) || strings.Contains(err.Error(), "canary") {
		t.Errorf("update: want %v without values, got %v", errDuplicate, err)
	}
	if err := CheckURI("mongodb://canary:canary@localhost/?maxPoolSize=canary"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("connection string: want an error without it, got %v", err)
	}
}
