package trace_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/trace"
)

// A service that is traced, and goes on with the trace in what it sends. The
// provider is the SDK's; here it is one that keeps the spans.
func Example() {
	provider := &recording{}
	tracer, err := trace.New(trace.WithTracerProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	o, err := observe.New(observe.WithSink(tracer))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: tracer.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		fmt.Println("sent with", r.Header.Get("traceparent")[:35])
		return nil, errors.New("nobody there")
	}))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		out, _ := http.NewRequestWithContext(r.Context(), "GET", "http://stock.example/", nil)
		if _, err := client.Do(out); err != nil {
			w.WriteHeader(http.StatusBadGateway)
		}
	})

	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	o.Wrap(mux).ServeHTTP(httptest.NewRecorder(), r)
	for _, s := range provider.spans {
		fmt.Println(s.name, s.status, s.sc.TraceID())
	}
	// Output:
	// sent with 00-0af7651916cd43dd8448eb211c80319c
	// GET /orders/{id} Error 0af7651916cd43dd8448eb211c80319c
	// GET Error 0af7651916cd43dd8448eb211c80319c
}

// Behind an AWS load balancer, which names a trace and no parent.
func ExampleXRay() {
	provider := &recording{}
	tracer, err := trace.New(trace.WithTracerProvider(provider), trace.WithPropagators(trace.XRay{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")
	observe.Middleware(observe.WithSink(tracer))(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	fmt.Println(provider.spans[0].sc.TraceID(), provider.spans[0].parent.HasSpanID())
	// Output: 5759e988bd862e3fe1be46a994272793 false
}

// Anyone can reach this service: whose trace it is, and whether it is recorded,
// is not theirs to say.
func ExampleWithPublicEndpoint() {
	provider := &recording{}
	tracer, err := trace.New(trace.WithTracerProvider(provider), trace.WithPublicEndpoint())
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	observe.Middleware(observe.WithSink(tracer))(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	s := provider.spans[0]
	fmt.Println(s.parent.IsValid(), s.links[0].SpanContext.TraceID())
	// Output: false 0af7651916cd43dd8448eb211c80319c
}

// Probes have no span, and the others tell whose they are.
func ExampleWithAttributes() {
	provider := &recording{}
	tracer, err := trace.New(
		trace.WithTracerProvider(provider),
		trace.WithServerAddress("shop.example", 443),
		trace.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }),
		trace.WithAttributes(func(r *http.Request) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("tenant", r.Header.Get("X-Tenant"))} // set by your gateway
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := observe.Middleware(observe.WithSink(tracer))(http.NotFoundHandler())
	for _, path := range []string{"/healthz", "/orders"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Tenant", "acme")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, s := range provider.spans {
		fmt.Println(s.get("url.path"), s.get("tenant"), s.get("server.address"))
	}
	// Output: /orders acme shop.example
}

// Baggage is handed on only where it is asked for: whoever can send requests
// chooses what it says.
func ExampleWithPropagators() {
	_, err := trace.New(trace.WithPropagators(propagation.TraceContext{}, propagation.Baggage{}, trace.XRay{Lambda: true}))
	fmt.Println(err)
	// Output: <nil>
}
