package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/reconcile"
	"github.com/glowup-app/clerksync/store"
)

func (a *app) backfillCommand() *cli.Command {
	return &cli.Command{
		Name:  "backfill",
		Usage: "load all users from Clerk's Backend API",
		Description: "Reads all users and applies them by the same rule as events, so it may run beside live webhooks at any time:\n" +
			"it overwrites nothing that is newer, and writes nothing about users who are copied already. An interrupted\n" +
			"run goes on where it was when it is repeated. Uses CLERK_SECRET_KEY and DATABASE_URI; without DATABASE_URI the\n" +
			"`clerksync dev` that runs in this directory. The exit code is 1 when a user could not be written.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "restart", Usage: "begin anew, whatever an interrupted run has done"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and do nothing"},
			&cli.StringFlag{Name: "since", Usage: "only users who changed within this `AGE`, such as 36h or 7d, or since this time, such as 2026-01-31T12:00:00Z"},
		},
		Before: noArgs,
		Action: a.withClerk(a.backfill),
	}
}

// source is what backfill and reconcile work on.
type source struct {
	api   *clerk.API
	store *store.Store
}

// commandCallTimeout bounds each call to the database: nobody waits for a command's as Inngest does for a run's.
const commandCallTimeout = time.Minute

// withClerk opens Clerk's API and the database for a command, and closes them.
func (a *app) withClerk(do func(context.Context, *cli.Command, source) error) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		// After the first signal the default comes back, so that a second one ends the process at once.
		context.AfterFunc(ctx, stop)
		cfg, err := a.letterConfig(ctx)
		if err != nil {
			return err
		}
		if cfg.ClerkSecretKey == "" {
			return errors.New("CLERK_SECRET_KEY is missing: set it to the secret key from Clerk's dashboard, which begins with sk_")
		}
		s, err := store.New(cfg.DatabaseURI.Reveal(), cfg.DatabaseName, cfg.UsersCollection, store.Options{CallTimeout: commandCallTimeout})
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			_ = s.Close(ctx) // the command has its result
		}()
		api := clerk.NewAPI(cfg.ClerkSecretKey.Reveal(), clerk.APIOptions{URL: cfg.ClerkAPIURL})
		return do(ctx, c, source{api: api, store: s})
	}
}

func (a *app) backfill(ctx context.Context, c *cli.Command, from source) error {
	since, err := parseSince(c.String("since"), time.Now())
	if err != nil {
		return usageError(ctx, c, fmt.Errorf("--since %q: want an age such as 36h or 7d, or a time such as 2026-01-31T12:00:00Z", c.String("since")), false)
	}
	total, err := from.api.Count(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	p := newProgress(a.stderr, "users", total)
	n, err := reconcile.Backfill(ctx, from.api, from.store, reconcile.BackfillOptions{
		DryRun: c.Bool("dry-run"), Restart: c.Bool("restart"), Since: since, SinceAs: c.String("since"),
		Logger:   newLogger(a.stderr, "", 0),
		Progress: func(n store.Checkpoint) { p.at(n.Users()) },
	})
	p.end()
	if err != nil {
		if n.Users() > 0 && !c.Bool("dry-run") {
			err = fmt.Errorf("%w\n%d users are done: the same command goes on from there", err, n.Users())
		}
		return err
	}
	title := "backfill"
	if c.Bool("dry-run") {
		title = "backfill, nothing written"
	}
	fmt.Fprintf(a.stdout, "%s: created %d, updated %d, unchanged %d, failed %d", title, n.Created, n.Updated, n.Unchanged, n.Failed)
	if !since.IsZero() {
		fmt.Fprintf(a.stdout, ", not changed since %d", n.Skipped)
	}
	fmt.Fprintf(a.stdout, " (%s)\n", time.Since(start).Round(100*time.Millisecond))
	if n.Failed > 0 {
		return &exitError{code: 1, err: fmt.Errorf("%d users were not written: the lines above say why", n.Failed)}
	}
	return nil
}

// parseSince takes an age or a time; nothing is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := parseAge(text); err == nil {
		return now.Add(-age), nil
	}
	return time.Parse(time.RFC3339, text)
}
