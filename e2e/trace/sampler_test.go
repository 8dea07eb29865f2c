package trace

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/observe"
	tracing "github.com/handrail-go/handrail/observe/trace"
)

const (
	root    = "Root=1-5759e988-bd862e3fe1be46a994272793"
	rootID  = "5759e988bd862e3fe1be46a994272793"
	spanID  = "53995c3f42cd8ad8"
	w3cID   = "0af7651916cd43dd8448eb211c80319c"
	w3cSpan = "b7ad6b7169203331"
	xray    = "X-Amzn-Trace-Id"
	w3c     = "Traceparent"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// provider keeps what it would export.
func provider(t testing.TB, sampler sdk.Sampler) (*sdk.TracerProvider, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	p := sdk.NewTracerProvider(sdk.WithSampler(sampler), sdk.WithSpanProcessor(spans))
	t.Cleanup(func() { p.Shutdown(context.Background()) })
	return p, spans
}

func traced(p trace.TracerProvider, h http.Handler, opts ...tracing.Option) http.Handler {
	t := must(tracing.New(append(opts, tracing.WithTracerProvider(p))...))
	return must(observe.New(observe.WithSink(t))).Wrap(h)
}

// How each form of a header is answered by the samplers that services have. no
// is what a sampler leaves out; the trace goes on all the same.
func TestEveryFormOfAHeaderIsSampledAsItsSenderMeantIt(t *testing.T) {
	all, none := sdk.ParentBased(sdk.AlwaysSample()), sdk.ParentBased(sdk.NeverSample())
	for name, tt := range map[string]struct {
		header        [2]string
		trace, parent string
		linked        bool
		// Whether it is recorded where the root sampler takes all, and where it
		// takes none.
		byAll, byNone bool
	}{
		"nothing":                    {[2]string{}, "", "", false, true, false},
		"W3C sampled":                {[2]string{w3c, "00-" + w3cID + "-" + w3cSpan + "-01"}, w3cID, w3cSpan, false, true, true},
		"W3C not sampled":            {[2]string{w3c, "00-" + w3cID + "-" + w3cSpan + "-00"}, w3cID, w3cSpan, false, false, false},
		"X-Ray sampled":              {[2]string{xray, root + ";Parent=" + spanID + ";Sampled=1"}, rootID, spanID, false, true, true},
		"X-Ray not sampled":          {[2]string{xray, root + ";Parent=" + spanID + ";Sampled=0"}, rootID, spanID, false, false, false},
		"X-Ray undecided":            {[2]string{xray, root + ";Parent=" + spanID + ";Sampled=?"}, rootID, "", true, true, false},
		"X-Ray without a decision":   {[2]string{xray, root + ";Parent=" + spanID}, rootID, "", true, true, false},
		"X-Ray root only":            {[2]string{xray, root}, rootID, "", false, true, false},
		"X-Ray Self and root":        {[2]string{xray, "Self=1-67891234-12456789abcdef012345678a;" + root}, rootID, "", false, true, false},
		"X-Ray root and sampled":     {[2]string{xray, root + ";Sampled=1"}, rootID, "", false, true, false},
		"X-Ray root and not sampled": {[2]string{xray, root + ";Sampled=0"}, rootID, rootID[16:], false, false, false},
		"X-Ray with spaces":          {[2]string{xray, root + "; Parent=" + spanID + "; Sampled=1"}, rootID, spanID, false, true, true},
		"X-Ray with Lineage":         {[2]string{xray, root + ";Parent=" + spanID + ";Sampled=1;Lineage=25:3d2d01e7:0"}, rootID, spanID, false, true, true},
		"X-Ray with an unknown word": {[2]string{xray, "verbose;" + root + ";Parent=" + spanID + ";Sampled=1"}, rootID, spanID, false, true, true},
		"X-Ray that is none":         {[2]string{xray, "Root=1-zzz"}, "", "", false, true, false},
	} {
		for sampler, recorded := range map[sdk.Sampler]bool{all: tt.byAll, none: tt.byNone} {
			t.Run(fmt.Sprintf("%s/%.26s", name, sampler.Description()), func(t *testing.T) {
				p, spans := provider(t, sampler)
				var inside trace.SpanContext
				h := traced(p, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = trace.SpanContextFromContext(r.Context()) }))
				r := httptest.NewRequest("GET", "/", nil)
				if tt.header[0] != "" {
					r.Header.Set(tt.header[0], tt.header[1])
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
				if !inside.IsValid() || tt.trace != "" && inside.TraceID().String() != tt.trace || inside.IsSampled() != recorded {
					t.Errorf("the handler is in trace %v, sampled %v", inside.TraceID(), inside.IsSampled())
				}
				ended := spans.Ended()
				if len(ended) != len(spans.Started()) || (len(ended) == 1) != recorded {
					t.Fatalf("%d spans began and %d ended", len(spans.Started()), len(ended))
				}
				if !recorded {
					return
				}
				s := ended[0]
				got := s.Parent().SpanID()
				if got.IsValid() != (tt.parent != "") || tt.parent != "" && got.String() != tt.parent {
					t.Errorf("the parent is %v", got)
				}
				if links := s.Links(); (len(links) == 1) != tt.linked || tt.linked && links[0].SpanContext.SpanID().String() != spanID {
					t.Errorf("the links are %v", links)
				}
			})
		}
	}
}

// The trace's id decides, and not who is asked first: two services with the same
// ratio keep the same traces.
func TestARatioKeepsWholeTraces(t *testing.T) {
	ratio := sdk.ParentBased(sdk.TraceIDRatioBased(.25))
	front, fronts := provider(t, ratio)
	behind, behinds := provider(t, ratio)
	const n = 400
	var kept int
	for i := range n {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(xray, fmt.Sprintf("Root=1-5759e988-%08x%08x%08x", i, uint32(i)*2654435761, i))
		var sent http.Header
		client := must(tracing.New(tracing.WithTracerProvider(front))).Transport(roundTrip(func(out *http.Request) (*http.Response, error) {
			sent = out.Header
			return nil, io.EOF
		}))
		traced(front, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			client.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil).WithContext(r.Context()))
		})).ServeHTTP(httptest.NewRecorder(), r)
		next := httptest.NewRequest("GET", "/", nil)
		next.Header = sent
		traced(behind, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), next)
		// One that only a load balancer stands before decides the same.
		alone, alones := provider(t, ratio)
		traced(alone, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		if len(fronts.Ended()) == 0 != (len(behinds.Ended()) == 0) || len(behinds.Ended()) != len(alones.Ended()) {
			t.Fatalf("trace %d: %d spans in front, %d behind, %d alone", i, len(fronts.Ended()), len(behinds.Ended()), len(alones.Ended()))
		}
		kept += len(behinds.Ended())
		fronts.Reset()
		behinds.Reset()
	}
	if kept < n/8 || kept > n/2 {
		t.Errorf("of %d traces %d are kept", n, kept)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAPublicEndpointIsSampledByItsOwnSampler(t *testing.T) {
	for _, sampled := range []string{"00", "01"} {
		p, spans := provider(t, sdk.ParentBased(sdk.AlwaysSample()))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(w3c, "00-"+w3cID+"-"+w3cSpan+"-"+sampled)
		r.Header.Set("Tracestate", "vendor=secret")
		traced(p, http.NotFoundHandler(), tracing.WithPublicEndpoint()).ServeHTTP(httptest.NewRecorder(), r)
		all := spans.Ended()
		if len(all) != 1 {
			t.Fatalf("flags %s: %d spans", sampled, len(all))
		}
		s := all[0]
		if s.SpanContext().TraceID().String() == w3cID || s.Parent().IsValid() || s.SpanContext().TraceState().Len() != 0 {
			t.Errorf("flags %s: trace %v, parent %v", sampled, s.SpanContext().TraceID(), s.Parent())
		}
		if l := s.Links(); len(l) != 1 || l[0].SpanContext.TraceID().String() != w3cID || l[0].SpanContext.SpanID().String() != w3cSpan {
			t.Errorf("flags %s: links %v", sampled, l)
		}
	}
}

// A sampler that goes by the path needs to see it.
func TestASamplerMayGoByTheAttributes(t *testing.T) {
	p, spans := provider(t, byPath("/healthz"))
	h := traced(p, http.NotFoundHandler(), tracing.WithSamplerAttributes())
	for _, path := range []string{"/healthz", "/orders"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	if all := spans.Ended(); len(all) != 1 {
		t.Errorf("%d spans", len(all))
	}
}

type byPath string

func (b byPath) Description() string { return "byPath" }
func (b byPath) ShouldSample(p sdk.SamplingParameters) (r sdk.SamplingResult) {
	r.Decision = sdk.RecordAndSample
	for _, kv := range p.Attributes {
		if kv.Key == "url.path" && strings.HasPrefix(kv.Value.AsString(), string(b)) {
			r.Decision = sdk.Drop
		}
	}
	return r
}
