package store

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// waitingTimeout is under the 10 s that Prometheus gives a scrape by default: a database that hangs must not hide
	// the other metrics.
	waitingTimeout = 2 * time.Second
	// waitingAge is how old a count may be: whoever reads /metrics, and how often, costs the database little.
	waitingAge = 30 * time.Second
)

var waitingDesc = prometheus.NewDesc("clerksync_dead_letters_waiting",
	"Dead letters in the database that wait to be replayed or purged, but those of deleted users, whose event is gone; absent while the database does not say.", nil, nil)

// lettersWaiting is a gauge that counts when it is read. Counting along would be wrong after a restart, with a second
// replica, and when a letter is purged or expires.
type lettersWaiting struct {
	count func(context.Context) (int64, error)

	mu  sync.Mutex // one reader counts for all
	at  time.Time
	n   int64
	err error
}

// Describe is the Collector's.
func (l *lettersWaiting) Describe(ch chan<- *prometheus.Desc) { ch <- waitingDesc }

// Collect is the Collector's.
func (l *lettersWaiting) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) > waitingAge { // a failure is kept as long: asking again would hold up the next scrape, too
		ctx, cancel := context.WithTimeout(context.Background(), waitingTimeout)
		defer cancel()
		l.n, l.err = l.count(ctx)
		l.at = time.Now()
	}
	if l.err == nil {
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(l.n))
	}
}
