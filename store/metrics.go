package store

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

type metrics struct {
	calls         *prometheus.HistogramVec
	conflicts     prometheus.Counter
	tombstoneHits prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		calls: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "clerksync_store_operation_duration_seconds",
			Help:    "Duration of one call to the database, by operation and outcome (ok, missing, duplicate, error).",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 15),
		}, []string{"operation", "outcome"}),
		conflicts: f.NewCounter(prometheus.CounterOpts{
			Name: "clerksync_store_conflicts_total",
			Help: "Lost races for a document, each followed by another try.",
		}),
		tombstoneHits: f.NewCounter(prometheus.CounterOpts{
			Name: "clerksync_tombstone_hits_total",
			Help: "Events that found their user deleted.",
		}),
	}
}

func (m metrics) called(operation string, err error, took time.Duration) {
	outcome := "error"
	switch {
	case err == nil:
		outcome = "ok"
	case errors.Is(err, mongo.ErrNoDocuments):
		outcome = "missing"
	case errors.Is(err, errDuplicate):
		outcome = "duplicate"
	}
	m.calls.WithLabelValues(operation, outcome).Observe(took.Seconds())
}
