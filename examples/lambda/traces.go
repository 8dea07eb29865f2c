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

// traces sends spans, if there is anybody to send them to.
type traces struct{ provider *sdktrace.TracerProvider }

func newTraces(ctx context.Context) (*traces, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return &traces{}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return &traces{}, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(name()), semconv.FaaSName(name())), resource.WithFromEnv())
	if err != nil {
		return &traces{}, err
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(about),
		// What X-Ray has decided to record, and one in ten of the rest.
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1))),
	)
	otel.SetTracerProvider(provider)
	return &traces{provider}, nil
}

// flush sends the spans there are. That it cannot is no reason to fail a request:
// the SDK tells its error handler.
func (t *traces) flush(ctx context.Context) {
	if t.provider != nil {
		if err := t.provider.ForceFlush(ctx); err != nil {
			otel.Handle(err)
		}
	}
}

func (t *traces) close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
