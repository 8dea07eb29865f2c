package trace_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/trace"
)

// What the sink costs beside the span itself: that of an SDK is measured in the
// module bench.
func BenchmarkTracer(b *testing.B) {
	sc := otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID{1}, SpanID: otel.SpanID{1}})
	for name, recording := range map[string]bool{"recorded": true, "not recorded": false} {
		b.Run(name, func(b *testing.B) {
			tr, err := trace.New(trace.WithTracerProvider(&idler{span: &idleSpan{sc: sc, recording: recording}}))
			if err != nil {
				b.Fatal(err)
			}
			h := observed(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), observe.Sink(tr))
			w, r := httptest.NewRecorder(), request("GET", "/orders/7", "User-Agent", "curl/8")
			r.Pattern = "GET /orders/{id}"
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkXRay(b *testing.B) {
	in := carry("Root=" + root + ";Parent=" + parent + ";Sampled=1")
	b.Run("Extract", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			trace.XRay{}.Extract(b.Context(), in)
		}
	})
	b.Run("Inject", func(b *testing.B) {
		ctx, out := trace.XRay{}.Extract(b.Context(), in), propagation.HeaderCarrier{}
		b.ReportAllocs()
		for b.Loop() {
			trace.XRay{}.Inject(ctx, out)
		}
	})
}
