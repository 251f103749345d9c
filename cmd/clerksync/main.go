// Command clerksync keeps a MongoDB collection an exact, convergent copy of a Clerk instance's users.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/urfave/cli/v3"
)

func main() {
	// inngestgo registers the functions with the Dev Server through this client, and holds back every invocation
	// until it has an answer. Without a limit, a Dev Server that hangs once would stop the functions for good.
	http.DefaultClient.Timeout = 10 * time.Second
	// What a worker could not answer by its connection, inngestgo brings to Inngest by a client of its own, without any limit.
	// That of Clerk's API, 15 s for a whole answer, is the longest of those who use this transport.
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = 15 * time.Second
	}
	os.Exit(run(context.Background(), os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// app is the world outside, as main found it: nothing below reads arguments, environment or standard streams
// from elsewhere.
type app struct {
	name    string   // as the program was called
	environ []string // as os.Environ has it
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

// run is the whole program. It returns the exit code: 0, 1 when the command did not do what it should, 2 when
// it was called wrongly.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{name: args[0], environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cli.Command{
		Name:  "clerksync",
		Usage: "keep a MongoDB collection an exact copy of Clerk's users",
		Description: "Clerk's webhooks come in, are verified and handed to Inngest, which durably invokes the functions\n" +
			"that write to MongoDB. Try it with no configuration at all: clerksync dev",
		Commands:              a.commands(),
		Reader:                stdin,
		Writer:                stdout,
		ErrWriter:             stderr,
		EnableShellCompletion: true,
		Suggest:               true,
		ExitErrHandler:        func(context.Context, *cli.Command, error) {}, // exit codes are ours, below
		OnUsageError:          usageError,
	}
	err := root.Run(ctx, args)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(stderr, "clerksync:", exit.err)
		}
		return exit.code
	default:
		fmt.Fprintln(stderr, "clerksync:", err)
		return 1
	}
}

// commands are those that every build has; the build tag nodev leaves dev, and with it the embedded database,
// out of the image.
func (a *app) commands() []*cli.Command {
	all := append(a.devCommands(), a.serveCommand(), a.workerCommand(), a.triggerCommand(), a.dlqCommand(), a.backfillCommand(), a.reconcileCommand(), a.doctorCommand(),
		a.versionCommand(), a.healthcheckCommand())
	for _, c := range all {
		if c.OnUsageError == nil {
			c.OnUsageError = usageError
		}
	}
	return all
}

// exitError ends the program with a code of its own. A nil err means that all has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

const exitUsage = 2

func usageError(_ context.Context, c *cli.Command, err error, _ bool) error {
	return &exitError{code: exitUsage, err: fmt.Errorf("%w: see %s --help", err, c.FullName())}
}

// noArgs refuses arguments that a command would silently ignore.
func noArgs(ctx context.Context, c *cli.Command) (context.Context, error) {
	if c.Args().Present() {
		return ctx, usageError(ctx, c, fmt.Errorf("unexpected argument %q", c.Args().First()), false)
	}
	return ctx, nil
}
