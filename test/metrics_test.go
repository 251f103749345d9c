package test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begin := time.Now()
	id := newID("user")
	w.do("created", "user.created", user(id, 10))
	w.do("unchanged", "user.updated", user(id, 20))
	_, text := get(t, w.appURL+"/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "clerksync_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for series, want := range map[string]string{
		"clerksync_sync_latency_seconds_count":                            "1", // the second one changed nothing
		"clerksync_dead_letters_waiting":                                  "0",
		`clerksync_dead_letters_total{function="delete-user-with-clerk"}`: "0", // from the start, so that the first is an increase
	} {
		if got := sample(text, series); want != got {
			t.Errorf("%s: want %s, got %q", series, want, got)
		}
	}
	verified, err := strconv.ParseFloat(sample(text, "clerksync_webhook_last_verified_timestamp_seconds"), 64)
	if at := time.UnixMilli(int64(1000 * verified)); err != nil || at.Before(begin.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("want the last webhook verified since %v, got %v, error %v", begin, at, err)
	}
}

// sample is a series' value as Prometheus reads it, empty where there is none.
func sample(metrics, series string) string {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(metrics)
	if m == nil {
		return ""
	}
	return m[1]
}
