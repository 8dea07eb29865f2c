package trace

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/observe"
	tracing "github.com/handrail-go/handrail/observe/trace"
)

func TestATracedHandlerBehavesAsWithoutTheSpan(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	p := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	defer p.Shutdown(context.Background())
	tracer := must(tracing.New(tracing.WithTracerProvider(p), tracing.WithServerAddress("shop.example", 443), tracing.WithPublicEndpoint(),
		tracing.WithSamplerAttributes(), tracing.WithAttributes(func(r *http.Request) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.Int("headers", len(r.Header))}
		})))
	httptorture.Run(t, observe.Middleware(observe.WithSink(tracer)))
	if began, ended := len(spans.Started()), len(spans.Ended()); began != ended || began < 100 || tracer.Stats().Served != uint64(began) {
		t.Errorf("%d spans began and %d ended", began, ended)
	}
}
