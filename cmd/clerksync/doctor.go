package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/clerk"
)

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check a running server, and all that it needs",
		Description: "Each line passes, fails with its remedy, or is skipped with the reason; the exit code is 1 when one fails. Run it with\n" +
			"the server's environment or .env, best beside the server; in the directory of a running `clerksync dev` it checks\n" +
			"that one. It takes at most 15 seconds and changes nothing: it posts a signed webhook, which becomes the event\n" +
			clerk.Probe + " at Inngest, and which no function of clerksync acts on.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "url", Usage: "`URL` of the server (default: the running `clerksync dev`, else http://127.0.0.1:$PORT, else PUBLIC_URL)"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		},
		Before: noArgs,
		Action: func(ctx context.Context, c *cli.Command) error {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
			defer stop()
			d, err := a.newDoctor(ctx, c.String("url"))
			if err != nil {
				return usageError(ctx, c, err, false)
			}
			defer d.close(ctx)
			ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
			defer cancel()
			return a.report(examine(ctx, d.checks(ctx)), c.Bool("json"))
		},
	}
}

const (
	// doctorTimeout bounds all checks, which are made at once.
	doctorTimeout = 13 * time.Second
	// checkTimeout bounds a question, but for the probe: the bridge answers within 10 s whatever Inngest does.
	checkTimeout = 3 * time.Second
	probeTimeout = 10 * time.Second
)

// check is one item of the list: its name, what finds out, and what to do when it fails.
type check struct {
	name string
	// run says what it saw. Its error is what is wrong, or a skipped.
	run    func(context.Context) (string, error)
	remedy string
}

// skipped says why a check could not be made.
type skipped string

func (s skipped) Error() string { return string(s) }

// fault is what is wrong where the check's own remedy would not help.
type fault struct{ text, remedy string }

func (f *fault) Error() string { return f.text }

// state is what came of a check.
type state string

const (
	pass state = "pass"
	fail state = "fail"
	skip state = "skip"
)

type result struct {
	Name   string `json:"name"`
	State  state  `json:"state"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// examine makes all checks at once; the results are in the order of the checks.
func examine(ctx context.Context, checks []check) []result {
	results := make([]result, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { results[i] = c.result(c.run(ctx)) })
	}
	wg.Wait()
	return results
}

func (c check) result(detail string, err error) result {
	var why skipped
	var f *fault
	switch {
	case err == nil:
		return result{c.name, pass, detail, ""}
	case errors.As(err, &why):
		return result{c.name, skip, err.Error(), ""}
	case errors.As(err, &f):
		return result{c.name, fail, err.Error(), f.remedy}
	default:
		return result{c.name, fail, reason(err), c.remedy}
	}
}

// reason is an error without what net/http puts before it, on one line: a part of it may come from outside.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return oneLine(cause(err))
}

// checks is the list.
func (d *doctor) checks(ctx context.Context) []check {
	f := d.gather(ctx)
	all := []check{d.configuration()}
	for _, of := range [][]check{d.serverChecks(f), d.inngestChecks(f), d.databaseChecks(f), d.clerkChecks(f)} {
		all = append(all, of...)
	}
	return append(all, clockCheck(f), versionCheck(f))
}
