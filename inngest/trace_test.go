package inngest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

func TestRunsHaveASpan(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	var inside trace.SpanContext
	var fail error
	f := newFunctions(t, fakeUsers{
		apply: func(ctx context.Context, _ clerk.Change) (clerk.Outcome, error) {
			inside = trace.SpanContextFromContext(ctx)
			return clerk.Updated, fail
		},
		close: func(context.Context, string) error { return nil },
		keep: func(ctx context.Context, _ clerk.DeadLetter) error {
			inside = trace.SpanContextFromContext(ctx)
			return nil
		},
	}, Options{Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("")})
	event := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"name":"clerk/user.updated","ts":5,"data":{"id":"user_canary","first_name":"canary"}}`, id)
	}
	letter := `{"id":"evt_9","name":"inngest/function.failed","ts":5,"data":{"function_id":"glowup-app-update-user-from-clerk","run_id":"run_1",` +
		`"error":{"message":"no"},"event":` + event("msg_1") + `}}`
	for _, tt := range []struct {
		name, function, event string
		fail                  error
		trace                 string // of the event with that id
		want                  map[string]string
	}{
		{
			"a run", UpdateUser, event("msg_1"), nil, "msg_1",
			map[string]string{"function": UpdateUser, "event_id": "msg_1", "event": "clerk/user.updated", "run_id": "run_1", "attempt": "2", "outcome": "updated", "status": "Unset"},
		},
		{
			"a run that fails", UpdateUser, event("msg_1"), errors.New("canary"), "msg_1",
			map[string]string{"function": UpdateUser, "event_id": "msg_1", "event": "clerk/user.updated", "run_id": "run_1", "attempt": "2", "outcome": "error", "status": "Error"},
		},
		{
			"a replay joins its event's trace", UpdateUser, event("msg_1~replay-1"), nil, "msg_1",
			map[string]string{"function": UpdateUser, "event_id": "msg_1~replay-1", "event": "clerk/user.updated", "run_id": "run_1", "attempt": "2", "outcome": "updated", "status": "Unset"},
		},
		{
			"so does its dead letter", KeepDeadLetters, letter, nil, "msg_1",
			map[string]string{"function": KeepDeadLetters, "event_id": "msg_1", "status": "Unset"},
		},
	} {
		spans.Reset()
		inside, fail = trace.SpanContext{}, tt.fail
		invoke(t, f, tt.function, tt.event, nil)
		ended := spans.Ended()
		if len(ended) != 1 {
			t.Fatalf("%s: want a span, got %d", tt.name, len(ended))
		}
		got := map[string]string{"status": ended[0].Status().Code.String()}
		for _, a := range ended[0].Attributes() {
			got[string(a.Key)] = a.Value.String()
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: span (-want +got)\n%s", tt.name, d)
		}
		if want, got := trace.TraceID(clerk.TraceID(tt.trace)), ended[0].SpanContext().TraceID(); want != got {
			t.Errorf("%s: want trace %s, got %s", tt.name, want, got)
		}
		if !inside.Equal(ended[0].SpanContext()) {
			t.Errorf("%s: want the store called inside the span, got %v", tt.name, inside)
		}
		if strings.Contains(fmt.Sprintf("%+v", tracetest.SpanStubsFromReadOnlySpans(ended)), "canary") {
			t.Errorf("%s: want no payload, no user and no error's text in the span", tt.name)
		}
	}
}
