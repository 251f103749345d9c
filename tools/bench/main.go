// Command bench measures the real clerksync serve beside the least bridge that net/http allows, both against a stand-in
// for Inngest's event API, and writes docs/benchmarks.md, its plots and the table of docs/capacity.md. `make bench` runs it.
//
//	bench            measure
//	bench database   the embedded database; prints its URI, ends when stdin does
//
// The targets take turns, in interleaved rounds, so that what the machine does besides befalls all of them. Each measurement
// starts its target afresh, so that its memory is of that load alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/glowup-app/clerksync/store/embedded"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "database" {
		return serveDatabase(ctx)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	bin := flags.String("bin", "", "folder of the binaries clerksync and peer, and of those with profiles, clerksync-profile and peer-profile")
	rounds := flags.Int("rounds", 5, "rounds")
	each := flags.Duration("for", 1300*time.Millisecond, "length of one measurement")
	goBench := flags.String("go", "", "file with the output of go test -bench")
	out := flags.String("out", "docs", "folder of benchmarks.md, benchmarks/*.svg and capacity.md")
	if err := flags.Parse(args); err != nil {
		return err
	}
	benchmarks, err := readGoBenchmarks(*goBench)
	if err != nil {
		return err
	}
	binaries, err := filepath.Abs(*bin) // they run in another folder
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "clerksync-bench-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	l, err := newLab(ctx, binaries, dir)
	if err != nil {
		cancel()
		return fmt.Errorf("%w (logs in %s)", err, dir)
	}
	r := report{rounds: *rounds, each: *each, benchmarks: benchmarks}
	if r.results, err = l.measureAll(ctx, *rounds, *each); err == nil {
		r.memories, err = l.lookIntoMemory(ctx, *each)
	}
	l.database.stop()
	cancel()
	if err != nil {
		return fmt.Errorf("%w (logs in %s)", err, dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return r.write(*out)
}

// serveDatabase ends with its parent, whose end of the pipe closes then.
func serveDatabase(ctx context.Context) error {
	db, err := embedded.Start(ctx, "127.0.0.1:0", "")
	if err != nil {
		return err
	}
	fmt.Println(db.URI())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return db.Stop()
}

func cores() float64 { return float64(runtime.NumCPU()) }
