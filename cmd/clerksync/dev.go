//go:build !nodev

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/store/embedded"
)

func (a *app) devCommands() []*cli.Command {
	return []*cli.Command{{
		Name:  "dev",
		Usage: "run everything on this machine, with no configuration",
		Description: "Starts a database that MongoDB's clients can use, the Inngest Dev Server and the server, and shows each event\n" +
			"on its way. Files are kept in " + stateDir + " of the working directory.\n\n" +
			"The variables of `clerksync serve` are respected, but for those that say where Inngest is and PUBLIC_URL. With\n" +
			"DATABASE_URI that database is used; without CLERK_WEBHOOK_SECRET a secret is made up and kept. INNGEST_CLI names\n" +
			"the Inngest Dev Server's binary; else `inngest` or `inngest-cli` on PATH and bin/inngest are tried.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "ephemeral", Usage: "keep the database in a temporary directory, removed at the end"},
			&cli.IntFlag{Name: "port", Usage: "`PORT` of the server; 0: a free one (default: $PORT, else 3000)", HideDefault: true},
			&cli.IntFlag{Name: "inngest-port", Value: 8288, Usage: "`PORT` of the Inngest Dev Server; 0: a free one"},
			&cli.IntFlag{Name: "db-port", Value: 27017, Usage: "`PORT` of the database; 0: a free one"},
		},
		Before: noArgs,
		Action: func(ctx context.Context, c *cli.Command) error {
			ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			// After the first signal the default comes back, so that a second one ends the process at once.
			context.AfterFunc(ctx, stop)
			d, err := a.newDev(ctx, c)
			if err != nil {
				return err
			}
			return d.run(ctx)
		},
	}}
}

// dev is the server with all that it needs on one machine.
type dev struct {
	app        *app
	cfg        config.Config
	cli        string // the Dev Server's binary
	ephemeral  bool
	ownSecret  bool // made up, not from the environment
	ownDB      bool
	serverPort *port
	cliPort    *port
	dbPort     *port
	out        *screen
}

// newDev finds out all that could keep dev from starting, before anything starts.
func (a *app) newDev(ctx context.Context, c *cli.Command) (*dev, error) {
	cfg, err := a.devConfig()
	if err != nil {
		return nil, err
	}
	if c.IsSet("port") {
		cfg.Port = c.Int("port")
	}
	d := &dev{app: a, cfg: cfg, ephemeral: c.Bool("ephemeral"), out: newScreen(a.stdout, a.environ)}
	d.ownDB, d.ownSecret = cfg.DatabaseURI == "", len(cfg.WebhookSecrets) == 0

	running, err := readDevState(ctx)
	if err != nil {
		return nil, err
	}
	if running != nil {
		return nil, fmt.Errorf("another `clerksync dev` runs in this directory, for %s: stop it first", running.WebhookURL)
	}
	d.serverPort = &port{number: cfg.Port, what: "the server", flag: "--port"}
	d.cliPort = &port{number: c.Int("inngest-port"), what: "the Inngest Dev Server", flag: "--inngest-port"}
	ports := []*port{d.serverPort, d.cliPort}
	if d.ownDB {
		d.dbPort = &port{number: c.Int("db-port"), what: "the database", flag: "--db-port"}
		ports = append(ports, d.dbPort)
	}
	var cliErr error
	d.cli, cliErr = findDevServer(ctx, a.environ)
	if err := errors.Join(cliErr, takePorts(ctx, ports)); err != nil {
		freePorts(ports)
		return nil, fmt.Errorf("dev cannot start:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return d, nil
}

// devConfig is the environment's without what it says about an Inngest elsewhere.
func (a *app) devConfig() (config.Config, error) {
	local := &app{environ: append(slices.Clone(a.environ), "INNGEST_DEV=1", "INNGEST_BASE_URL=", "INNGEST_API_KEY=",
		"INNGEST_EVENT_KEY=", "INNGEST_SIGNING_KEY=", "INNGEST_SIGNING_KEY_FALLBACK=", "PUBLIC_URL=")}
	return local.loadConfig(config.NoRole)
}

func (d *dev) serverURL() string     { return "http://localhost:" + strconv.Itoa(d.serverPort.number) }
func (d *dev) cliURL() string        { return "http://127.0.0.1:" + strconv.Itoa(d.cliPort.number) }
func (d *dev) webhookURL() string    { return d.serverURL() + webhookPath }
func (d *dev) webhookSecret() string { return d.cfg.WebhookSecrets[0].Reveal() }

// run starts the parts, shows the banner when they work together, and stops them when ctx is done or one of
// them ends.
func (d *dev) run(ctx context.Context) (err error) {
	defer d.serverPort.free()
	d.out.println(d.out.dim("Starting the database, the Inngest Dev Server and the server …"))
	if err := d.ensureSecret(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	if d.ownDB {
		db, err := d.startDB(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopDB(db)) }()
		g.Go(func() error {
			select {
			case <-ctx.Done():
				return nil
			case <-db.Done():
				return errors.New("the embedded database ended by itself")
			}
		})
	}
	d.cfg.Inngest.BaseURL = d.cliURL()
	server, err := newServer(ctx, d.cfg, config.Bridge|config.Functions, d.logger())
	if err != nil {
		return err
	}
	// The server is there first: the Dev Server that does not find it looks again only after 5 s.
	g.Go(func() error { return server.run(ctx, d.serverPort.listener) })
	g.Go(func() error { return d.runDevServer(ctx) })
	g.Go(func() error { return d.welcome(ctx) })
	context.AfterFunc(ctx, func() { d.out.println(d.out.dim("Stopping …")) })
	defer func() {
		if rmErr := os.Remove(statePath(devStateFile)); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}()
	return g.Wait()
}

// welcome waits until everything works, tells trigger about it, and prints the banner.
func (d *dev) welcome(ctx context.Context) error {
	hasUI, err := d.awaitDevServer(ctx)
	if err == nil {
		err = d.awaitServer(ctx)
	}
	if ctx.Err() != nil {
		return nil // the reason is known elsewhere
	}
	if err != nil {
		return err
	}
	state, err := json.Marshal(devState{
		WebhookURL: d.webhookURL(), WebhookSecret: d.webhookSecret(),
		DatabaseURI: d.cfg.DatabaseURI.Reveal(), DatabaseName: d.cfg.DatabaseName, InngestURL: d.cliURL(),
	})
	if err != nil {
		return err
	}
	if err := writeState(devStateFile, state); err != nil {
		return fmt.Errorf("tell trigger about the server: %w", err)
	}
	d.out.println(d.banner(hasUI))
	return nil
}

// logger shows events as lines for people; LOG_FORMAT=json asks for the server's own log instead.
func (d *dev) logger() *slog.Logger {
	if d.cfg.LogFormat == "json" {
		return newLogger(d.app.stderr, d.cfg.LogFormat, d.cfg.LogLevel)
	}
	return slog.New(newDevLog(d.out, d.cfg.LogLevel))
}

const secretFile = "webhook-secret"

// ensureSecret makes up a webhook secret where none is configured, and keeps it: a secret that changed at each
// start would have to be copied each time.
func (d *dev) ensureSecret() error {
	if !d.ownSecret {
		return nil
	}
	raw, err := os.ReadFile(statePath(secretFile))
	secret := strings.TrimSpace(string(raw))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, 24) // as long as Svix's
		_, _ = rand.Read(key)   // it never fails
		secret = "whsec_" + base64.StdEncoding.EncodeToString(key)
		err = writeState(secretFile, []byte(secret+"\n"))
	case err == nil && secret == "":
		err = errors.New("it is empty: remove it")
	case err == nil:
		if _, svixErr := svix.NewWebhook(secret); svixErr != nil {
			err = errors.New("it is not base64 behind whsec_: remove it")
		}
	}
	if err != nil {
		return fmt.Errorf("webhook secret in %s: %w", statePath(secretFile), err)
	}
	d.cfg.WebhookSecrets = []config.Secret{config.Secret(secret)}
	return nil
}

func (d *dev) startDB(ctx context.Context) (*embedded.DB, error) {
	dir := statePath("db")
	if d.ephemeral {
		dir = ""
	} else if err := makeStateDir(); err != nil {
		return nil, err
	}
	d.dbPort.free()
	db, err := embedded.Start(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(d.dbPort.number)), dir)
	if err != nil {
		return nil, err
	}
	d.cfg.DatabaseURI = config.Secret(db.URI() + d.cfg.DatabaseName)
	return db, nil
}

// stopDBTimeout is for a client that does not let go: the process ends anyway. FerretDB itself gives clients 3 s.
const stopDBTimeout = 5 * time.Second

func stopDB(db *embedded.DB) error {
	stopped := make(chan error, 1)
	go func() { stopped <- db.Stop() }()
	timer := time.NewTimer(stopDBTimeout)
	defer timer.Stop()
	select {
	case err := <-stopped:
		return err
	case <-timer.C:
		return nil
	}
}
