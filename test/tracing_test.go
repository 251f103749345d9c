package test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/glowup-app/clerksync/clerk"
)

// collectorStandIn takes traces as an OpenTelemetry collector does:
// https://opentelemetry.io/docs/specs/otlp/#otlphttp-request.
type collectorStandIn struct {
	url string

	mu       sync.Mutex
	requests int
	services map[string]bool
	spans    map[string][]*otlp.Span // by trace id
	text     strings.Builder         // of all that came
}

func newCollector(t *testing.T) *collectorStandIn {
	t.Helper()
	c := &collectorStandIn{services: map[string]bool{}, spans: map[string][]*otlp.Span{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("want an export of traces, got %s %s of %q, error %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests++
		c.text.WriteString(export.String())
		for _, of := range export.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					c.services[a.GetValue().GetStringValue()] = true
				}
			}
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					id := hex.EncodeToString(span.GetTraceId())
					c.spans[id] = append(c.spans[id], span)
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// stopApp ends clerksync, which exports its last spans before that.
func (w *world) stopApp() {
	w.t.Helper()
	w.app.signal(syscall.SIGTERM)
	if want, got := 0, w.app.wait(); want != got {
		w.t.Fatalf("exit code: want %d, got %d:\n%s", want, got, w.app.output())
	}
}

func traceID(event string) string {
	id := clerk.TraceID(event)
	return hex.EncodeToString(id[:])
}

func TestTraceFromWebhookToDatabase(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	// The delay is longer than the test: what arrives was exported by the stop.
	w := newWorld(t, with("LOG_LEVEL=debug", "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_SERVICE_NAME=sync-of-users", "OTEL_BSP_SCHEDULE_DELAY=600000"))
	canary := func() map[string]any {
		u := user(newID("user"), 10)
		u["first_name"], u["email_addresses"] = "Canary", emails(newID("canary")+"@example.com")
		return u
	}
	events := make([]string, 8)
	var senders sync.WaitGroup
	for i := range events { // together, so that some share a request to Inngest
		senders.Go(func() { events[i] = w.send("user.created", canary()) })
	}
	senders.Wait()
	for _, event := range events {
		if want, got := "created", w.outcome(event); want != got {
			t.Fatalf("outcome: want %q, got %q", want, got)
		}
		for _, msg := range []string{"webhook handed over", "function finished"} {
			l := w.app.find(func(l line) bool { return l.str("msg") == msg && l.str("event_id") == event })
			if l == nil || l.str("trace_id") != traceID(event) || len(l.str("span_id")) != 16 {
				t.Errorf("want trace %s and a span in the line %q, got %v", traceID(event), msg, l)
			}
		}
	}
	w.stopApp()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, event := range events {
		var webhook, run, write *otlp.Span
		for _, s := range c.spans[traceID(event)] {
			switch {
			case s.GetName() == "POST /api/webhooks/clerk":
				webhook = s
			case s.GetName() == "sync-user-from-clerk":
				run = s
			case s.GetName() == "insert users":
				write = s
			}
		}
		if webhook == nil || run == nil || write == nil {
			t.Fatalf("want a trace with the webhook, the run and the write, got %v", c.spans[traceID(event)])
		}
		if len(webhook.GetParentSpanId()) > 0 || len(run.GetParentSpanId()) > 0 {
			t.Error("want the webhook and the run at the trace's root: a parent that nobody has sent is a broken trace")
		}
		if want, got := fmt.Sprintf("%x", run.GetSpanId()), fmt.Sprintf("%x", write.GetParentSpanId()); want != got {
			t.Errorf("want the write inside the run %s, its parent is %s", want, got)
		}
		if webhook.GetStartTimeUnixNano() > run.GetStartTimeUnixNano() || run.GetEndTimeUnixNano() < write.GetEndTimeUnixNano() {
			t.Error("want the webhook before the run, and the write within it")
		}
	}
	if !c.services["sync-of-users"] || len(c.services) != 1 {
		t.Errorf("want OTEL_SERVICE_NAME's service, got %v", c.services)
	}
	if text := strings.ToLower(c.text.String()); strings.Contains(text, "canary") || strings.Contains(text, secret) {
		t.Error("want no personal data and no secret in the traces")
	}
}

func TestNoTraceUnlessAskedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  func(url string) []string
		ids  bool // in the log
	}{
		{"nothing is set", func(string) []string { return nil }, false},
		{"disabled", func(url string) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_SDK_DISABLED=true"}
		}, false},
		{"sampled by none", func(url string) []string {
			return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_TRACES_SAMPLER=always_off"}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t)
			w := newWorld(t, withoutInngest, with(tt.env(c.url)...))
			h := webhook{id: newID("msg"), typ: "user.created", data: user(newID("user"), 10)}
			if want, got := 503, w.post(h).status; want != got { // Inngest is not there; it is a webhook all the same
				t.Fatalf("want %d, got %d", want, got)
			}
			w.stopApp()
			l := w.app.find(func(l line) bool { return l.str("event_id") == h.id })
			if l == nil || tt.ids != (l.str("trace_id") != "") {
				t.Errorf("want a trace in the log: %v, got %v", tt.ids, l)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.requests > 0 {
				t.Errorf("want nothing exported, got %s", c.text.String())
			}
		})
	}
}

// The collector being away, or wrongly configured, costs traces and nothing else.
func TestTracesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:"+freePort(t), "OTEL_BSP_SCHEDULE_DELAY=10",
		"OTEL_EXPORTER_OTLP_HEADERS=canary,authorization=%zzcanary"))
	w.do("created", "user.created", user(newID("user"), 10))
	w.stopApp()
	if strings.Contains(w.app.output(), "canary") {
		t.Errorf("want no value of a header in the output, got\n%s", w.app.output())
	}
	if w.app.find(func(l line) bool { return strings.Contains(l.str("msg"), "not exported") }) == nil {
		t.Errorf("want a line about the traces that were lost, got\n%s", w.app.output())
	}
}
