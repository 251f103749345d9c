package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/config"
)

// The variables that switch tracing on; either will do. They and the other OTEL_* variables are OpenTelemetry's, which its SDK
// reads from the process's environment by itself: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
const (
	otelEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otelTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// newTracing sends spans where the environment says. Where it says nothing it returns nil, and nothing is traced. It does not
// connect: the collector may be away, then spans are dropped.
func newTracing(ctx context.Context, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	if !tracingWanted() {
		return nil, nil
	}
	for _, name := range []string{otelEndpoint, otelTracesEndpoint} {
		// The SDK would only log it, and send to localhost.
		if v := os.Getenv(name); v != "" && !isHTTP(v) {
			return nil, malformed(name, "the URL of an OTLP/HTTP collector, such as http://localhost:4318")
		}
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if os.Getenv(name) == "grpc" {
			log.LogAttrs(ctx, slog.LevelWarn, "traces are sent by OTLP over HTTP, not by gRPC: the collector's port for that is usually 4318")
		}
	}
	// Its own log quotes what it cannot read, such as a header that holds a key.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.LogAttrs(ctx, slog.LevelWarn, "traces were not exported", slog.String(clerk.KeyError, exportError(err)))
	}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make trace exporter: %w", err)
	}
	b := readBuild()
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "clerksync"), attribute.String("service.version", b.version)),
		resource.WithFromEnv()) // last, so that it wins
	if err != nil {
		return nil, malformed("OTEL_RESOURCE_ATTRIBUTES", "pairs of key and value, such as deployment.environment.name=production,team=accounts")
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res)), nil
}

func tracingWanted() bool {
	return (os.Getenv(otelEndpoint) != "" || os.Getenv(otelTracesEndpoint) != "") &&
		!strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

func malformed(variable, want string) error {
	return &config.Error{Faults: []config.Fault{{Variable: variable, Want: want}}}
}

func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// exportError is what is logged of an error: it may quote a collector's whole answer.
func exportError(err error) string {
	const most = 300
	text := err.Error()
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
