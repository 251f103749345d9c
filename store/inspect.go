package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// Server is what a database says of itself.
type Server struct {
	// Name and Version: "MongoDB" and "8.0.4", or "FerretDB", whose version may be empty.
	Name, Version string
	ReplicaSet    string // its name; empty: none
	Sharded       bool
	DataMembers   int // of the replica set, those that hold data
	Arbiters      int // of the replica set
	// OneWriter says that only one clerksync may write, since an update is not atomic: FerretDB 1.
	OneWriter bool
}

// String is name, version and topology.
func (s Server) String() string {
	text := strings.TrimSpace(s.Name + " " + s.Version)
	switch {
	case s.Sharded:
		return text + ", sharded"
	case s.ReplicaSet != "":
		return fmt.Sprintf("%s, replica set %s of %d", text, s.ReplicaSet, s.DataMembers+s.Arbiters)
	default:
		return text + ", a single server"
	}
}

// Transactions says whether the server has them: MongoDB, unless it stands alone. clerksync needs none.
func (s Server) Transactions() bool {
	return s.Name == "MongoDB" && (s.Sharded || s.ReplicaSet != "")
}

// Expires says whether the server removes what has expired. Elsewhere [Store.Sweep] does.
func (s Server) Expires() bool { return !s.OneWriter }

// Server asks the database what it is. It changes nothing there.
func (s *Store) Server(ctx context.Context) (Server, error) {
	build, err := s.ask(ctx, "read server version", "buildInfo")
	if err != nil {
		return Server{}, err
	}
	hello, err := s.ask(ctx, "read topology", "hello")
	if err != nil {
		return Server{}, err
	}
	return describeServer(build, hello), nil
}

func (s *Store) ask(ctx context.Context, call, command string) (answer bson.Raw, err error) {
	err = s.call(ctx, call, func(ctx context.Context) (err error) {
		answer, err = s.client.Database("admin").RunCommand(ctx, bson.D{{Key: command, Value: 1}}).Raw()
		return err
	})
	return answer, err
}

// describeServer reads the answers to buildInfo and hello: https://www.mongodb.com/docs/manual/reference/command/hello/.
func describeServer(build, hello bson.Raw) Server {
	text := func(r bson.Raw, key ...string) string {
		s, _ := r.Lookup(key...).StringValueOK()
		return s
	}
	members := func(key string) int {
		list, _ := hello.Lookup(key).ArrayOK()
		values, _ := list.Values()
		return len(values)
	}
	s := Server{
		Name: "MongoDB", Version: text(build, "version"), ReplicaSet: text(hello, "setName"), Sharded: text(hello, "msg") == "isdbgrid",
		DataMembers: members("hosts") + members("passives"), Arbiters: members("arbiters"),
	}
	// FerretDB says which MongoDB it takes after in "version".
	if v, err := build.LookupErr("ferretdbVersion"); err == nil {
		s.Name, s.OneWriter = "FerretDB", true
		if s.Version, _ = v.StringValueOK(); s.Version == "" || s.Version == "unknown" {
			s.Version = "1"
		}
	} else if _, err := build.LookupErr("ferretdb"); err == nil {
		s.Name, s.Version = "FerretDB", text(build, "ferretdb", "version")
	}
	return s
}

// WriteConcern is what each write waits for, and must be "majority": a write that a failover can undo would be an event lost.
func (s *Store) WriteConcern() string { return concern(s.writeConcern) }

func concern(w *writeconcern.WriteConcern) string {
	switch {
	case w == nil || w.W == nil:
		return "the server's default"
	case w.Journal != nil && !*w.Journal:
		return fmt.Sprintf("%v, without the journal", w.W)
	default:
		return fmt.Sprint(w.W)
	}
}

// MissingIndexes says what is not as [Store.Setup] leaves it, a line for each, and changes nothing.
func (s *Store) MissingIndexes(ctx context.Context) ([]string, error) {
	server, err := s.Server(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	users, err := s.indexes(ctx, s.users)
	if err != nil {
		return nil, err
	}
	if found, err := s.usernameIndex(users); err != nil {
		missing = append(missing, err.Error())
	} else if !found {
		missing = append(missing, fmt.Sprintf("%s has no unique index on %s", s.users.Name(), fieldUsername))
	}
	letters, err := s.indexes(ctx, s.letters)
	if err != nil {
		return nil, err
	}
	for _, field := range letterIndexes {
		if on(letters, field) == nil {
			missing = append(missing, s.letters.Name()+" has no index on "+field)
		}
	}
	if !server.Expires() {
		return missing, nil
	}
	for _, e := range s.expiring() {
		all, err := s.indexes(ctx, e.collection)
		if err != nil {
			return nil, err
		}
		if fault := e.fault(on(all, e.field)); fault != "" {
			missing = append(missing, fault)
		}
	}
	return missing, nil
}

func (e expiry) fault(i *index) string {
	switch {
	case i == nil || i.ExpireAfter == nil:
		return fmt.Sprintf("%s has no TTL index on %s", e.collection.Name(), e.field)
	case *i.ExpireAfter != int64(e.after/time.Second):
		return fmt.Sprintf("%s expires after %s, not %s", e.collection.Name(), time.Duration(*i.ExpireAfter)*time.Second, e.after)
	default:
		return ""
	}
}

// on is the index on that field alone, or nil.
func on(all []index, field string) *index {
	for n := range all {
		if len(all[n].Key) == 1 && all[n].Key[0].Key == field {
			return &all[n]
		}
	}
	return nil
}

// WaitingLetters counts the dead letters that wait and still hold their event; the others are of deleted users, and there is
// nothing to be done about them.
func (s *Store) WaitingLetters(ctx context.Context) (int64, error) {
	return s.countLetters(ctx, append(LetterFilter{State: Waiting}.bson(), bson.E{Key: "data", Value: bson.D{{Key: "$exists", Value: true}}}))
}

func (s *Store) indexes(ctx context.Context, c *mongo.Collection) (all []index, err error) {
	err = s.call(ctx, "list indexes", func(ctx context.Context) error {
		cursor, err := c.Indexes().List(ctx)
		if err != nil {
			return err
		}
		return cursor.All(ctx, &all)
	})
	if isServerError(err, namespaceNotFound) {
		return nil, nil
	}
	return all, err
}
