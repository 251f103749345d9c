package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"
)

// Options of a Store; a zero field means its default.
type Options struct {
	// CallTimeout bounds each call to the database: a cut connection can hang one for ever. Default 5 s.
	CallTimeout time.Duration
	// DeadLetterRetention is how long a dead letter is kept after it failed. Default 30 days.
	DeadLetterRetention time.Duration
	// Logger is told what the server can and cannot do. Default: none.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
	// Tracer gets a span for each command of a call that is traced. Default: none.
	Tracer trace.Tracer
}

func (o Options) withDefaults() Options {
	o.CallTimeout = cmp.Or(o.CallTimeout, 5*time.Second)
	o.DeadLetterRetention = cmp.Or(o.DeadLetterRetention, 30*24*time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is the users' collection, and the tombstones, dead letters and state beside it. Its methods may be called concurrently.
type Store struct {
	client     *mongo.Client
	users      *mongo.Collection
	tombstones *mongo.Collection
	letters    *mongo.Collection // dead ones
	state      *mongo.Collection // of our own work
	metrics    metrics
	o          Options

	writeConcern *writeconcern.WriteConcern // the client's

	setup     singleflight.Group
	isSetUp   atomic.Bool
	oneWriter atomic.Bool // the server's updates are not atomic, see prepare
	sweeps    atomic.Bool // the server removes nothing by itself, see ensureExpiry
	writer    sync.Mutex

	// intercept, where a test sets it, stands between a call and the database.
	intercept func(ctx context.Context, do func(context.Context) error) error
	// wholeFilters, where a test sets it, sends FerretDB 1 the filters that a MongoDB gets, however long it takes.
	wholeFilters bool
}

// CheckURI says whether the driver understands a connection string. Its error quotes nothing of it.
func CheckURI(uri string) error {
	if err := options.Client().ApplyURI(uri).Validate(); err != nil {
		return errors.New("not a connection string that the MongoDB driver understands")
	}
	return nil
}

// New is a store of the named collection, and of <collection>_tombstones, _dead_letters and _sync_state beside it. It does not connect:
// the database may be away at start, and come back.
func New(uri, database, collection string, o Options) (*Store, error) {
	opts := options.Client().
		SetAppName("clerksync").
		SetConnectTimeout(5 * time.Second).
		SetServerSelectionTimeout(5 * time.Second). // the driver's 30 s would hold a run that can be retried
		SetMaxPoolSize(50).
		SetMaxConnIdleTime(5 * time.Minute).
		SetRetryWrites(true).
		ApplyURI(uri). // what the operator says about the above wins
		// Not a setting: a write that a failover can undo would be an event lost.
		SetWriteConcern(writeconcern.Majority())
	if o.Tracer != nil {
		opts.SetMonitor(newCommandSpans(o.Tracer))
	}
	if opts.Validate() != nil {
		return nil, CheckURI(uri)
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, errors.New("the MongoDB driver does not take the connection string")
	}
	db := client.Database(database)
	o = o.withDefaults()
	s := &Store{
		client:     client,
		users:      db.Collection(collection),
		tombstones: db.Collection(collection + "_tombstones"),
		letters:    db.Collection(collection + "_dead_letters"),
		state:      db.Collection(collection + "_sync_state"),
		metrics:    newMetrics(o.Registerer),
		o:          o,

		writeConcern: opts.WriteConcern,
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(&lettersWaiting{count: s.WaitingLetters})
	}
	return s, nil
}

// Close disconnects. Calls that are under way fail.
func (s *Store) Close(ctx context.Context) error {
	if err := s.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("disconnect mongo: %w", err)
	}
	return nil
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", func(ctx context.Context) error { return s.client.Ping(ctx, nil) })
}

// Setup learns what the server can do and makes the indexes that are missing. It runs once: every other method
// does it first, so that a database that was away at start is set up by the first event after it came back. It
// returns an [ErrIncompatibleIndex] for an index that a person must see to.
func (s *Store) Setup(ctx context.Context) error {
	if s.isSetUp.Load() {
		return nil
	}
	// One caller does it for all that wait, and not with its own context, which may end before theirs.
	done := s.setup.DoChan("", func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		for _, do := range []func(context.Context) error{s.prepare, s.ensureUsernameIndex, s.ensureLetterIndexes, s.ensureExpiry} {
			if err := do(ctx); err != nil {
				return nil, err
			}
		}
		s.isSetUp.Store(true)
		return nil, nil
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("set up the database: %w", context.Cause(ctx))
	}
}

// prepare finds out whether single-document updates are atomic. FerretDB 1 reads, changes and writes a document
// in separate steps, so there our own writes take turns, and only one process may write.
func (s *Store) prepare(ctx context.Context) error {
	info, err := s.ask(ctx, "read server version", "buildInfo")
	if err != nil {
		return err
	}
	if _, err := info.LookupErr("ferretdbVersion"); err == nil { // FerretDB 2 says "ferretdb" instead
		s.oneWriter.Store(true)
		s.o.Logger.WarnContext(ctx, "the database is FerretDB 1, for development only: run one clerksync on it")
	}
	return nil
}

// call makes one call to the database: with its own deadline, measured, and with an error of ours.
func (s *Store) call(ctx context.Context, name string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.CallTimeout, ErrTimeout)
	defer cancel()
	if s.intercept != nil {
		inner := do
		do = func(ctx context.Context) error { return s.intercept(ctx, inner) }
	}
	start := time.Now()
	err := wrap(ctx, name, do(ctx))
	s.metrics.called(name, err, time.Since(start))
	return err
}

// write is call for what changes the database.
func (s *Store) write(ctx context.Context, name string, do func(context.Context) error) error {
	if s.oneWriter.Load() {
		s.writer.Lock()
		defer s.writer.Unlock()
	}
	return s.call(ctx, name, do)
}
