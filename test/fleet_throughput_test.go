//go:build fleet && unix

package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// rate is what so many replicas did, and what each of them had of it.
type rate struct {
	webhooks, runs float64 // a second
	shares         string  // of webhooks and of runs, in percent, by replica
	cpu            float64 // milliseconds of the replicas for one event
}

// TestFleetThroughput prints what one, two and three replicas do, each three times by turns, with all else fresh. It asserts no
// speed: everything shares this machine's cores.
func TestFleetThroughput(t *testing.T) {
	deadline = 5 * time.Minute
	program := filepath.Join(t.TempDir(), "clerksync") // without the race detector
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "nodev", "-trimpath", "-o", program, "../cmd/clerksync").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	rates := map[int][]rate{}
	for round := range 3 {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprintf("%d replicas, round %d", n, round+1), func(t *testing.T) {
				rates[n] = append(rates[n], throughput(t, n, program))
			})
		}
	}
	middle := func(of []rate, value func(rate) float64) float64 {
		var all []float64
		for _, r := range of {
			all = append(all, value(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintf(w, "replicas\twebhooks/s\tto one\truns/s\tto one\tCPU ms/event\tshares of webhooks, runs (last round)\n")
	webhooks, runs := func(r rate) float64 { return r.webhooks }, func(r rate) float64 { return r.runs }
	for n := 1; n <= 3; n++ {
		if len(rates[n]) == 0 {
			t.Fatalf("nothing measured with %d replicas", n)
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.2f\t%.0f\t%.2f\t%.2f\t%s\n", n, middle(rates[n], webhooks), middle(rates[n], webhooks)/middle(rates[1], webhooks),
			middle(rates[n], runs), middle(rates[n], runs)/middle(rates[1], runs), middle(rates[n], func(r rate) float64 { return r.cpu }), rates[n][len(rates[n])-1].shares)
	}
	w.Flush()
	t.Logf("the middle of three rounds\n%s", &table)
}

func throughput(t *testing.T, n int, program string) rate {
	t.Helper()
	f := newFleet(t, n, program)
	s := newStream(f.world, scaled(300))
	s.events = slices.DeleteFunc(s.events, func(e event) bool { // its run and its dead letter's would count
		if e.broken {
			delete(s.runs, e.id)
		}
		return e.broken
	})
	before := f.cpuSeconds()
	s.start()
	s.awaitAccepted(1, 1)
	accepted := time.Since(s.begin)
	s.await("events applied", int64(len(s.events)), s.applied)
	applied := time.Since(s.begin)
	events := float64(len(s.events))
	r := rate{webhooks: events / accepted.Seconds(), runs: events / applied.Seconds(), cpu: (f.cpuSeconds() - before) * 1000 / events}
	s.finish()
	var shares [2][]string
	for i, metric := range []string{`clerksync_webhooks_total{outcome="accepted",`, `clerksync_function_duration_seconds_count{`} {
		for _, replica := range f.replicas {
			part := replica.sum(metric)
			if part == 0 {
				t.Errorf("want each replica to have a part of %s, %s had none", metric, replica.url)
			}
			shares[i] = append(shares[i], fmt.Sprintf("%.0f", 100*part/events))
		}
	}
	r.shares = strings.Join(shares[0], ":") + ", " + strings.Join(shares[1], ":")
	return r
}

func (f *fleet) cpuSeconds() float64 {
	var sum float64
	for _, r := range f.replicas {
		sum += r.sum("process_cpu_seconds_total ")
	}
	return sum
}

// sum adds up the samples of /metrics that begin so.
func (r *replica) sum(prefix string) float64 {
	r.t.Helper()
	_, text := get(r.t, r.url+"/metrics")
	var sum float64
	for _, m := range regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(prefix)+`.*?(\S+)$`).FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			r.t.Fatal(err)
		}
		sum += value
	}
	return sum
}
