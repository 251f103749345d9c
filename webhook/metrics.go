package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/glowup-app/clerksync/clerk"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	handover   *prometheus.HistogramVec
	verified   prometheus.Gauge
}

// latency buckets run from a hand-over on the same host to the end of Svix's patience, in seconds.
var latency = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}

func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "clerksync_webhooks_total",
			Help: "Webhook deliveries by Clerk's event type (other: not a user event; none: not read) and outcome.",
		}, []string{"type", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clerksync_webhook_duration_seconds", Buckets: latency,
			Help: "From the webhook's headers to our answer, by outcome.",
		}, []string{"outcome"}),
		handover: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "clerksync_handover_duration_seconds", Buckets: latency,
			Help: "From the start of a hand-over to Inngest's acceptance or our giving up, by outcome (ok, error).",
		}, []string{"outcome"}),
		verified: f.NewGauge(prometheus.GaugeOpts{
			Name: "clerksync_webhook_last_verified_timestamp_seconds",
			Help: "When the last webhook with a good signature came, in Unix time; 0: none since the start.",
		}),
	}
}

func (m metrics) delivered(d delivery, took time.Duration) {
	outcome := accepted
	if d.refused != nil {
		outcome = d.refused.outcome
	}
	m.deliveries.WithLabelValues(typeLabel(d.event.Name), outcome).Inc()
	m.duration.WithLabelValues(outcome).Observe(took.Seconds())
}

func (m metrics) handedOver(err error, took time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.handover.WithLabelValues(outcome).Observe(took.Seconds())
}

// typeLabel has few values whatever Clerk sends: each would be a time series for ever.
func typeLabel(event string) string {
	switch event {
	case clerk.UserCreated:
		return "user.created"
	case clerk.UserUpdated:
		return "user.updated"
	case clerk.UserDeleted:
		return "user.deleted"
	case "":
		return "none"
	default:
		return "other"
	}
}
