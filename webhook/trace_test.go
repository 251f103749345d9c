package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/webhook"
)

// attributes are a span's as text.
func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func TestVerifiedWebhooksHaveASpan(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var inside trace.SpanContext
	b := setup(t, webhook.Options{Tracer: provider.Tracer("")}, func(ctx context.Context, e clerk.Event) error {
		inside = trace.SpanContextFromContext(ctx)
		if e.ID == "msg_away" {
			return errors.New("canary")
		}
		return nil
	})
	body := `{"type":"user.created","data":{"id":"user_1","first_name":"canary"}}`
	parent := signed("msg_1", body)
	parent.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	type span = map[string]string
	for _, tt := range []struct {
		name   string
		header http.Header
		body   string
		want   span // nil: none
	}{
		{"accepted, whatever trace the sender is in", parent, body, span{
			"event_id": "msg_1", "event": "clerk/user.created", "outcome": "accepted", "http.response.status_code": "200", "status": "Unset",
		}},
		{"not handed over", signed("msg_away", body), body, span{
			"event_id": "msg_away", "event": "clerk/user.created", "outcome": "not_handed_over", "http.response.status_code": "503", "status": "Error",
		}},
		{"malformed", signed("msg_1", "{}"), "{}", span{
			"event_id": "msg_1", "event": "", "outcome": "malformed", "http.response.status_code": "400", "status": "Unset",
		}},
		{"not signed", http.Header{}, body, nil},
		{"signed by a stranger", headers("svix-", foreign, "msg_1", body), body, nil},
	} {
		spans.Reset()
		b.call(t, tt.header, tt.body)
		ended := spans.Ended()
		if tt.want == nil {
			if len(spans.Started()) > 0 {
				t.Errorf("%s: want no span, got %d", tt.name, len(spans.Started()))
			}
			continue
		}
		if len(ended) != 1 {
			t.Fatalf("%s: want a span, got %d", tt.name, len(ended))
		}
		got := attributes(ended[0])
		got["status"] = ended[0].Status().Code.String()
		tt.want["http.request.method"], tt.want["http.route"] = "POST", path
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: span (-want +got)\n%s", tt.name, d)
		}
		if want, got := trace.TraceID(clerk.TraceID(tt.want["event_id"])), ended[0].SpanContext().TraceID(); want != got {
			t.Errorf("%s: want trace %s, got %s", tt.name, want, got)
		}
		if ended[0].Parent().SpanID().IsValid() {
			t.Errorf("%s: want the span at the trace's root, it has a parent", tt.name)
		}
		if tt.want["outcome"] == "accepted" && !inside.Equal(ended[0].SpanContext()) {
			t.Errorf("want the hand-over inside the span, got %v", inside)
		}
		if text := fmt.Sprintf("%+v", tracetest.SpanStubsFromReadOnlySpans(ended)); strings.Contains(text, "canary") {
			t.Errorf("%s: want no payload and no error text in the span, got %s", tt.name, text)
		}
	}
}

// slow is a body that takes a second to come.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	<-time.After(time.Second)
	return s.Reader.Read(p)
}

func TestSpanLastsFromTheRequestOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		b := setup(t, webhook.Options{Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("")}, nil)
		body := envelope("user_1")
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, slow{strings.NewReader(body)})
		req.Header = signed("msg_1", body)
		begin := time.Now()
		b.handler.ServeHTTP(httptest.NewRecorder(), req)
		took := time.Since(begin)
		if len(spans.Ended()) != 1 || took == 0 {
			t.Fatalf("want a span after some time, got %d after %v", len(spans.Ended()), took)
		}
		if s := spans.Ended()[0]; !s.StartTime().Equal(begin) || s.EndTime().Sub(begin) != took {
			t.Errorf("want the span from the request's start to its end %v later, got %v to %v", took, s.StartTime().Sub(begin), s.EndTime().Sub(begin))
		}
	})
}
