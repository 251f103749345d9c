package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
	"github.com/glowup-app/clerksync/inngest"
	"github.com/glowup-app/clerksync/store"
	"github.com/glowup-app/clerksync/webhook"
)

// server is clerksync's parts, wired: those that its roles need.
type server struct {
	roles     config.Role
	store     *store.Store       // of functions
	functions *inngest.Functions // served, or, without a bridge, a worker's
	last      *lastReconcile     // of functions
	bridge    *webhook.Handler
	sender    *inngest.Sender // the bridge's
	http      *http.Server
	metrics   *prometheus.Registry
	log       *slog.Logger
	traces    *sdktrace.TracerProvider // nil: tracing is off

	setUp    atomic.Bool // the database was reached and prepared
	stopping atomic.Bool
}

// newServer wires the parts; it connects to nothing.
func newServer(ctx context.Context, cfg config.Config, roles config.Role, log *slog.Logger) (*server, error) {
	traces, err := newTracing(ctx, log)
	if err != nil {
		return nil, err
	}
	var tracer trace.Tracer
	if traces != nil {
		tracer, log = traces.Tracer("github.com/glowup-app/clerksync"), slog.New(traceLog{log.Handler()})
	}
	s := &server{roles: roles, metrics: prometheus.NewRegistry(), log: log, traces: traces}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := inngestOptions(cfg)
	o.Logger, o.Registerer, o.Tracer = log, s.metrics, tracer
	if roles&config.Functions != 0 {
		if err := s.addFunctions(cfg, o); err != nil {
			return nil, err
		}
	}
	if roles&config.Bridge != 0 {
		s.sender = inngest.NewSender(o)
		s.bridge, err = webhook.New(reveal(cfg.WebhookSecrets), received{s.sender, log},
			webhook.Options{Logger: log, Registerer: s.metrics, Tracer: tracer})
		if err != nil {
			return nil, err
		}
	}
	s.http = &http.Server{
		Handler: s.routes(),
		// Against clients that never finish. The bridge sets a shorter deadline for a body; the longest
		// request, a run, may take 30 s.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10, // Svix sends well under 2 KiB
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *server) addFunctions(cfg config.Config, o inngest.Options) (err error) {
	s.store, err = store.New(cfg.DatabaseURI.Reveal(), cfg.DatabaseName, cfg.UsersCollection,
		store.Options{DeadLetterRetention: cfg.DeadLetterRetention, Logger: s.log, Registerer: s.metrics, Tracer: o.Tracer})
	if err != nil {
		return err
	}
	s.last = &lastReconcile{load: s.store.LastReconciliation, log: s.log}
	s.metrics.MustRegister(s.last)
	if cfg.ClerkSecretKey != "" {
		o.Reconciler = newScheduled(cfg, s.store, s.log)
	}
	if cfg.ReconcileCron != "" {
		s.gauge("clerksync_reconcile_interval_seconds", "The longest time that RECONCILE_CRON leaves between two reconciles; absent without it.", cfg.ReconcileEvery.Seconds)
	}
	s.functions, err = inngest.NewFunctions(s.store, o)
	if err == nil && s.worker() {
		s.gauge("clerksync_worker_connected", "1 while Inngest can give runs to this worker, else 0.", func() float64 {
			if s.functions.Connected() {
				return 1
			}
			return 0
		})
	}
	return err
}

func (s *server) gauge(name, help string, value func() float64) {
	s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// worker says that the functions are run over Inngest Connect: nothing else is asked of this server from outside.
func (s *server) worker() bool { return s.roles == config.Functions }

// received logs a verified event before it is handed over, which can take seconds.
type received struct {
	webhook.Sender
	log *slog.Logger
}

// Send is the Sender's.
func (r received) Send(ctx context.Context, e clerk.Event) (wait func() error) {
	if r.log.Enabled(ctx, slog.LevelDebug) {
		r.log.LogAttrs(ctx, slog.LevelDebug, "webhook received", slog.String(clerk.KeyEventID, e.ID),
			slog.String(clerk.KeyEvent, e.Name), slog.String(clerk.KeyUserID, e.UserID()))
	}
	return r.Sender.Send(ctx, e)
}

func inngestOptions(cfg config.Config) inngest.Options {
	return inngest.Options{
		AppID:              cfg.Inngest.AppID,
		Dev:                cfg.Inngest.Dev,
		BaseURL:            cfg.Inngest.BaseURL,
		EventKey:           cfg.Inngest.EventKey.Reveal(),
		SigningKey:         cfg.Inngest.SigningKey.Reveal(),
		SigningKeyFallback: cfg.Inngest.SigningKeyFallback.Reveal(),
		PublicURL:          cfg.PublicURL,
		Retries:            cfg.FunctionRetries,
		Concurrency:        cfg.FunctionConcurrency,
		ReconcileCron:      cfg.ReconcileCron,
	}
}

func reveal(secrets []config.Secret) []string {
	plain := make([]string, len(secrets))
	for i, s := range secrets {
		plain[i] = s.Reveal()
	}
	return plain
}

const (
	// maxConns bounds the connections, at some 20 KiB each; more wait in the kernel's queue.
	maxConns = 4096
	// Stopping ends within the 15 s of the contract.
	drainTimeout = 12 * time.Second
	closeTimeout = 2 * time.Second
)

// run serves until ctx is done, then stops: not ready, no new connections, what is in flight finishes, the
// database is left.
func (s *server) run(ctx context.Context, listener net.Listener) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := s.http.Serve(netutil.LimitListener(listener, maxConns))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	if s.store != nil {
		g.Go(func() error {
			s.awaitDatabase(gctx)
			return nil
		})
	}
	if s.worker() {
		g.Go(func() error {
			s.functions.Work(gctx)
			return nil
		})
	}
	g.Go(func() error {
		<-gctx.Done()
		s.stopping.Store(true)
		// The context is done, and this work is what is left to do.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			err = errors.Join(err, s.http.Close())
			s.log.LogAttrs(ctx, slog.LevelWarn, "requests were cut off: the time to stop was over", slog.String(clerk.KeyError, err.Error()))
		}
		return nil
	})
	err := g.Wait()
	s.close(ctx)
	return err
}

// close leaves the database, Inngest and the traces' collector, in a time of its own.
func (s *server) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if s.sender != nil {
		s.sender.Close()
	}
	if s.store != nil {
		if err := s.store.Close(ctx); err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the database connection was cut off", slog.String(clerk.KeyError, err.Error()))
		}
	}
	if s.traces != nil { // last, so that a collector that hangs takes no time from the others
		if err := s.traces.Shutdown(ctx); err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the last traces were not exported", slog.String(clerk.KeyError, exportError(err)))
		}
	}
}

// awaitDatabase prepares the database as soon as it is there. Webhooks are taken meanwhile: Inngest keeps them.
func (s *server) awaitDatabase(ctx context.Context) {
	delays := backoff.NewExponentialBackOff()
	delays.MaxInterval = 5 * time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, s.store.Setup(ctx) },
		backoff.WithBackOff(delays), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "database not ready", slog.String(clerk.KeyError, err.Error()), slog.Duration(clerk.KeyRetryIn, next))
		}))
	if err == nil {
		s.setUp.Store(true)
		s.log.LogAttrs(ctx, slog.LevelInfo, "database ready")
	}
}
