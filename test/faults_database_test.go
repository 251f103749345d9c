//go:build unix

package test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/glowup-app/clerksync/store/embedded"
)

// database is the embedded database as a process of its own. It can be frozen, killed, given a small disk, and
// started again with its files.
type database struct {
	*process
	t    *testing.T
	addr string
	dir  string
}

const unlimited = 0

// newDatabase starts one that can write files of maxFile bytes.
func newDatabase(t *testing.T, maxFile int) *database {
	t.Helper()
	db := &database{t: t, addr: "127.0.0.1:" + freePort(t), dir: t.TempDir()}
	db.start(maxFile)
	return db
}

// newWorldOn is newWorld with that database.
func newWorldOn(t *testing.T, db *database) *world {
	t.Helper()
	w := newWorld(t, db.use)
	// The last collection is made here: FerretDB does it in steps, and can't take up one that a fault has cut off.
	w.do("deleted", "user.deleted", map[string]any{"id": newID("user"), "deleted": true})
	return w
}

// ownDatabase is an option of newWorld for tests that leave the database alone: one like that, or the server that
// TEST_DATABASE_URI names.
func ownDatabase(t *testing.T) func(*world) {
	t.Helper()
	if os.Getenv("TEST_DATABASE_URI") != "" {
		return func(*world) {}
	}
	return newDatabase(t, unlimited).use
}

func (db *database) use(w *world) { w.dbURI = "mongodb://" + db.addr + "/glowup" }

func (db *database) start(maxFile int) {
	db.t.Helper()
	server, err := databaseServer()
	if err != nil {
		db.t.Fatal(err)
	}
	db.process = start(db.t, []string{serveDatabaseEnv + "=1"}, server, db.addr, db.dir, strconv.Itoa(maxFile))
	waitFor(db.t, "the database at "+db.addr, func() bool {
		select {
		case <-db.done:
			db.t.Fatalf("the database has ended with %d:\n%s", db.exitCode, db.output())
		default:
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(db.t.Context(), "tcp", db.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// databaseServer is this test binary again, but without the race detector: what it slows down five times is FerretDB,
// which is not under test.
var databaseServer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "database")
	build := exec.CommandContext(context.Background(), "go", "test", "-c", "-ldflags=-s -w", "-o", path, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the database server: %w\n%s", err, out)
	}
	return path, nil
})

const serveDatabaseEnv = "TEST_SERVE_DATABASE"

func init() {
	if os.Getenv(serveDatabaseEnv) != "" {
		err := serveDatabase(os.Args[1], os.Args[2], os.Args[3])
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serveDatabase returns when it can't go on.
func serveDatabase(addr, dir, maxFile string) error {
	n, err := strconv.ParseUint(maxFile, 10, 64)
	if err != nil {
		return err
	}
	if n != unlimited {
		// A write beyond the limit then fails with EFBIG, as one to a full disk fails with ENOSPC.
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit the size of files: %w", err)
		}
	}
	db, err := embedded.Start(context.Background(), addr, dir)
	if err != nil {
		return err
	}
	<-db.Done()
	return db.Stop()
}
