package store

import (
	"context"
	"sync"

	driver "go.mongodb.org/mongo-driver/v2/event"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// commandSpans makes a span of each command to the database that is part of a trace; a ping for /readyz is part of none. A
// command's content is not in it: that is personal data.
type commandSpans struct {
	tracer trace.Tracer

	mu   sync.Mutex
	open map[commandID]trace.Span // the driver reports the end of each command, be it a failure
}

type commandID struct {
	connection string
	request    int64
}

func newCommandSpans(tracer trace.Tracer) *driver.CommandMonitor {
	s := &commandSpans{tracer: tracer, open: map[commandID]trace.Span{}}
	return &driver.CommandMonitor{
		Started: s.start,
		Succeeded: func(_ context.Context, e *driver.CommandSucceededEvent) {
			s.end(e.CommandFinishedEvent, codes.Unset)
		},
		Failed: func(_ context.Context, e *driver.CommandFailedEvent) { s.end(e.CommandFinishedEvent, codes.Error) },
	}
}

func (s *commandSpans) start(ctx context.Context, e *driver.CommandStartedEvent) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	name := e.CommandName
	attrs := []attribute.KeyValue{
		attribute.String("db.system.name", "mongodb"),
		attribute.String("db.namespace", e.DatabaseName),
		attribute.String("db.operation.name", e.CommandName),
	}
	if first, err := e.Command.IndexErr(0); err == nil { // {update: "users", …}
		if collection, ok := first.Value().StringValueOK(); ok {
			name += " " + collection
			attrs = append(attrs, attribute.String("db.collection.name", collection))
		}
	}
	_, span := s.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[commandID{e.ConnectionID, e.RequestID}] = span
}

// end closes a command's span. Why it failed is in the log: the server's text quotes documents.
func (s *commandSpans) end(e driver.CommandFinishedEvent, status codes.Code) {
	id := commandID{e.ConnectionID, e.RequestID}
	s.mu.Lock()
	span := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if span == nil {
		return
	}
	span.SetStatus(status, "")
	span.End()
}
