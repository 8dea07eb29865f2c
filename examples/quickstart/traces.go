package main

import (
	"context"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// exportTraces sends spans to a collector, if the environment names one, and
// returns what sends the rest. Without one nothing is recorded, but a trace that
// comes with a request goes on to the warehouse.
func exportTraces(ctx context.Context) (shutdown func(context.Context) error, err error) {
	none := func(context.Context) error { return nil }
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return none, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return none, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("orders")), resource.WithFromEnv())
	if err != nil {
		return none, err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(about),
		// One in ten, and all that a caller has decided to record.
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1))),
	)
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}
