package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/mail"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
)

func (a *app) triggerCommand() *cli.Command {
	return &cli.Command{
		Name:      "trigger",
		Usage:     "sign a realistic Clerk webhook and post it to a running bridge",
		ArgsUsage: "user.created|user.updated|user.deleted",
		Description: "The made-up user of user.created is remembered, and user.updated and user.deleted act on it:\n\n" +
			"  clerksync trigger user.created\n" +
			"  clerksync trigger user.updated --set last_name=null\n" +
			"  clerksync trigger user.deleted\n\n" +
			"The secret is CLERK_WEBHOOK_SECRET (environment or .env; the first of several), else that of the `clerksync dev`\n" +
			"that runs in this directory. Exit code 1 when a webhook was not answered 2xx.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "id", Usage: "id of the user (default: a new one; for user.updated and user.deleted the last one)"},
			&cli.StringFlag{Name: "email", Usage: "primary email `ADDRESS`"},
			&cli.StringFlag{Name: "data", Usage: "`FILE` (- for standard input) whose JSON object replaces data; of a whole webhook its data is taken"},
			&cli.StringSliceFlag{Name: "set", Usage: "`KEY=JSON` sets a key of data, such as first_name=null or 'first_name=\"Ann\"'; may be repeated"},
			&cli.IntFlag{Name: "count", Value: 1, Usage: "send `N` webhooks, user.created about as many users"},
			&cli.IntFlag{Name: "concurrency", Value: 8, Usage: "send `N` at once"},
			&cli.Uint64Flag{Name: "seed", Usage: "make up the same users again with the same `NUMBER` (default: random)", HideDefault: true},
			&cli.StringFlag{Name: "url", Usage: "`URL` of the bridge (default: the running `clerksync dev`, else http://localhost:$PORT" + webhookPath + ")"},
			&cli.BoolFlag{Name: "dry-run", Usage: "send nothing, print the curl command; its signature is good for 5 minutes"},
		},
		DisableSliceFlagSeparator: true, // JSON has commas
		Action:                    a.trigger,
	}
}

func (a *app) trigger(ctx context.Context, c *cli.Command) error {
	t, err := newTrigger(c)
	if err != nil {
		return usageError(ctx, c, err, false)
	}
	if err := t.readData(c.String("data"), a.stdin); err != nil {
		return err
	}
	if err := t.chooseUsers(c.String("id")); err != nil {
		return err
	}
	if err := t.chooseTarget(ctx, a.environ, c.String("url")); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return t.printCurl(a.stdout)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	sum, err := t.send(ctx, a.stdout)
	if err != nil {
		return err
	}
	if t.count > 1 {
		fmt.Fprintln(a.stdout, sum)
	}
	if len(sum.users) > 0 {
		if err := writeLastUsers(sum.users); err != nil {
			fmt.Fprintf(a.stderr, "clerksync: the next trigger will need --id: %s\n", err)
		}
	}
	return t.refused(sum)
}

// trigger is one call of the command.
type trigger struct {
	event    string
	payloads payloads
	messages random // not seeded: Inngest drops a message id that it has seen
	users    []string
	email    string
	given    object // --data; nil: data is made up
	set      object // --set

	count       int
	concurrency int

	url      string
	signer   *svix.Webhook
	signedBy string // where the secret came from
}

// newTrigger reads the arguments; all its errors are the caller's.
func newTrigger(c *cli.Command) (*trigger, error) {
	seed := rand.Uint64() //nolint:gosec // it makes up users
	if c.IsSet("seed") {
		seed = c.Uint64("seed")
	}
	t := &trigger{
		event:       c.Args().First(),
		payloads:    newPayloads(seed),
		messages:    newPayloads(rand.Uint64()).random, //nolint:gosec // an id need not be secret
		email:       c.String("email"),
		set:         object{},
		count:       c.Int("count"),
		concurrency: c.Int("concurrency"),
	}
	events := []string{eventCreated, eventUpdated, eventDeleted}
	switch {
	case t.event == "":
		return nil, fmt.Errorf("which event? %s", strings.Join(events, ", "))
	case !slices.Contains(events, t.event):
		return nil, fmt.Errorf("no event %q: there are %s", t.event, strings.Join(events, ", "))
	case c.Args().Len() > 1:
		return nil, fmt.Errorf("unexpected argument %q", c.Args().Get(1))
	case t.count < 1 || t.concurrency < 1:
		return nil, errors.New("--count and --concurrency are at least 1")
	case t.email != "" && (t.event == eventDeleted || c.IsSet("data")):
		return nil, errors.New("--email is for the made-up user of user.created and user.updated")
	}
	if t.email != "" {
		if a, err := mail.ParseAddress(t.email); err != nil || a.Address != t.email {
			return nil, fmt.Errorf("--email %s: no email address", t.email)
		}
	}
	for _, s := range c.StringSlice("set") {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--set %s: it is not KEY=JSON, such as first_name=null", s)
		}
		if !json.Valid([]byte(value)) {
			return nil, fmt.Errorf("--set %s: the value is not JSON; a string has double quotes, and the shell needs single ones around: --set %s",
				s, shellQuote(key+`="`+value+`"`))
		}
		t.set[key] = json.RawMessage(value)
	}
	return t, nil
}

func (t *trigger) readData(file string, stdin io.Reader) (err error) {
	if file == "" {
		return nil
	}
	var raw []byte
	name := file
	if file == "-" {
		name = "standard input"
		raw, err = io.ReadAll(stdin)
	} else {
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return fmt.Errorf("read --data: %w", err)
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(raw, &given) != nil || given == nil {
		return fmt.Errorf("read --data: %s is not one JSON object", name)
	}
	if envelope, err := clerk.ParseEnvelope(raw); err == nil {
		given = nil
		if err := json.Unmarshal(envelope.Data, &given); err != nil {
			return fmt.Errorf("read --data: %w", err)
		}
	}
	t.given = object{}
	for key, value := range given {
		t.given[key] = value
	}
	return nil
}

// chooseUsers says whom the webhooks are about; where it names nobody, each is about a new user, or about the
// one of --data.
func (t *trigger) chooseUsers(id string) error {
	switch {
	case id != "":
		t.users = []string{id}
	case t.event == eventCreated || t.given != nil:
	default:
		last, err := readLastUsers()
		if err != nil {
			return err
		}
		if len(last) == 0 {
			return fmt.Errorf("%s needs a user: run `clerksync trigger %s` here first, or name one with --id", t.event, eventCreated)
		}
		t.users = last[max(0, len(last)-t.count):]
	}
	return nil
}

func (t *trigger) chooseTarget(ctx context.Context, environ []string, to string) error {
	cfg, err := config.Load(environ, config.DotEnv, config.NoRole)
	if err != nil {
		return err
	}
	running, err := readDevState(ctx)
	if err != nil {
		return err
	}
	var secret string
	switch {
	case len(cfg.WebhookSecrets) > 0:
		secret = cfg.WebhookSecrets[0].Reveal()
		t.signedBy = "CLERK_WEBHOOK_SECRET"
	case running != nil:
		secret = running.WebhookSecret
		t.signedBy = statePath(devStateFile)
	default:
		return errors.New("no webhook secret to sign with: start `clerksync dev` in this directory, or set CLERK_WEBHOOK_SECRET to that of the server")
	}
	if t.signer, err = svix.NewWebhook(secret); err != nil {
		return fmt.Errorf("the webhook secret from %s is not base64 behind whsec_", t.signedBy)
	}
	switch {
	case to != "":
		u, err := url.Parse(to)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("--url %s: it is not an http or https URL", to)
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = webhookPath
		}
		t.url = u.String()
	case running != nil:
		t.url = running.WebhookURL
	default:
		t.url = fmt.Sprintf("http://localhost:%d%s", cfg.Port, webhookPath)
	}
	return nil
}

// message is a webhook to send.
type message struct {
	id     string
	userID string
	body   []byte
}

// next makes the nth webhook.
func (t *trigger) next(n int, now time.Time) (message, error) {
	data := maps.Clone(t.given)
	switch {
	case data == nil && len(t.users) == 0:
		data = t.payloads.data(t.event, t.payloads.id("user"), t.email, now)
	case data == nil:
		data = t.payloads.data(t.event, t.users[n%len(t.users)], t.email, now)
	case len(t.users) > 0:
		data["id"] = t.users[n%len(t.users)]
	}
	maps.Copy(data, t.set)
	raw, err := marshal(data)
	if err != nil {
		return message{}, fmt.Errorf("write data: %w", err)
	}
	body, err := t.payloads.body(t.event, json.RawMessage(raw), now)
	if err != nil {
		return message{}, fmt.Errorf("write webhook: %w", err)
	}
	return message{id: t.messages.id("msg"), userID: clerk.Event{Data: raw}.UserID(), body: body}, nil
}
