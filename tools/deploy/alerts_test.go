// Package deploy checks all of deploy/ with the engines that it is for: alerts and dashboard with Prometheus' own, compose.yaml with
// Compose's loader, the Caddyfile with Caddy, the chart with Helm and the types of Kubernetes. It is a module of its own, so that none of
// them is among clerksync's dependencies.
package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// rules are the alerts by name, as Prometheus reads them: it refuses an unknown key, a wrong template, a wrong expression.
func rules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	all := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r
		}
	}
	return all
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, r := range rules(t) {
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: want a severity of critical or warning, got %q", name, s)
		}
		for _, key := range []string{"summary", "description"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s: want a %s", name, key)
			}
		}
		if want, got := "#"+strings.ToLower(name), r.Annotations["runbook_url"]; !strings.HasSuffix(got, "/docs/operations.md"+want) {
			t.Errorf("%s: want a runbook at %s of docs/operations.md, got %s", name, want, got)
		}
	}
}

// Two replicas, a sample a minute for two days; the alert is asked for at the end. A series is written as Prometheus' rule
// tests are: start, step and number of steps.
const (
	minutes = 2 * 24 * 60
	flat    = "x2880"
)

// world is what two replicas say when all is well: a webhook a minute each, at once applied.
func world() map[string]string {
	w := map[string]string{"clerksync_dead_letters_waiting": "0+0" + flat}
	for _, at := range []string{"a", "b"} {
		w[`clerksync_webhook_last_verified_timestamp_seconds{instance="`+at+`"}`] = "0+60" + flat
		w[`clerksync_webhooks_total{instance="`+at+`",type="user.updated",outcome="accepted"}`] = "0+1" + flat
		w[`clerksync_webhooks_total{instance="`+at+`",type="other",outcome="accepted"}`] = "0+1" + flat
		w[`clerksync_function_runs_total{instance="`+at+`",function="update-user-from-clerk",outcome="updated"}`] = "0+1" + flat
		w[`clerksync_function_duration_seconds_count{instance="`+at+`",function="update-user-from-clerk"}`] = "0+1" + flat
		w[`clerksync_dead_letters_total{instance="`+at+`",function="update-user-from-clerk"}`] = "0+0" + flat
		for _, le := range []string{"1", "60", "300", "+Inf"} {
			w[`clerksync_sync_latency_seconds_bucket{instance="`+at+`",le="`+le+`"}`] = "0+1" + flat
		}
	}
	return w
}

// set changes the series whose name and labels hold all of the parts.
func set(w map[string]string, values string, parts ...string) {
	n := 0
	for series := range w {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(series, p) }) {
			w[series] = values
			n++
		}
	}
	if n == 0 {
		panic(fmt.Sprintf("no series with %q", parts))
	}
}

func TestAlertsFire(t *testing.T) {
	t.Parallel()
	// until is a counter that grows by one a minute until so many minutes before the end.
	until := func(before int) string {
		return fmt.Sprintf("0+1x%d %d+0x%d", minutes-before, minutes-before, before-1)
	}
	lastSeen := func(before int) string {
		return fmt.Sprintf("0+60x%d %d+0x%d", minutes-before, 60*(minutes-before), before-1)
	}
	type test struct {
		name string
		edit func(w map[string]string)
		want []string
	}
	tests := []test{
		{"all is well", func(map[string]string) {}, nil},
		{"nothing is scraped", func(w map[string]string) { clear(w) }, []string{"ClerksyncAbsent"}},
		{"all webhooks are refused", func(w map[string]string) {
			set(w, lastSeen(40), "last_verified")
			set(w, until(40), `outcome="accepted"`)
			set(w, until(40), "function_")
			w[`clerksync_webhooks_total{instance="a",type="none",outcome="unverified"}`] = "0+1" + flat
		}, []string{"ClerksyncWebhooksUnverified"}},
		{"a stranger posts beside Clerk", func(w map[string]string) {
			w[`clerksync_webhooks_total{instance="a",type="none",outcome="unverified"}`] = "0+9" + flat
		}, nil},
		{"one replica alone gets webhooks", func(w map[string]string) {
			set(w, "0+0"+flat, "last_verified", `instance="b"`)
		}, nil},
		{"silent for an hour, which yesterday was not", func(w map[string]string) {
			set(w, lastSeen(70), "last_verified")
			set(w, until(70), "webhooks_total")
			set(w, until(70), "function_")
		}, []string{"ClerksyncWebhooksSilent"}},
		{"silent, and started again since", func(w map[string]string) {
			set(w, lastSeen(70), "last_verified", `instance="a"`)
			set(w, "0+0"+flat, "last_verified", `instance="b"`)
			set(w, until(70), "webhooks_total")
			set(w, until(70), "function_")
		}, []string{"ClerksyncWebhooksSilent"}},
		{"as silent as yesterday", func(w map[string]string) {
			set(w, lastSeen(30*60), "last_verified")
			set(w, until(30*60), "webhooks_total")
			set(w, until(30*60), "function_")
		}, nil},
		{"Inngest takes no event", func(w map[string]string) {
			set(w, until(10), `outcome="accepted"`)
			w[`clerksync_webhooks_total{instance="a",type="user.updated",outcome="not_handed_over"}`] = "0+1" + flat
		}, []string{"ClerksyncHandoverFailing"}},
		{"Inngest refused one event", func(w map[string]string) {
			w[`clerksync_webhooks_total{instance="a",type="user.updated",outcome="not_handed_over"}`] = "0+0x2879 1"
		}, nil},
		{"no run for events that were accepted", func(w map[string]string) {
			set(w, until(20), "function_")
		}, []string{"ClerksyncRunsMissing"}},
		{"no run, and no event of a user", func(w map[string]string) {
			set(w, until(20), "function_")
			set(w, until(20), `type="user.updated"`)
		}, nil},
		{"runs fail", func(w map[string]string) {
			set(w, until(20), `outcome="updated"`)
			w[`clerksync_function_runs_total{instance="a",function="update-user-from-clerk",outcome="error"}`] = "0+1" + flat
		}, []string{"ClerksyncRunsFailing"}},
		{"a run in twenty is tried again", func(w map[string]string) {
			w[`clerksync_function_runs_total{instance="a",function="update-user-from-clerk",outcome="error"}`] = "0+0.1" + flat
		}, nil},
		{"a reconcile can't reach Clerk", func(w map[string]string) {
			w[`clerksync_function_runs_total{instance="a",function="reconcile-users",outcome="error"}`] = "0+9" + flat
		}, nil},
		{"a tenth of the users comes late", func(w map[string]string) {
			set(w, "0+0.9"+flat, "latency", `le="1"`)
			set(w, "0+0.9"+flat, "latency", `le="60"`)
		}, []string{"ClerksyncSlow"}},
		{"a user in fifty comes late", func(w map[string]string) {
			set(w, "0+0.98"+flat, "latency", `le="1"`)
			set(w, "0+0.98"+flat, "latency", `le="60"`)
		}, nil},
		{"the first dead letter, just now", func(w map[string]string) {
			set(w, "0+0x2875 1+0x4", "dead_letters_total", `instance="a"`)
			w["clerksync_dead_letters_waiting"] = "0+0x2875 1+0x4"
		}, []string{"ClerksyncDeadLettersGrowing", "ClerksyncDeadLettersWaiting"}},
		{"one from before", func(w map[string]string) {
			set(w, "7+0"+flat, "dead_letters_total", `instance="a"`)
			w["clerksync_dead_letters_waiting"] = "1+0" + flat
		}, []string{"ClerksyncDeadLettersWaiting"}},
		{"a reconcile found drift", func(w map[string]string) {
			w[`clerksync_reconcile_drift_users{instance="a"}`] = "0+0x2875 3+0x4"
		}, []string{"ClerksyncDrift"}},
		{"a reconcile repaired what it found", func(w map[string]string) {
			w[`clerksync_reconcile_drift_users{instance="a"}`] = "3+0x2875 0+0x4"
		}, nil},
		{"a reconcile a day", func(w map[string]string) {
			w[`clerksync_reconcile_interval_seconds{job="c",instance="a"}`] = "86400+0" + flat
			w[`clerksync_reconcile_last_run_timestamp_seconds{job="c",instance="a"}`] = "86400+0" + flat
		}, nil},
		{"a reconcile an hour, and none for three", func(w map[string]string) {
			w[`clerksync_reconcile_interval_seconds{job="c",instance="a"}`] = "3600+0" + flat
			w[`clerksync_reconcile_last_run_timestamp_seconds{job="c",instance="a"}`] = "0+60x2700 162000+0x179"
		}, []string{"ClerksyncReconcileOverdue"}},
		{"the first reconcile is awaited", func(w map[string]string) {
			w[`clerksync_reconcile_interval_seconds{job="c",instance="a"}`] = "86400+0" + flat
			w[`process_start_time_seconds{job="c",instance="a"}`] = "86400+0" + flat
			w[`process_start_time_seconds{job="other",instance="a"}`] = "0+0" + flat
		}, nil},
		{"the first reconcile never ends", func(w map[string]string) {
			w[`clerksync_reconcile_interval_seconds{job="c",instance="a"}`] = "3600+0" + flat
			w[`process_start_time_seconds{job="c",instance="a"}`] = "86400+0" + flat
		}, []string{"ClerksyncReconcileOverdue"}},
		{"reconciled by hand, long ago", func(w map[string]string) {
			w[`clerksync_reconcile_last_run_timestamp_seconds{job="c",instance="a"}`] = "0+0" + flat
		}, nil},
		{"one worker of two is not connected", func(w map[string]string) {
			w[`clerksync_worker_connected{job="c",instance="c"}`] = "1+0" + flat
			w[`clerksync_worker_connected{job="c",instance="d"}`] = "1+0x2870 0+0x9"
		}, []string{"ClerksyncWorkerDisconnected"}},
		{"all workers are connected", func(w map[string]string) {
			w[`clerksync_worker_connected{job="c",instance="c"}`] = "1+0" + flat
		}, nil},
		{"one from before, replayed", func(w map[string]string) {
			set(w, "7+0"+flat, "dead_letters_total", `instance="a"`)
		}, nil},
	}
	for name := range rules(t) {
		if !slices.ContainsFunc(tests, func(tt test) bool { return slices.Contains(tt.want, name) }) {
			t.Errorf("want a case in which %s fires", name)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := world()
			tt.edit(w)
			var load strings.Builder
			load.WriteString("load 1m\n")
			for _, series := range slices.Sorted(maps.Keys(w)) {
				fmt.Fprintf(&load, "  %s %s\n", series, w[series])
			}
			storage := promqltest.LoadedStorage(t, load.String())
			engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
			var got []string
			for name, r := range rules(t) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				query, err := engine.NewInstantQuery(ctx, storage, promql.NewPrometheusQueryOpts(false, 0), r.Expr, time.Unix(60*minutes, 0))
				if err != nil {
					t.Fatal(err)
				}
				result := query.Exec(ctx)
				if result.Err != nil {
					t.Fatalf("%s: %v", name, result.Err)
				}
				// Without "for", which is only about how long.
				if vector, err := result.Vector(); err != nil {
					t.Errorf("%s: %v", name, err)
				} else if len(vector) > 0 {
					got = append(got, name)
				}
				query.Close()
			}
			slices.Sort(got)
			if !slices.Equal(tt.want, got) {
				t.Errorf("want %v to fire, got %v", tt.want, got)
			}
		})
	}
}
