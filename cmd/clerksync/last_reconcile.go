package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/store"
)

const (
	// lastReconcileTimeout is under the 10 s that Prometheus gives a scrape by default.
	lastReconcileTimeout = 2 * time.Second
	// lastReconcileAge is how old what is reported may be: whoever asks, and how often, costs the database little.
	lastReconcileAge = 10 * time.Second
)

var (
	lastReconcileAt = prometheus.NewDesc("clerksync_reconcile_last_run_timestamp_seconds",
		"When the last reconcile ended, in Unix time; absent where none has ended.", nil, nil)
	lastReconcileTook = prometheus.NewDesc("clerksync_reconcile_last_run_duration_seconds",
		"How long the last reconcile took, its waiting included.", nil, nil)
	lastReconcileDrift = prometheus.NewDesc("clerksync_reconcile_drift_users",
		"Users that were not as Clerk says when the last reconcile ended, by what it found and less what it repaired.", nil, nil)
	lastReconcileFindings = prometheus.NewDesc("clerksync_reconcile_findings",
		"What the last reconcile found, repaired or not, by kind (missing, stale, deleted, unknown).", []string{"kind"}, nil)
)

// lastReconcile is what the last reconcile found, whoever ran it. It is read from the database, so that all replicas report the same, also
// after a restart; while the database does not answer, what it said before stays.
type lastReconcile struct {
	load func(context.Context) (store.Reconciliation, bool, error)
	log  *slog.Logger

	mu     sync.Mutex // one asks for all
	asked  time.Time
	result store.Reconciliation
	ok     bool
}

// read has ok false where there was no reconcile.
func (l *lastReconcile) read(ctx context.Context) (r store.Reconciliation, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.asked) > lastReconcileAge {
		// Not the caller's: who leaves would leave an error to the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReconcileTimeout)
		defer cancel()
		r, ok, err := l.load(ctx)
		if err == nil {
			l.result, l.ok = r, ok
		} else {
			l.log.LogAttrs(ctx, slog.LevelDebug, "last reconcile not read", slog.String(clerk.KeyError, err.Error()))
		}
		l.asked = time.Now() // also after an error, which would hold up the next one, too
	}
	return l.result, l.ok
}

// Describe is the Collector's.
func (l *lastReconcile) Describe(ch chan<- *prometheus.Desc) {
	ch <- lastReconcileAt
	ch <- lastReconcileTook
	ch <- lastReconcileDrift
	ch <- lastReconcileFindings
}

// Collect is the Collector's.
func (l *lastReconcile) Collect(ch chan<- prometheus.Metric) {
	r, ok := l.read(context.Background())
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(lastReconcileAt, float64(r.At.UnixMilli())/1000)
	gauge(lastReconcileTook, r.Took.Seconds())
	gauge(lastReconcileDrift, float64(r.Drift()))
	gauge(lastReconcileFindings, float64(r.Missing), "missing")
	gauge(lastReconcileFindings, float64(r.Stale), "stale")
	gauge(lastReconcileFindings, float64(r.Deleted), "deleted")
	gauge(lastReconcileFindings, float64(r.Unknown), "unknown")
}
