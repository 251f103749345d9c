package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serveVariable makes this test binary a database with its files in that directory, see startServer.
const serveVariable = "CLERKSYNC_TEST_SERVE"

// TestServe is the process that startServer starts: the package's embedded database, until stdin ends.
func TestServe(*testing.T) {
	if os.Getenv(serveVariable) == "" {
		return // nobody asked for a database
	}
	fmt.Println(serverURI)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// buildServer builds this test binary without the race detector, which would look at every line of SQLite: that makes
// the database eight times as fast.
func buildServer(t testing.TB) (binary string) {
	t.Helper()
	if os.Getenv("TEST_DATABASE_URI") != "" {
		return ""
	}
	binary = filepath.Join(t.TempDir(), "database.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the database: %v\n%s", err, out)
	}
	return binary
}

// startServer runs the embedded database in a process of its own, with its files in dir. TEST_DATABASE_URI goes first, as in
// all tests; dir is empty then.
func startServer(t testing.TB, binary string) (uri, dir string) {
	t.Helper()
	if uri := os.Getenv("TEST_DATABASE_URI"); uri != "" {
		return uri, ""
	}
	parent := "/dev/shm" // nobody needs these writes to reach a disk
	if shm, err := os.Stat(parent); err != nil || !shm.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "clerksync-test-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context()) // it ends by its stdin, and removes its files then
	cmd := exec.CommandContext(ctx, binary, "-test.run=^TestServe$", "-test.timeout=0")
	// One client makes one call at a time: a second thread would cost a quarter more, for nothing.
	cmd.Env = append(os.Environ(), serveVariable+"="+dir, "GOGC=400", "GOMAXPROCS=1")
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, lines)
		if err := errors.Join(cmd.Wait(), os.RemoveAll(dir)); err != nil {
			t.Errorf("stop the database: %v", err)
		}
	})
	uri, err = lines.ReadString('\n')
	if err != nil {
		t.Fatalf("start the database: %v", err)
	}
	return strings.TrimSpace(uri), dir
}
