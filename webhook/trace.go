package webhook

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

// startSpan begins the span of a verified webhook, as of when its request came. What is not verified has none: anyone could
// fill the traces with it, or write into an event's. For the same reason a caller's own traceparent is not taken over.
func (h *Handler) startSpan(c echo.Context, id string, start time.Time) {
	if h.o.Tracer == nil {
		return
	}
	r := c.Request()
	// A parent with no span: the SDK takes the trace's id from it, and samples as it does at a trace's root.
	ctx := trace.ContextWithSpanContext(r.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: clerk.TraceID(id)}))
	ctx, _ = h.o.Tracer.Start(ctx, r.Method+" "+c.Path(), trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", c.Path())))
	c.SetRequest(r.WithContext(ctx))
}

// endSpan says what became of the webhook. It does nothing where startSpan did nothing.
func (h *Handler) endSpan(c echo.Context, d delivery) {
	if h.o.Tracer == nil {
		return
	}
	span := trace.SpanFromContext(c.Request().Context())
	outcome, status := accepted, http.StatusOK
	if d.refused != nil {
		outcome, status = d.refused.outcome, d.refused.status
	}
	span.SetAttributes(attribute.String(clerk.KeyEventID, d.id), attribute.String(clerk.KeyEvent, d.event.Name),
		attribute.String(clerk.KeyOutcome, outcome), attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, outcome)
	}
	span.End()
}
