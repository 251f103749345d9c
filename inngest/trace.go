package inngest

import (
	"context"

	"github.com/inngest/inngestgo"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/glowup-app/clerksync/clerk"
)

// startSpan begins the span of a run in the trace of the event with that id, or in one of its own where the event has none.
func (f *Functions) startSpan(ctx context.Context, function, eventID string) (context.Context, trace.Span) {
	if f.o.Tracer == nil {
		return ctx, trace.SpanFromContext(ctx)
	}
	var parent trace.SpanContextConfig
	if eventID != "" {
		// A parent with no span: the SDK takes the trace's id from it, and samples as it does at a trace's root.
		parent.TraceID = clerk.TraceID(eventID)
	}
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(parent))
	return f.o.Tracer.Start(ctx, function, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String(clerk.KeyFunction, function), attribute.String(clerk.KeyEventID, eventID)))
}

// describe says on a run's span what its log line says, but for what names the user: the id, and an error's text.
func describe(span trace.Span, in inngestgo.Input[userData], outcome string, err error) {
	span.SetAttributes(
		attribute.String(clerk.KeyEvent, in.Event.Name),
		attribute.String(clerk.KeyRunID, in.InputCtx.RunID),
		attribute.Int(clerk.KeyAttempt, in.InputCtx.Attempt),
		attribute.String(clerk.KeyOutcome, outcome),
	)
	if err != nil {
		span.SetStatus(codes.Error, outcome)
	}
}
