package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// Not parallel, as its subtests: the SDK reads the process's environment.
func TestNewTracing(t *testing.T) {
	const collector = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, tt := range []struct {
		name string
		env  []string
		on   bool
		err  string // names the variable
		log  string
	}{
		{"nothing is set", nil, false, "", ""},
		{"other variables than where to send to", []string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=always_on"}, false, "", ""},
		{"a collector", []string{collector}, true, "", ""},
		{"a collector of traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces"}, true, "", ""},
		{"disabled", []string{collector, "OTEL_SDK_DISABLED=TRUE"}, false, "", ""},
		{"not disabled", []string{collector, "OTEL_SDK_DISABLED=false"}, true, "", ""},
		{"no exporter", []string{collector, "OTEL_TRACES_EXPORTER=none"}, false, "", ""},
		{"no URL", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=canary:4318"}, false, "OTEL_EXPORTER_OTLP_ENDPOINT", ""},
		{"no pairs", []string{collector, "OTEL_RESOURCE_ATTRIBUTES=canary"}, false, "OTEL_RESOURCE_ATTRIBUTES", ""},
		{"gRPC", []string{collector, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, true, "", "OTLP over HTTP"},
		{"a header that cannot be read", []string{collector, "OTEL_EXPORTER_OTLP_HEADERS=canary"}, true, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, kv := range tt.env {
				name, value, _ := strings.Cut(kv, "=")
				t.Setenv(name, value)
			}
			var log bytes.Buffer
			traces, err := newTracing(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
			if traces != nil {
				if err := traces.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if tt.on != (traces != nil) {
				t.Errorf("want tracing on: %v, got %v", tt.on, traces != nil)
			}
			if (tt.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.err+" is malformed")) {
				t.Errorf("want an error about %q, got %v", tt.err, err)
			}
			if (tt.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.log) {
				t.Errorf("want %q logged, got %s", tt.log, &log)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("want no value in the error, got %v", err)
			}
		})
	}
}

func TestExportErrorsAreLoggedInShort(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	var log bytes.Buffer
	traces, err := newTracing(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = traces.Shutdown(context.WithoutCancel(t.Context())) }()
	otel.Handle(longError{})
	if !strings.Contains(log.String(), `"msg":"traces were not exported"`) || log.Len() > 1000 {
		t.Errorf("want one short line, got %d bytes: %.500s", log.Len(), log.String())
	}
}

type longError struct{}

func (longError) Error() string { return strings.Repeat("ä", 1<<20) }

func TestLogLinesNameTheirTrace(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	log := slog.New(traceLog{slog.NewTextHandler(&buf, nil)})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	for _, tt := range []struct {
		name string
		log  *slog.Logger
		ctx  context.Context //nolint:containedctx // what the line is logged with
		want string
	}{
		{"in a trace", log, trace.ContextWithSpanContext(t.Context(), span), " trace_id=01000000000000000000000000000000 span_id=0200000000000000\n"},
		{"by a derived logger", log.With(slog.Int("a", 1)), trace.ContextWithSpanContext(t.Context(), span), " a=1 trace_id=01000000000000000000000000000000 span_id=0200000000000000\n"},
		{"outside", log, t.Context(), " msg=line\n"},
	} {
		buf.Reset()
		tt.log.InfoContext(tt.ctx, "line")
		if !strings.HasSuffix(buf.String(), tt.want) {
			t.Errorf("%s: want a line that ends with %q, got %q", tt.name, tt.want, buf.String())
		}
	}
}
