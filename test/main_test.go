package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	binary  string // clerksync, with the race detector
	inngest string // the Dev Server's; empty where there is none
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "clerksync-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "clerksync")
	build := exec.CommandContext(context.Background(), "go", "build", "-race", "-o", binary, "../cmd/clerksync")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build clerksync: %v\n%s", err, out)
		return 1
	}
	inngest, err = findInngest()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	// Most of these tests wait for a fault or for Inngest's next try, so more of them run at once than there are cores;
	// -parallel overrides it.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// findInngest looks where `clerksync dev` looks.
func findInngest() (string, error) {
	if path := os.Getenv("INNGEST_CLI"); path != "" {
		return exec.LookPath(path)
	}
	for _, name := range []string{"inngest", "inngest-cli", "../bin/inngest"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		// npm leaves a placeholder behind when its download was skipped.
		if exec.CommandContext(context.Background(), path, "version").Run() == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("no Inngest Dev Server found: make inngest")
}

// needInngest skips a test where there is no Dev Server; in CI that is a failure.
func needInngest(t *testing.T) {
	t.Helper()
	switch {
	case inngest != "":
	case os.Getenv("CI") != "":
		t.Fatal("no Inngest Dev Server: make inngest")
	default:
		t.Skip("no Inngest Dev Server: make inngest")
	}
}
