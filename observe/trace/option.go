package trace

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Tracer]. A later option wins.
type Option func(*settings)

// settings are all that options can say. They are immutable once a Tracer uses
// them.
type settings struct {
	option.Faults
	name string

	provider    trace.TracerProvider
	propagators propagation.TextMapPropagator // nil is the default
	lambda      bool
	public      bool
	sampler     bool // it is to see the attributes

	filter     func(*http.Request) bool
	attributes func(*http.Request) []attribute.KeyValue
	client     func(*http.Request) string
	server     string
	port       int
	attempt    string
}

func (s *settings) apply(opts []Option) error {
	s.Package = "trace"
	option.Apply(&s.Faults, s, opts)
	if s.propagators == nil {
		s.propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, XRay{Lambda: s.lambda})
	} else if s.lambda {
		s.Fault("WithLambda", nil, "is for the propagators that there are without WithPropagators; give that one XRay{Lambda: true}")
	}
	if s.provider == nil {
		s.provider = otel.GetTracerProvider()
	}
	return s.Err()
}

// WithName names this instance in its metrics. At most 64 bytes; empty without
// this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithTracerProvider says who makes the spans, so what is sampled and where it
// is sent. Without this option it is that of [otel.GetTracerProvider], also one
// that [otel.SetTracerProvider] sets later.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(s *settings) {
		s.Given("WithTracerProvider", provider != nil, "a provider")
		s.provider = provider
	}
}

// WithPropagators says in which formats the context of a trace comes and goes.
// All of them write; of those that read, the last one that finds something wins,
// but for [XRay], which gives way to all before it. Without this option these are
// [propagation.TraceContext] and XRay. Baggage is not among them: it hands what a
// client says to everyone behind.
func WithPropagators(propagators ...propagation.TextMapPropagator) Option {
	return func(s *settings) {
		for i, p := range propagators {
			if p == nil {
				s.Fault("WithPropagators", i, "is nil")
			}
		}
		if len(propagators) == 1 {
			s.propagators = propagators[0]
			return
		}
		s.propagators = propagation.NewCompositeTextMapPropagator(propagators...)
	}
}

// WithLambda has requests go on with the trace of the AWS Lambda invocation that
// serves them, see [XRay]. A traceparent wins over it.
func WithLambda() Option { return func(s *settings) { s.lambda = true } }

// WithPublicEndpoint is for services that anyone can reach. A served request
// begins a trace of its own, and whether it is recorded is not the client's to
// say; what it named as its trace is linked. Of the rest that propagators find
// nothing is taken over.
func WithPublicEndpoint() Option { return func(s *settings) { s.public = true } }

// WithSamplerAttributes shows the attributes of a request to the sampler. Without
// this option they are set once it has decided to record, which makes a request
// cheaper, the more so one that is not recorded; the sampler sees the name, which
// is the method, and the caller's context.
func WithSamplerAttributes() Option { return func(s *settings) { s.sampler = true } }

// WithFilter says which requests have a span, served ones and those that are
// sent. For the others nothing is read from their header nor written to it. It
// has to be cheap.
func WithFilter(traced func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithFilter", traced != nil)
		s.filter = traced
	}
}

// WithAttributes adds attributes to the spans that are recorded, at their begin,
// up to 32. What a string of them has beyond 1024 bytes is cut, and one in a
// slice or map beyond 256. Of those 32 elements are taken, and three of them in
// each other. Mind what clients send: a query may hold secrets.
func WithAttributes(attributes func(*http.Request) []attribute.KeyValue) Option {
	return func(s *settings) {
		s.Func("WithAttributes", attributes != nil)
		s.attributes = attributes
	}
}

// WithClientAddress says who the client of a served request is, where that is
// not who opened the connection: behind a proxy, from a header that this proxy
// sets and clients cannot. Who did is network.peer.address then. Where it returns
// "", it is who opened the connection.
func WithClientAddress(address func(*http.Request) string) Option {
	return func(s *settings) {
		s.Func("WithClientAddress", address != nil)
		s.client = address
	}
}

// WithServerAddress is the name by which clients know this service, and its
// port, 1 to 65535, or 0 to leave that out. Without this option served requests
// have no server.address: their Host header is whatever the client wrote.
func WithServerAddress(address string, port int) Option {
	return func(s *settings) {
		if address == "" || len(address) > maxValue {
			s.Fault("WithServerAddress", address, fmt.Sprintf("must have 1 to %d bytes", maxValue))
		}
		s.Count("WithServerAddress", port, 0, 65535)
		s.server, s.port = address, port
	}
}

// WithAttemptHeader names the header in which package retry numbers its
// repetitions, under the same option. A request that a Transport sends again has
// that number as http.request.resend_count.
func WithAttemptHeader(header string) Option {
	return func(s *settings) { s.attempt = s.Header("WithAttemptHeader", header) }
}
