package trace_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/trace"
)

// idler makes one span for all, so that what it costs is not counted.
type idler struct {
	embedded.TracerProvider
	span *idleSpan
}

type idleTracer struct {
	embedded.Tracer
	span *idleSpan
}

type idleSpan struct {
	otel.Span
	sc        otel.SpanContext
	recording bool
}

func (p *idler) Tracer(string, ...otel.TracerOption) otel.Tracer {
	return &idleTracer{span: p.span}
}

func (t *idleTracer) Start(ctx context.Context, _ string, _ ...otel.SpanStartOption) (context.Context, otel.Span) {
	return ctx, t.span
}

func (s *idleSpan) SpanContext() otel.SpanContext       { return s.sc }
func (s *idleSpan) IsRecording() bool                   { return s.recording }
func (s *idleSpan) SetAttributes(...attribute.KeyValue) {}
func (s *idleSpan) SetName(string)                      {}
func (s *idleSpan) End(...otel.SpanEndOption)           {}

func TestARequestAllocatesLittleBesideItsSpan(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	sc := otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID{1}, SpanID: otel.SpanID{1}})
	for name, tt := range map[string]struct {
		recording bool
		header    []string
		opts      []trace.Option
		want      float64
	}{
		"not recorded": {false, nil, nil, 1}, // the context
		"recorded":     {true, nil, nil, 2},  // and the attributes
		"W3C":          {true, []string{"Traceparent", w3c}, nil, 4},
		"X-Ray":        {true, []string{header, "Root=" + root + ";Parent=" + parent + ";Sampled=1"}, nil, 4},
		"filtered":     {true, nil, []trace.Option{trace.WithFilter(func(*http.Request) bool { return false })}, 0},
		"an address":   {true, nil, []trace.Option{trace.WithServerAddress("a", 80)}, 2},
	} {
		p := &idler{span: &idleSpan{sc: sc, recording: tt.recording}}
		tr, err := trace.New(append(tt.opts, trace.WithTracerProvider(p))...)
		if err != nil {
			t.Fatal(err)
		}
		r := request("GET", "/orders/7", append(tt.header, "User-Agent", "curl/8")...)
		r.Pattern = "GET /orders/{id}"
		x := new(observe.Exchange)
		if got := testing.AllocsPerRun(200, func() {
			*x = observe.Exchange{Request: r, Method: "GET", Scheme: "http"}
			x.SetContext(r.Context())
			tr.Start(x)
			x.Status, x.Route = 200, "/orders/{id}"
			tr.Observe(x)
		}); got > tt.want {
			t.Errorf("%s: %v allocations, want at most %v", name, got, tt.want)
		}
	}
}

func TestReadingAHeaderWithoutATraceAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	for name, h := range map[string]string{
		"none":  "",
		"bad":   "Root=1-zzz;Parent=;Sampled=;a=b",
		"long":  string(make([]byte, 1<<20)),
		"parts": "a=b;;;=;,;c,d=e",
	} {
		c := carry(h)
		var of propagation.TextMapCarrier = c
		if got := testing.AllocsPerRun(200, func() { trace.XRay{}.Extract(t.Context(), of) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
