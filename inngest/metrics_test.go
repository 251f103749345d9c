package inngest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/glowup-app/clerksync/clerk"
)

func TestSyncLatency(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	var out clerk.Outcome
	var fail error
	f := newFunctions(t, fakeUsers{
		apply: func(context.Context, clerk.Change) (clerk.Outcome, error) { return out, fail },
		del:   func(context.Context, string, clerk.Version) (clerk.Outcome, error) { return out, fail },
		close: func(context.Context, string) error { return nil },
	}, Options{Registerer: metrics})
	now := time.Now()
	for _, tt := range []struct {
		name, id, function, event string
		age                       time.Duration
		out                       clerk.Outcome
		fail                      error
		want                      map[float64]uint64 // observations by the bucket's upper bound, where there are any
	}{
		{"created", "msg_1", SyncUser, clerk.UserCreated, 2 * time.Minute, clerk.Created, nil, map[float64]uint64{300: 1}},
		{"updated, long ago", "msg_1", UpdateUser, clerk.UserUpdated, 20 * time.Hour, clerk.Updated, nil, map[float64]uint64{24 * 3600: 1}},
		{"deleted, by a clock that is ahead of ours", "msg_1", DeleteUser, clerk.UserDeleted, -time.Hour, clerk.Deleted, nil, map[float64]uint64{.005: 1}},
		{"nothing to write", "msg_1", UpdateUser, clerk.UserUpdated, time.Hour, clerk.Unchanged, nil, nil},
		{"stale", "msg_1", UpdateUser, clerk.UserUpdated, time.Hour, clerk.Stale, nil, nil},
		{"failed", "msg_1", UpdateUser, clerk.UserUpdated, time.Hour, "", context.DeadlineExceeded, nil},
		{"a replay", "msg_1~replay-1", UpdateUser, clerk.UserUpdated, time.Hour, clerk.Updated, nil, nil},
	} {
		before := latencies(t, metrics)
		out, fail = tt.out, tt.fail
		invoke(t, f, tt.function, fmt.Sprintf(`{"id":%q,"name":%q,"ts":%d,"data":{"id":"user_1"}}`, tt.id, tt.event, now.Add(-tt.age).UnixMilli()), nil)
		var got map[float64]uint64
		for bound, n := range latencies(t, metrics) {
			if n > before[bound] {
				got = map[float64]uint64{bound: n - before[bound]}
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, d)
		}
	}
	// 2 minutes, 20 hours, and nothing for the one that came before its time.
	if want, got := (2*time.Minute + 20*time.Hour).Seconds(), latencySum(t, metrics); got < want || got > want+60 {
		t.Errorf("sum of the latencies: want %v, got %v", want, got)
	}
	problems, err := testutil.GatherAndLint(metrics)
	if err != nil || len(problems) > 0 {
		t.Errorf("want metrics as Prometheus likes them, got %v, error %v", problems, err)
	}
}

// latencies are the observations of each bucket alone; Prometheus adds up those below.
func latencies(t *testing.T, metrics *prometheus.Registry) map[float64]uint64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := map[float64]uint64{}
	for _, f := range families {
		if f.GetName() != "clerksync_sync_latency_seconds" {
			continue
		}
		below := uint64(0)
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			n[b.GetUpperBound()] = b.GetCumulativeCount() - below
			below = b.GetCumulativeCount()
		}
	}
	return n
}

func latencySum(t *testing.T, metrics *prometheus.Registry) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "clerksync_sync_latency_seconds" {
			sum = f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return sum
}
