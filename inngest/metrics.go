package inngest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	runs        *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	latency     prometheus.Histogram
	deadLetters *prometheus.CounterVec
}

// latency buckets run from an Inngest on the same host to the end of its retries, in seconds.
var latency = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	m := metrics{
		runs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "clerksync_function_runs_total",
			Help: "Runs by function and outcome (error: will be retried, failed: will not).",
		}, []string{"function", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clerksync_function_duration_seconds",
			Help: "Duration of one run, by function.", Buckets: prometheus.ExponentialBuckets(.001, 2, 15),
		}, []string{"function"}),
		latency: f.NewHistogram(prometheus.HistogramOpts{
			Name: "clerksync_sync_latency_seconds", Buckets: latency,
			Help: "From Clerk's timestamp of an event to the document being written or removed; replays are not in it.",
		}),
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "clerksync_dead_letters_total",
			Help: "Dead letters kept, by the function that gave up.",
		}, []string{"function"}),
	}
	// From 0 on, or Prometheus would not see the first as an increase.
	for _, function := range []string{SyncUser, UpdateUser, DeleteUser} {
		m.duration.WithLabelValues(function)
		m.deadLetters.WithLabelValues(function)
	}
	return m
}

func (m metrics) ran(function, outcome string, took time.Duration) {
	m.runs.WithLabelValues(function, outcome).Inc()
	m.duration.WithLabelValues(function).Observe(took.Seconds())
}

// applied is told of an event of ts, in Unix milliseconds, that has changed the copy. A ts ahead of our clock counts as now.
func (m metrics) applied(ts int64, now time.Time) {
	m.latency.Observe(max(0, now.Sub(time.UnixMilli(ts)).Seconds()))
}
