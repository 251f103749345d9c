package inngest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	runs        *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	deadLetters *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		runs: f.NewCounterVec(prometheus.CounterOpts{
			Name: "clerksync_function_runs_total",
			Help: "Runs by function and outcome (error: will be retried, failed: will not).",
		}, []string{"function", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clerksync_function_duration_seconds",
			Help: "Duration of one run, by function.", Buckets: prometheus.ExponentialBuckets(.001, 2, 15),
		}, []string{"function"}),
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "clerksync_dead_letters_total",
			Help: "Dead letters kept, by the function that gave up.",
		}, []string{"function"}),
	}
}

func (m metrics) ran(function, outcome string, took time.Duration) {
	m.runs.WithLabelValues(function, outcome).Inc()
	m.duration.WithLabelValues(function).Observe(took.Seconds())
}
