package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/inngest"
	"github.com/glowup-app/clerksync/store"
)

func (a *app) dlqCommand() *cli.Command {
	filters := []cli.Flag{
		&cli.StringFlag{Name: "type", Usage: "only events of this `TYPE`, such as user.created"},
		&cli.StringFlag{Name: "user", Usage: "only events about the user with this `ID`"},
		&cli.StringFlag{Name: "older-than", Usage: "only letters that failed longer ago than this `AGE`, such as 36h or 7d"},
		&cli.StringFlag{Name: "newer-than", Usage: "only letters that failed within this `AGE`"},
		&cli.StringFlag{Name: "state", Usage: "only letters in this `STATE`: waiting, replayed or closed"},
	}
	asJSON := &cli.BoolFlag{Name: "json", Usage: "print JSON, one letter a line"}
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and do nothing"}
	return &cli.Command{
		Name:  "dlq",
		Usage: "list, show, replay and purge dead letters",
		Description: "A dead letter is an event that was given up: its retries were used up, it can never succeed, or its run was\n" +
			"cancelled. It waits for somebody to see to it, and is kept for DEAD_LETTER_RETENTION. Uses DATABASE_URI, and for\n" +
			"replay Inngest's event key; without DATABASE_URI the `clerksync dev` that runs in this directory.",
		Commands: []*cli.Command{
			{
				Name: "list", Usage: "list dead letters, in the order in which they failed", Flags: append(filters, asJSON), Before: noArgs,
				Action: a.withLetters(a.listLetters),
			},
			{
				Name: "show", Usage: "show a dead letter with its event, personal data included", ArgsUsage: "ID",
				Action: a.withLetters(a.showLetter),
			},
			{
				Name: "replay", Usage: "send events to Inngest again", ArgsUsage: "ID… | --all",
				Description: "The event is sent under a new id, since Inngest drops a repeated one for 24 hours, and keeps its place in\n" +
					"the user's history: an old event still does not overwrite a newer one. The letter is closed when the event\n" +
					"succeeds, and waits again when it fails. A letter that does not wait is not sent twice.",
				Flags:  append([]cli.Flag{&cli.BoolFlag{Name: "all", Usage: "all that wait, but for those of deleted users"}, dryRun}, filters[:4]...),
				Action: a.withLetters(a.replayLetters),
			},
			{
				Name: "purge", Usage: "remove dead letters for good", Flags: append(filters, dryRun), Before: noArgs,
				Action: a.withLetters(a.purgeLetters),
			},
		},
	}
}

// letters are the dead letters that a command works on.
type letters struct {
	store  *store.Store
	sender *inngest.Sender // nil where Inngest is not configured
}

// withLetters opens the database for a command, and closes it.
func (a *app) withLetters(do func(context.Context, *cli.Command, letters) error) cli.ActionFunc {
	return func(ctx context.Context, c *cli.Command) error {
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		cfg, err := a.letterConfig(ctx)
		if err != nil {
			return err
		}
		var l letters
		l.store, err = store.New(cfg.DatabaseURI.Reveal(), cfg.DatabaseName, cfg.UsersCollection, store.Options{})
		if err != nil {
			return err
		}
		if cfg.Inngest.Dev || cfg.Inngest.EventKey != "" {
			l.sender = inngest.NewSender(inngestOptions(cfg))
			defer l.sender.Close()
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			_ = l.store.Close(ctx) // the command has its result
		}()
		return do(ctx, c, l)
	}
}

// letterConfig is the environment's, or that of the `clerksync dev` that runs here.
func (a *app) letterConfig(ctx context.Context) (config.Config, error) {
	cfg, err := a.loadConfig(config.NoRole)
	if err != nil || cfg.DatabaseURI != "" {
		return cfg, err
	}
	dev, err := readDevState(ctx)
	if err != nil {
		return cfg, err
	}
	if dev == nil || dev.DatabaseURI == "" {
		return cfg, errors.New("DATABASE_URI is missing: set it to the database that clerksync serve uses")
	}
	cfg.DatabaseURI, cfg.DatabaseName = config.Secret(dev.DatabaseURI), dev.DatabaseName
	cfg.Inngest.Dev, cfg.Inngest.BaseURL = true, dev.InngestURL
	return cfg, nil
}

func letterFilter(c *cli.Command) (f store.LetterFilter, err error) {
	if t := c.String("type"); t != "" {
		f.Event = "clerk/" + strings.TrimPrefix(t, "clerk/")
	}
	f.UserID, f.State = c.String("user"), store.State(c.String("state"))
	switch f.State {
	case "", store.Waiting, store.Replayed, store.Closed:
	default:
		return f, fmt.Errorf("--state %q: want waiting, replayed or closed", f.State)
	}
	for name, at := range map[string]*time.Time{"older-than": &f.Before, "newer-than": &f.After} {
		text := c.String(name)
		if text == "" {
			continue
		}
		age, err := parseAge(text)
		if err != nil {
			return f, fmt.Errorf("--%s %q: want an age such as 36h or 7d", name, text)
		}
		*at = time.Now().Add(-age)
	}
	return f, nil
}

// parseAge takes days, too, which time.ParseDuration does not know.
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	age, err := time.ParseDuration(text)
	if err == nil && age < 0 { // purge would take it for everything
		err = errors.New("a negative age")
	}
	return age, err
}

// letterJSON is a dead letter for programs.
type letterJSON struct {
	ID       string          `json:"id"`
	Event    string          `json:"event"`
	UserID   string          `json:"user_id"`
	Function string          `json:"function"`
	RunID    string          `json:"run_id"`
	Reason   string          `json:"reason"`
	FailedAt time.Time       `json:"failed_at"`
	State    store.State     `json:"state"`
	Replays  int             `json:"replays"`
	Redacted bool            `json:"redacted"`
	TS       int64           `json:"ts"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// toJSON is without the event's data, which is personal.
func toJSON(l store.Letter) letterJSON {
	return letterJSON{
		ID: l.Event.ID, Event: l.Event.Name, UserID: l.UserID, Function: l.Function, RunID: l.RunID, Reason: l.Reason,
		FailedAt: l.FailedAt.UTC(), State: l.State, Replays: l.Replays, Redacted: l.Redacted, TS: l.Event.TS,
	}
}

func (a *app) listLetters(ctx context.Context, c *cli.Command, l letters) error {
	f, err := letterFilter(c)
	if err != nil {
		return usageError(ctx, c, err, false)
	}
	if c.Bool("json") {
		out := json.NewEncoder(a.stdout)
		return l.store.Letters(ctx, f, func(x store.Letter) error { return out.Encode(toJSON(x)) })
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FAILED\tSTATE\tEVENT\tUSER\tID\tREASON")
	n := 0
	err = l.store.Letters(ctx, f, func(x store.Letter) error {
		n++
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", x.FailedAt.UTC().Format(time.RFC3339), x.State,
			printable(x.Event.Name), printable(x.UserID), printable(x.Event.ID), printable(x.Reason))
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		_, err := fmt.Fprintln(a.stdout, "no dead letters")
		return err
	}
	return table.Flush()
}

// printable keeps what came from outside from moving the cursor or breaking the table.
func printable(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return quoted[1 : len(quoted)-1]
}

func (a *app) showLetter(ctx context.Context, c *cli.Command, l letters) error {
	if c.Args().Len() != 1 {
		return usageError(ctx, c, errors.New("want one ID"), false)
	}
	x, err := l.store.Letter(ctx, c.Args().First())
	if err != nil {
		return err
	}
	full := toJSON(x)
	if !x.Redacted {
		full.Data = x.Event.Data
	}
	out := json.NewEncoder(a.stdout)
	out.SetIndent("", "  ")
	return out.Encode(full)
}

func (a *app) replayLetters(ctx context.Context, c *cli.Command, l letters) error {
	all, ids := c.Bool("all"), c.Args().Slice()
	if all == (len(ids) > 0) {
		return usageError(ctx, c, errors.New("want IDs, or --all"), false)
	}
	if l.sender == nil {
		return errors.New("INNGEST_API_KEY is missing: set it to Inngest's event key, or INNGEST_DEV=1 for the Dev Server")
	}
	if all {
		f, err := letterFilter(c)
		if err != nil {
			return usageError(ctx, c, err, false)
		}
		f.State = store.Waiting
		err = l.store.Letters(ctx, f, func(x store.Letter) error {
			if !x.Redacted { // nothing is left to send
				ids = append(ids, x.Event.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	bad := 0
	for _, id := range ids {
		text, err := l.replay(ctx, id, c.Bool("dry-run"))
		if err != nil {
			bad++
			text = "not replayed: " + err.Error()
		}
		fmt.Fprintf(a.stdout, "%s  %s\n", printable(id), printable(text))
	}
	if bad > 0 {
		return &exitError{code: 1, err: fmt.Errorf("%d of %d not replayed", bad, len(ids))}
	}
	return nil
}

// replay sends the event of a waiting letter. The letter is marked after Inngest has the event: when the mark is lost, the
// next replay sends the same id, which Inngest drops.
func (l letters) replay(ctx context.Context, id string, dry bool) (string, error) {
	x, err := l.store.Letter(ctx, id)
	switch {
	case err != nil:
		return "", err
	case x.State != store.Waiting:
		return "", fmt.Errorf("%w: it is %s", store.ErrNotWaiting, x.State)
	case x.Redacted:
		return "", errors.New("its user was deleted, and the event's data with it")
	case dry:
		return "would be replayed", nil
	}
	n := x.Replays + 1
	e := x.Event
	e.ID = clerk.ReplayID(id, n)
	if err := l.sender.Send(ctx, e)(); err != nil {
		return "", err
	}
	if err := l.store.MarkReplayed(ctx, id, n); err != nil && !errors.Is(err, store.ErrNotWaiting) {
		return "", fmt.Errorf("sent as %s, but not marked: %w", e.ID, err)
	}
	return "replayed as " + e.ID, nil
}

func (a *app) purgeLetters(ctx context.Context, c *cli.Command, l letters) error {
	if c.String("older-than") == "" {
		return usageError(ctx, c, errors.New("want --older-than"), false)
	}
	f, err := letterFilter(c)
	if err != nil {
		return usageError(ctx, c, err, false)
	}
	if c.Bool("dry-run") {
		n := 0
		if err := l.store.Letters(ctx, f, func(store.Letter) error { n++; return nil }); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "dead letters to be purged: %d\n", n)
		return err
	}
	n, err := l.store.PurgeDeadLetters(ctx, f)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "dead letters purged: %d\n", n)
	return err
}
