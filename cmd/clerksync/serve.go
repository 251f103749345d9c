package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/store"
)

func (a *app) serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "run the server, configured by environment variables only",
		Description: "Serves the webhook bridge on POST /api/webhooks/clerk, the functions on /api/inngest, and\n" +
			"/healthz, /readyz and /metrics. A file .env in the working directory is read too; the environment wins.\n\n" +
			"With --no-functions it takes webhooks only, and needs neither database nor signing key: `clerksync worker` runs the functions.\n\n" +
			variablesHelp(config.Bridge|config.Functions),
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "no-functions", Usage: "take webhooks only"}},
		Before: noArgs,
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Bool("no-functions") {
				return a.serve(ctx, config.Bridge)
			}
			return a.serve(ctx, config.Bridge|config.Functions)
		},
	}
}

func (a *app) workerCommand() *cli.Command {
	return &cli.Command{
		Name:  "worker",
		Usage: "run the functions over Inngest Connect, without a public endpoint",
		Description: "Connects to Inngest by a WebSocket and writes users to the database, beside `clerksync serve --no-functions`, so that webhooks and\n" +
			"functions scale apart. Never beside a `clerksync serve` with functions: Inngest keeps one way to reach an app. Configured\n" +
			"by environment and .env, as serve is; PORT serves /healthz, /readyz and /metrics.\n\n" +
			variablesHelp(config.Functions),
		Before: noArgs,
		Action: func(ctx context.Context, _ *cli.Command) error { return a.serve(ctx, config.Functions) },
	}
}

func (a *app) serve(ctx context.Context, roles config.Role) error {
	cfg, err := a.loadConfig(roles)
	if err != nil {
		return err
	}
	log := newLogger(a.stderr, cfg.LogFormat, cfg.LogLevel)
	for _, w := range cfg.Warnings {
		log.WarnContext(ctx, w) //nolint:sloglint // the configuration's own words, which hold no values
	}
	if os.Getenv("GOGC") == "" {
		// A webhook leaves some 15 kB of garbage beside a few MB that live: this halves how often it is collected, and
		// stays under 64 MiB with 256 webhooks at once.
		debug.SetGCPercent(200)
	}
	if cfg.Inngest.Dev && roles == config.Bridge|config.Functions {
		log.WarnContext(ctx, "INNGEST_DEV is set: nothing is signed, and whoever reaches /api/inngest can write any user; never in production")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default comes back, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)

	s, err := newServer(ctx, cfg, roles, log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(cfg.Port)))
	if err != nil {
		s.close(ctx)
		return fmt.Errorf("%w (PORT sets another port)", err)
	}
	b := readBuild()
	log.LogAttrs(ctx, slog.LevelInfo, "server started", slog.Int(clerk.KeyPort, cfg.Port), slog.String(clerk.KeyBuild, b.version),
		slog.String(clerk.KeyCommit, b.commit), slog.Bool(clerk.KeyDev, cfg.Inngest.Dev))
	if err := s.run(ctx, listener); err != nil {
		return err
	}
	log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "server stopped")
	return nil
}

// loadConfig also asks the driver about the connection string, and reports all faults in one error.
func (a *app) loadConfig(roles config.Role) (config.Config, error) {
	cfg, err := config.Load(a.environ, config.DotEnv, roles)
	if err == nil && cfg.DatabaseURI != "" && store.CheckURI(cfg.DatabaseURI.Reveal()) != nil {
		err = &config.Error{Faults: []config.Fault{{Variable: "DATABASE_URI", Want: "a connection string that the MongoDB driver understands"}}}
	}
	return cfg, err
}
