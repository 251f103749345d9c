package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/reconcile"
	"github.com/glowup-app/clerksync/store"
)

// Exit codes of reconcile. One that is called wrongly is an error, since 2 has a meaning of its own.
const (
	exitFailed = 1
	exitDrift  = 2
)

func (a *app) reconcileCommand() *cli.Command {
	return &cli.Command{
		Name:  "reconcile",
		Usage: "compare all users with Clerk's, and repair what differs",
		Description: "Finds users that are missing, stale, or deleted in Clerk and still here, and documents that are no user's. Every\n" +
			"verdict rests on a second look, so it may run beside live webhooks at any time. Uses CLERK_SECRET_KEY and DATABASE_URI;\n" +
			"without DATABASE_URI the `clerksync dev` that runs in this directory.\n\n" +
			"The exit code is 0 when all is as Clerk says, 2 when drift was found, repaired or not, and 1 after an error.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "write what is missing or stale"},
			&cli.BoolFlag{Name: "delete", Usage: "with --repair: also remove users whom Clerk does not know, each after Clerk was asked for them alone"},
			&cli.Int64Flag{Name: "max-delete", Usage: "remove nobody when there are more than `N` to be removed (default: 1 % of the documents, at least 10)"},
			&cli.BoolFlag{Name: "yes", Usage: "remove any number"},
			&cli.DurationFlag{Name: "settle", Value: settle, Usage: "`TIME` that a change may take from Clerk to the database: what is younger is no drift"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON: a line for each finding, and one for the summary"},
		},
		OnUsageError: calledWrongly,
		Before: func(ctx context.Context, c *cli.Command) (context.Context, error) {
			if c.Args().Present() {
				return ctx, calledWrongly(ctx, c, fmt.Errorf("unexpected argument %q", c.Args().First()), false)
			}
			return ctx, nil
		},
		Action: a.withClerk(a.reconcile),
	}
}

// calledWrongly is usageError with the exit code of an error.
func calledWrongly(ctx context.Context, c *cli.Command, err error, sub bool) error {
	err = usageError(ctx, c, err, sub)
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		exit.code = exitFailed
	}
	return err
}

func (a *app) reconcile(ctx context.Context, c *cli.Command, from source) error {
	switch {
	case c.Bool("delete") && !c.Bool("repair"):
		return calledWrongly(ctx, c, errors.New("--delete goes with --repair"), false)
	case (c.IsSet("max-delete") || c.Bool("yes")) && !c.Bool("delete"):
		return calledWrongly(ctx, c, errors.New("--max-delete and --yes go with --delete"), false)
	case c.IsSet("max-delete") && c.Int64("max-delete") < 1:
		return calledWrongly(ctx, c, errors.New("--max-delete: want a number from 1 on"), false)
	case c.Duration("settle") < 0:
		return calledWrongly(ctx, c, errors.New("--settle: want a time such as 30s"), false)
	}
	users, err := from.api.Count(ctx)
	if err != nil {
		return err
	}
	totals := map[string]int64{"users": users, "documents": users} // about as many, and counting them can take long
	bars := map[string]*progress{}
	report := findings{a: a, json: c.Bool("json")}
	var failed error // to print
	result, err := reconcile.New(from.api, from.store, reconcile.Options{
		Repair: c.Bool("repair"), Delete: c.Bool("delete"), MaxDelete: c.Int64("max-delete"), Yes: c.Bool("yes"), Settle: c.Duration("settle"),
		Each: func(d reconcile.Drift) { failed = errors.Join(failed, report.print(d)) },
		Progress: func(what string, n int64) {
			if bars[what] == nil {
				bars[what] = newProgress(a.stderr, what, totals[what])
			}
			bars[what].at(n)
		},
	}).Run(ctx)
	for _, p := range bars {
		p.end()
	}
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if err := report.summary(result); err != nil {
		return err
	}
	if result.Missing+result.Stale+result.Deleted > 0 {
		return &exitError{code: exitDrift}
	}
	return nil
}

// findings prints what a reconcile finds.
type findings struct {
	a    *app
	json bool
	rows int
}

// maxRows bounds the table: a database that is empty is missing all users.
const maxRows = 1000

func (f *findings) print(d reconcile.Drift) error {
	if f.json {
		return json.NewEncoder(f.a.stdout).Encode(d)
	}
	f.rows++
	switch f.rows {
	case 1:
		fmt.Fprintf(f.a.stdout, "%-8s  %-32s  %-8s  %s\n", "KIND", "USER", "REPAIRED", "FIELDS")
	case maxRows + 1:
		_, err := fmt.Fprintln(f.a.stdout, "and more: --json prints all of them")
		return err
	}
	if f.rows > maxRows {
		return nil
	}
	repaired := "no"
	if d.Repaired {
		repaired = "yes"
	}
	text := strings.Join(d.Fields, ", ")
	if d.Note != "" {
		text = strings.TrimSpace(text + " (" + printable(d.Note) + ")")
	}
	_, err := fmt.Fprintf(f.a.stdout, "%-8s  %-32s  %-8s  %s\n", d.Kind, printable(d.UserID), repaired, text)
	return err
}

// summary is a reconcile's result as programs read it.
type summary struct {
	At       time.Time `json:"at"`
	Seconds  float64   `json:"seconds"`
	Users    int64     `json:"users"`
	Missing  int64     `json:"missing"`
	Stale    int64     `json:"stale"`
	Deleted  int64     `json:"deleted"`
	Unknown  int64     `json:"unknown"`
	Repaired int64     `json:"repaired"`
	Drift    int64     `json:"drift"` // that is left
}

func summarize(r store.Reconciliation) summary {
	return summary{
		At: r.At.UTC(), Seconds: r.Took.Seconds(), Users: r.Users, Missing: r.Missing, Stale: r.Stale, Deleted: r.Deleted,
		Unknown: r.Unknown, Repaired: r.Repaired, Drift: r.Drift(),
	}
}

func (f *findings) summary(r store.Reconciliation) error {
	if f.json {
		return json.NewEncoder(f.a.stdout).Encode(map[string]summary{"summary": summarize(r)})
	}
	_, err := fmt.Fprintf(f.a.stdout, "%d users: missing %d, stale %d, deleted in Clerk %d; repaired %d; unknown documents %d (%s)\n",
		r.Users, r.Missing, r.Stale, r.Deleted, r.Repaired, r.Unknown, r.Took.Round(100*time.Millisecond))
	return err
}
