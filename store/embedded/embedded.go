// Package embedded runs a database in this process, for `clerksync dev` and for tests: FerretDB 1 over SQLite,
// which speaks the MongoDB wire protocol.
//
// It is no MongoDB: single updates are not atomic against each other (package store knows and lets its writes
// take turns), and there are no transactions, sparse or TTL indexes. Production never runs it, and the image is
// built without it.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// DB is a running database.
type DB struct {
	uri    string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	remove string // a directory of our own
}

// opening is held while FerretDB is made: it writes to a variable of its package.
var opening sync.Mutex

// Start runs a database on addr ("127.0.0.1:0": any free port) with its files in dir, or, where dir is empty, in
// a temporary directory that Stop removes. It listens when Start returns.
func Start(ctx context.Context, addr, dir string) (*DB, error) {
	db := &DB{done: make(chan struct{})}
	if dir == "" {
		tmp, err := os.MkdirTemp("", "clerksync-db-")
		if err != nil {
			return nil, fmt.Errorf("make database directory: %w", err)
		}
		dir, db.remove = tmp, tmp
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make database directory: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find database directory: %w", err)
	}
	opening.Lock()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: addr},
		Logger:    slog.New(slog.DiscardHandler), // it warns of every endSessions
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/",
	})
	opening.Unlock()
	if err != nil {
		return nil, fmt.Errorf("open embedded database: %w", err)
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	db.cancel = cancel
	go func() {
		defer close(db.done)
		db.err = server.Run(runCtx)
	}()
	db.uri = server.MongoDBURI() // blocks until the address is known
	return db, nil
}

// URI is the connection string, without a database.
func (db *DB) URI() string { return db.uri }

// Done is closed when the database has stopped.
func (db *DB) Done() <-chan struct{} { return db.done }

// Stop ends the database. It is safe to call it again.
func (db *DB) Stop() error {
	db.cancel()
	<-db.done
	if db.remove != "" {
		if err := os.RemoveAll(db.remove); err != nil {
			return fmt.Errorf("remove database directory: %w", err)
		}
	}
	return db.err
}
