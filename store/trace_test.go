package store

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

// traced is a store that leaves its spans here.
func traced(t *testing.T) (*Store, *tracetest.SpanRecorder, trace.Tracer) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("")
	s, err := New(serverURI, setup(t).users.Database().Name(), "users", Options{Tracer: tracer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s, spans, tracer
}

func TestCommandsHaveASpan(t *testing.T) {
	t.Parallel()
	s, spans, tracer := traced(t)
	if err := s.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Started()); n > 0 {
		t.Errorf("want no span outside of a trace, got %d", n)
	}
	ctx, run := tracer.Start(t.Context(), "run")
	c := clerk.Change{UserID: "user_canary", FirstName: clerk.Some("canary"), Email: clerk.Some("canary@example.com"), Version: v(1, "canary")}
	if _, err := s.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	ended := spans.Ended()
	want := map[string]string{
		"db.system.name": "mongodb", "db.namespace": s.users.Database().Name(), "db.operation.name": "insert", "db.collection.name": "users",
	}
	var names []string
	for _, span := range ended {
		names = append(names, span.Name())
		if run.SpanContext().SpanID() != span.Parent().SpanID() {
			t.Errorf("%s: want it inside the run, it is not", span.Name())
		}
		if span.Name() != "insert users" {
			continue
		}
		got := map[string]string{}
		for _, a := range span.Attributes() {
			got[string(a.Key)] = a.Value.String()
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("span of the write (-want +got)\n%s", d)
		}
		if span.SpanKind() != trace.SpanKindClient {
			t.Errorf("want the kind of a client, got %v", span.SpanKind())
		}
	}
	if !strings.Contains(strings.Join(names, ", "), "insert users") {
		t.Errorf("want the write among the spans, got %q", names)
	}
	if text := fmt.Sprintf("%+v", tracetest.SpanStubsFromReadOnlySpans(ended)); strings.Contains(text, "canary") {
		t.Errorf("want nothing of the command in the spans, got %s", text)
	}
}

func TestCommandThatFailsHasASpan(t *testing.T) {
	t.Parallel()
	s, spans, tracer := traced(t)
	ctx, _ := tracer.Start(t.Context(), "run")
	// No server knows this command, and its text comes back in the error.
	if err := s.users.Database().RunCommand(ctx, bson.D{{Key: "canary", Value: "canary"}}).Err(); err == nil || !strings.Contains(err.Error(), "canary") {
		t.Fatalf("want an error that names the command, got %v", err)
	}
	ended := spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("want a span, got %d", len(ended))
	}
	if want, got := "Error", ended[0].Status().Code.String(); want != got || ended[0].Status().Description != "" {
		t.Errorf("want status %s without the server's text, got %+v", want, ended[0].Status())
	}
}

func TestCommandsOfATraceThatIsNotSampled(t *testing.T) {
	t.Parallel()
	s, spans, _ := traced(t)
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("")
	ctx, _ := never.Start(t.Context(), "run")
	if _, err := s.Apply(ctx, clerk.Change{UserID: "user_1", Version: v(1, "msg_1")}); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Started()); n > 0 {
		t.Errorf("want no span, got %d", n)
	}
}
