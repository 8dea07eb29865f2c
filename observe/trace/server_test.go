package trace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/trace"
)

const w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func observed(t testing.TB, h http.Handler, sinks ...observe.Sink) http.Handler {
	t.Helper()
	o, err := observe.New(observe.WithSink(sinks...))
	if err != nil {
		t.Fatal(err)
	}
	return o.Wrap(h)
}

func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// serve has h serve r, and returns what it panicked with.
func serve(h http.Handler, r *http.Request) (w *httptest.ResponseRecorder, value any) {
	w = httptest.NewRecorder()
	defer func() { value = recover() }()
	h.ServeHTTP(w, r)
	return w, nil
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestASpanTellsOfARequestByTheConventions(t *testing.T) {
	p := &recording{}
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", answer(204))
	h := observed(t, mux, newTracer(t, p, trace.WithServerAddress("shop.example", 8443)))
	r := request("GET", "/orders/7?token=secret", "User-Agent", "curl/8")
	r.Host = "forged.example"
	serve(h, r)
	s := p.one(t)
	if s.name != "GET /orders/{id}" || s.kind != otel.SpanKindServer || s.status != codes.Unset || s.parent.IsValid() || p.scope != "github.com/handrail-go/handrail/observe/trace" {
		t.Errorf("name %q, kind %v, status %v, parent %v, scope %q", s.name, s.kind, s.status, s.parent, p.scope)
	}
	want := map[string]string{
		"http.request.method": "GET", "url.path": "/orders/7", "url.scheme": "http", "http.route": "/orders/{id}",
		"http.response.status_code": "204", "client.address": "192.0.2.1", "user_agent.original": "curl/8", "network.protocol.version": "1.1",
		"server.address": "shop.example", "server.port": "8443",
	}
	got := s.all()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok || strings.Contains(v, "secret") || strings.Contains(v, "forged") {
			t.Errorf("there is %s = %q", k, v)
		}
	}
	if len(s.atStart) != 0 {
		t.Errorf("the sampler was shown %v", s.atStart)
	}
}

func TestTheNameIsTheMethodAndTheRouteNeverThePath(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /a/{id}", answer(200))
	mux.Handle("/b/{id}", answer(200))
	mux.Handle("GET example.com/c", answer(200))
	for _, tt := range []struct{ method, target, name, attr, original string }{
		{"GET", "/a/1", "GET /a/{id}", "GET", ""},
		{"HEAD", "/a/1", "HEAD /a/{id}", "HEAD", ""},
		{"POST", "/b/1", "POST /b/{id}", "POST", ""},
		{"GET", "http://example.com/c", "GET example.com/c", "GET", ""},
		{"GET", "/nowhere", "GET", "GET", ""},
		{"POST", "/a/1", "POST", "POST", ""}, // 405
		{"BREW", "/b/1", "HTTP /b/{id}", "_OTHER", "BREW"},
		{"get", "/nowhere", "HTTP", "_OTHER", "get"},
		{strings.Repeat("X", 5000), "/nowhere", "HTTP", "_OTHER", strings.Repeat("X", 32)},
	} {
		p := &recording{}
		serve(observed(t, mux, newTracer(t, p)), request(tt.method, tt.target))
		s := p.one(t)
		if s.name != tt.name || s.get("http.request.method") != tt.attr || s.get("http.request.method_original") != tt.original {
			t.Errorf("%.10s %s: name %q, method %q, original %q", tt.method, tt.target, s.name, s.get("http.request.method"), s.get("http.request.method_original"))
		}
	}
	// Beyond the bound of routes there is none.
	p := &recording{}
	o, err := observe.New(observe.WithSink(newTracer(t, p)), observe.WithMaxRoutes(1), observe.WithRoute(func(r *http.Request) string { return r.URL.Path }))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/first", "/second"} {
		serve(o.Wrap(answer(200)), request("GET", path))
	}
	if all := p.take(t); all[0].name != "GET /first" || all[1].name != "GET" || all[1].get("http.route") != "" {
		t.Errorf("the names are %q and %q", all[0].name, all[1].name)
	}
}

// What decides is what the observer says of an exchange, so it is said by hand.
func TestTheStatusIsAnErrorWhereTheServiceFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		end         func(*observe.Exchange)
		status      codes.Code
		description string
		errorType   string
		has         map[string]string
	}{
		"fine":           {func(x *observe.Exchange) { x.Status = 200 }, codes.Unset, "", "", nil},
		"client's fault": {func(x *observe.Exchange) { x.Status = 404 }, codes.Unset, "", "", nil},
		"server's fault": {func(x *observe.Exchange) { x.Status, x.ErrorType = 500, "500" }, codes.Error, "", "500", nil},
		"an odd status":  {func(x *observe.Exchange) { x.Status, x.ErrorType = 799, "799" }, codes.Error, "", "799", nil},
		"shed": {func(x *observe.Exchange) {
			x.Status, x.ErrorType, x.Cause = 503, "shed", observe.Cause{Outcome: "shed", Policy: "front", Reason: "cpu"}
		}, codes.Error, "", "shed", map[string]string{"handrail.outcome": "shed", "handrail.policy": "front", "handrail.reason": "cpu"}},
		"tenant over its limit": {func(x *observe.Exchange) {
			x.Status, x.ErrorType, x.Cause = 429, "bulkhead_full", observe.Cause{Outcome: "bulkhead_full", Reason: "tenant"}
		}, codes.Unset, "", "", map[string]string{"handrail.outcome": "bulkhead_full", "handrail.reason": "tenant"}},
		"timeout": {func(x *observe.Exchange) {
			x.Status, x.ErrorType, x.Cause = 503, "timeout", observe.Cause{Outcome: "timeout"}
		}, codes.Error, "timeout", "timeout", map[string]string{"handrail.outcome": "timeout"}},
		"timeout in the middle of an answer": {func(x *observe.Exchange) {
			x.Status, x.ErrorType, x.Cause = 200, "timeout", observe.Cause{Outcome: "timeout"}
		}, codes.Error, "timeout", "timeout", nil},
		"client left": {func(x *observe.Exchange) {
			x.ErrorType, x.Cause = "canceled", observe.Cause{Outcome: "canceled"}
		}, codes.Error, "canceled", "canceled", map[string]string{"http.response.status_code": ""}},
		"client left an event stream": {func(x *observe.Exchange) {
			x.Status, x.LongLived, x.ErrorType, x.Cause = 200, true, "canceled", observe.Cause{Outcome: "canceled"}
		}, codes.Unset, "", "", map[string]string{"handrail.long_lived": "true", "handrail.outcome": "canceled"}},
		"aborted": {func(x *observe.Exchange) {
			x.Status, x.ErrorType, x.Panic, x.Cause = 200, "aborted", http.ErrAbortHandler, observe.Cause{Outcome: "aborted"}
		}, codes.Unset, "", "", map[string]string{"handrail.outcome": "aborted"}},
		"panic": {func(x *observe.Exchange) {
			x.ErrorType, x.Panic, x.Cause = "panic", "boom", observe.Cause{Outcome: "panic"}
		}, codes.Error, "panic", "panic", map[string]string{"handrail.outcome": "panic", "http.response.status_code": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			tr := newTracer(t, p)
			x := &observe.Exchange{Request: request("GET", "/"), Method: "GET", Scheme: "http"}
			x.SetContext(t.Context())
			tr.Start(x)
			tt.end(x)
			tr.Observe(x)
			s := p.one(t)
			if s.status != tt.status || s.description != tt.description || s.get("error.type") != tt.errorType {
				t.Errorf("status %v %q, error.type %q", s.status, s.description, s.get("error.type"))
			}
			for k, v := range tt.has {
				if s.get(k) != v {
					t.Errorf("%s is %q", k, s.get(k))
				}
			}
			if len(s.events) != 0 && name != "panic" {
				t.Errorf("there are events %v", s.events)
			}
		})
	}
}

type failure struct{ text string }

func (f *failure) Error() string { return f.text }

func TestAPanicIsAnExceptionOfItsSpan(t *testing.T) {
	for name, tt := range map[string]struct {
		value       any
		class, text string
	}{
		"an error":        {&failure{"out of \xff cheese"}, "*trace_test.failure", "out of \uFFFD cheese"},
		"a text":          {"boom", "string", "boom"},
		"a long text":     {strings.Repeat("é", 5000), "string", strings.Repeat("é", 512)},
		"a number":        {42, "int", "42"},
		"one that panics": {panicking{}, "trace_test.panicking", "%!v(PANIC=Error method: again)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			h := observed(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { boom(tt.value) }), newTracer(t, p))
			_, value := serve(h, request("GET", "/"))
			if value != tt.value {
				t.Errorf("outside arrives %v", value)
			}
			s := p.one(t)
			if s.status != codes.Error || s.get("error.type") != "panic" || len(s.events) != 1 || s.events[0].name != "exception" {
				t.Fatalf("status %v, error.type %q, events %v", s.status, s.get("error.type"), s.events)
			}
			e := s.events[0].attrs
			if e["exception.type"].AsString() != tt.class || e["exception.message"].AsString() != tt.text {
				t.Errorf("exception %q: %q", e["exception.type"].AsString(), e["exception.message"].AsString())
			}
			if stack := e["exception.stacktrace"].AsString(); !strings.Contains(stack, "boom") || len(stack) > 16<<10 {
				t.Errorf("the stack of %d bytes does not tell where: %.300s", len(stack), stack)
			}
		})
	}
}

type panicking struct{}

func (panicking) Error() string { panic("again") }

//go:noinline
func boom(value any) { panic(value) }

func TestNoSpanIsLeftOpenHoweverAHandlerEnds(t *testing.T) {
	for name, end := range map[string]func(http.ResponseWriter){
		"return": func(http.ResponseWriter) {},
		"panic":  func(http.ResponseWriter) { panic(io.ErrUnexpectedEOF) },
		"abort":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half an answer, then abort": func(w http.ResponseWriter) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
		"goexit": func(http.ResponseWriter) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { end(w) }), newTracer(t, p))
			done := make(chan struct{})
			go func() {
				defer close(done)
				serve(h, request("GET", "/"))
			}()
			<-done
			s := p.one(t)
			if bad := name == "panic"; (s.status == codes.Error) != bad || (len(s.events) == 1) != bad {
				t.Errorf("status %v, %d events", s.status, len(s.events))
			}
		})
	}
}

func TestTheTraceOfTheCallerGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		header        []string
		trace, parent string
		linked        bool
	}{
		"nobody's":                   {nil, "", "", false},
		"W3C":                        {[]string{"traceparent", w3c}, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", false},
		"X-Ray":                      {[]string{header, "Root=" + root + ";Parent=" + parent + ";Sampled=1"}, traceID, parent, false},
		"both, of which W3C wins":    {[]string{header, "Root=" + root + ";Parent=" + parent + ";Sampled=1", "traceparent", w3c}, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", false},
		"a load balancer's":          {[]string{header, "Root=" + root}, traceID, "", false},
		"undecided":                  {[]string{header, "Root=" + root + ";Parent=" + parent}, traceID, "", true},
		"a traceparent twice":        {[]string{"traceparent", w3c, "traceparent", w3c}, "", "", false},
		"a traceparent that is none": {[]string{"traceparent", "00-zz"}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			tr := newTracer(t, p)
			var inside otel.SpanContext
			var ids observe.TraceIDs
			h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside = otel.SpanContextFromContext(r.Context())
			}), tr, observe.SinkFunc(func(x *observe.Exchange) { ids = x.Trace }))
			serve(h, request("GET", "/", tt.header...))
			s := p.one(t)
			if tt.trace != "" && s.sc.TraceID().String() != tt.trace || tt.parent != "" && s.parent.SpanID().String() != tt.parent || tt.parent == "" && s.parent.HasSpanID() {
				t.Errorf("trace %v, parent %v", s.sc.TraceID(), s.parent.SpanID())
			}
			if tt.linked != (len(s.links) == 1 && s.links[0].SpanContext.SpanID().String() == parent && s.links[0].SpanContext.TraceID() == s.sc.TraceID()) {
				t.Errorf("links %v", s.links)
			}
			if !inside.Equal(s.sc) {
				t.Errorf("the handler is in span %v, not in %v", inside, s.sc)
			}
			if want := (observe.TraceIDs{TraceID: s.sc.TraceID(), SpanID: s.sc.SpanID(), Flags: 1}); ids != want || !ids.Valid() || !ids.Sampled() {
				t.Errorf("the other sinks are told %v, want %v", ids, want)
			}
			if st := tr.Stats(); st.Served != 1 || st.RecordedServed != 1 || (st.Continued == 1) != (tt.trace != "") {
				t.Errorf("statistics %+v", st)
			}
		})
	}
}

func TestAnInvocationOfLambdaIsTheParentWhereAnOptionSaysSo(t *testing.T) {
	t.Setenv("_X_AMZN_TRACE_ID", "Root="+root+";Parent="+parent+";Sampled=1")
	for _, tt := range []struct {
		opts   []trace.Option
		header []string
		trace  string
	}{
		{[]trace.Option{trace.WithLambda()}, nil, traceID},
		{[]trace.Option{trace.WithLambda()}, []string{header, "Root=1-00000001-bd862e3fe1be46a994272793"}, traceID},
		{[]trace.Option{trace.WithLambda()}, []string{"traceparent", w3c}, "0af7651916cd43dd8448eb211c80319c"},
		{nil, []string{header, "Root=1-00000001-bd862e3fe1be46a994272793"}, "00000001bd862e3fe1be46a994272793"},
	} {
		p := &recording{}
		serve(observed(t, answer(200), newTracer(t, p, tt.opts...)), request("GET", "/", tt.header...))
		if s := p.one(t); s.sc.TraceID().String() != tt.trace {
			t.Errorf("%v: trace %v, want %s", tt.header, s.sc.TraceID(), tt.trace)
		}
	}
}

func TestTheStateOfATraceGoesOnWhole(t *testing.T) {
	// As many members as there may be, each as long as it may be.
	var members []string
	for i := range 32 {
		members = append(members, fmt.Sprint("k", i, "=", strings.Repeat("v", 250)))
	}
	long := strings.Join(members, ",")
	for name, tt := range map[string]struct {
		state []string
		want  string
	}{
		"one line":       {[]string{"a=1,b=2"}, "a=1,b=2"},
		"two lines":      {[]string{"a=1", "b=2"}, "a=1,b=2"},
		"too many bytes": {[]string{long}, ""},
		"far too long":   {[]string{"a=1," + strings.Repeat("b", 1<<20)}, ""},
	} {
		p := &recording{}
		r := request("GET", "/", "traceparent", w3c)
		for _, s := range tt.state {
			r.Header.Add("tracestate", s)
		}
		serve(observed(t, answer(200), newTracer(t, p)), r)
		if s := p.one(t); s.sc.TraceState().String() != tt.want || !s.parent.IsValid() {
			t.Errorf("%s: %q", name, s.sc.TraceState())
		}
	}
}

func TestASpanThatIsThereAlreadyIsTheParent(t *testing.T) {
	p := &recording{}
	h := observed(t, observed(t, answer(200), newTracer(t, p)), newTracer(t, p))
	serve(h, request("GET", "/", "traceparent", w3c))
	all := p.take(t)
	if len(all) != 2 || all[1].parent.SpanID() != all[0].sc.SpanID() || all[0].parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("spans %v", all)
	}
}

// Where the inner observer's exchange has no span, it must not end the outer
// one's.
func TestOneTracerInTwoObserversEndsEachSpanOnce(t *testing.T) {
	for spans, traced := range map[int]func(inner bool) bool{
		1: func(inner bool) bool { return !inner },
		2: func(bool) bool { return true },
	} {
		p := &recording{}
		within := false
		tr := newTracer(t, p, trace.WithFilter(func(*http.Request) bool { return traced(within) }))
		inner := observed(t, answer(200), tr)
		outer := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			within = true
			inner.ServeHTTP(w, r)
			if !otel.SpanFromContext(r.Context()).IsRecording() {
				t.Errorf("%d spans: the outer one ended with the inner exchange", spans)
			}
		}), tr)
		serve(outer, request("GET", "/"))
		if all := p.take(t); len(all) != spans {
			t.Errorf("%d spans, want %d", len(all), spans)
		}
	}
}

func TestAPublicEndpointBeginsATraceOfItsOwn(t *testing.T) {
	for name, tt := range map[string]struct {
		header []string
		link   string
	}{
		"W3C":               {[]string{"traceparent", w3c, "tracestate", "a=1"}, "b7ad6b7169203331"},
		"X-Ray":             {[]string{header, "Root=" + root + ";Parent=" + parent + ";Sampled=1"}, parent},
		"undecided":         {[]string{header, "Root=" + root + ";Parent=" + parent}, parent},
		"a load balancer's": {[]string{header, "Root=" + root}, ""},
		"nothing":           {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			tr := newTracer(t, p, trace.WithPublicEndpoint(), trace.WithPropagators(propagation.TraceContext{}, propagation.Baggage{}, trace.XRay{}))
			h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n := baggage.FromContext(r.Context()).Len(); n != 0 {
					t.Errorf("%d members of the client's baggage are taken over", n)
				}
			}), tr)
			serve(h, request("GET", "/", append(tt.header, "baggage", "tenant=admin")...))
			s := p.one(t)
			if id := s.sc.TraceID().String(); id == traceID || id == "0af7651916cd43dd8448eb211c80319c" || s.parent.HasTraceID() || s.sc.TraceState().Len() != 0 {
				t.Errorf("trace %s, parent %v", id, s.parent)
			}
			got := ""
			if len(s.links) == 1 {
				got = s.links[0].SpanContext.SpanID().String()
			}
			if got != tt.link || len(s.links) > 1 {
				t.Errorf("links %v", s.links)
			}
		})
	}
	// What is in the context of this process is no client's.
	p := &recording{}
	serve(observed(t, observed(t, answer(200), newTracer(t, p, trace.WithPublicEndpoint())), newTracer(t, p)), request("GET", "/"))
	if all := p.take(t); all[1].parent.SpanID() != all[0].sc.SpanID() {
		t.Error("a local parent was lost")
	}
}

func TestWhatIsNotSampledIsNotDescribed(t *testing.T) {
	p := &recording{sample: func(otel.SpanContext) bool { return false }}
	asked := 0
	tr := newTracer(t, p, trace.WithAttributes(func(*http.Request) []attribute.KeyValue { asked++; return nil }))
	var ids observe.TraceIDs
	serve(observed(t, answer(200), tr, observe.SinkFunc(func(x *observe.Exchange) { ids = x.Trace })), request("GET", "/", "traceparent", w3c))
	s := p.one(t)
	if asked != 0 || len(s.attrs) != 0 {
		t.Errorf("asked %d times for attributes, has %v", asked, s.attrs)
	}
	if !ids.Valid() || ids.Sampled() {
		t.Errorf("the other sinks are told %v", ids)
	}
	if st := tr.Stats(); st.Served != 1 || st.RecordedServed != 0 {
		t.Errorf("statistics %+v", st)
	}
}

func TestTheSamplerSeesTheAttributesWhereAnOptionSaysSo(t *testing.T) {
	p := &recording{sample: func(otel.SpanContext) bool { return false }}
	tr := newTracer(t, p, trace.WithSamplerAttributes())
	serve(observed(t, answer(200), tr), request("GET", "/admin"))
	if s := p.one(t); table(s.atStart)["url.path"].AsString() != "/admin" {
		t.Errorf("the sampler sees %v", s.atStart)
	}
	p.sample = nil
	serve(observed(t, answer(204), tr), request("GET", "/admin"))
	if s := p.one(t); s.get("url.path") != "/admin" || s.get("http.response.status_code") != "204" {
		t.Errorf("the span has %v", s.all())
	}
}

func TestFilteredRequestsHaveNoSpan(t *testing.T) {
	p := &recording{}
	tr := newTracer(t, p, trace.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sc := otel.SpanContextFromContext(r.Context()); sc.IsValid() {
			t.Errorf("the handler is in span %v", sc)
		}
	}), tr)
	serve(h, request("GET", "/healthz", "traceparent", w3c))
	if all := p.take(t); len(all) != 0 || tr.Stats().Filtered != 1 {
		t.Errorf("%d spans, statistics %+v", len(all), tr.Stats())
	}
}

func TestAttributesOfTheUsersAreAddedAndBounded(t *testing.T) {
	p := &recording{}
	many := make([]attribute.KeyValue, 100)
	for i := range many {
		many[i] = attribute.Int(fmt.Sprint("n", i), i)
	}
	many[0] = attribute.String("tenant", strings.Repeat("x", 5000)+"\xff")
	many[1] = attribute.StringSlice("tags", []string{"a\xffb", strings.Repeat("y", 5000)})
	tr := newTracer(t, p, trace.WithAttributes(func(r *http.Request) []attribute.KeyValue { return many }))
	serve(observed(t, answer(200), tr), request("GET", "/"))
	s := p.one(t)
	attrs := table(s.attrs)
	if got := attrs["tenant"].AsString(); got != strings.Repeat("x", 1024) {
		t.Errorf("a long string has %d bytes", len(got))
	}
	if got := attrs["tags"].AsStringSlice(); got[0] != "a\uFFFDb" || len(got[1]) != 256 {
		t.Errorf("a slice is %.40q", got)
	}
	if s.get("n31") != "31" || s.get("n32") != "" {
		t.Errorf("of 100 attributes n31 is %q and n32 %q", s.get("n31"), s.get("n32"))
	}
	if many[0].Value.AsString()[5000:] != "\xff" {
		t.Error("the user's slice was changed")
	}
}

// text says that all strings in a value are valid UTF-8.
func text(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		return utf8.ValidString(v.AsString())
	case attribute.STRINGSLICE:
		return !slices.ContainsFunc(v.AsStringSlice(), func(s string) bool { return !utf8.ValidString(s) })
	case attribute.SLICE:
		return !slices.ContainsFunc(v.AsSlice(), func(v attribute.Value) bool { return !text(v) })
	case attribute.MAP:
		return !slices.ContainsFunc(v.AsMap(), func(kv attribute.KeyValue) bool {
			return !utf8.ValidString(string(kv.Key)) || !text(kv.Value)
		})
	}
	return true
}

func TestListsAndMapsOfTheUsersAreBoundedToo(t *testing.T) {
	long, bad := strings.Repeat("x", 5000), "a\xffb"
	deep := attribute.StringValue(bad)
	for range 50 {
		deep = attribute.SliceValue(deep)
	}
	all := make([]attribute.Value, 100)
	for i := range all {
		all[i] = attribute.StringValue(long)
	}
	given := []attribute.KeyValue{
		{Key: "map", Value: attribute.MapValue(attribute.String(bad, bad), attribute.String("long", long))},
		{Key: "list", Value: attribute.SliceValue(all...)},
		{Key: "bytes", Value: attribute.ByteSliceValue([]byte(long))},
		{Key: "deep", Value: deep},
		{Key: "nested", Value: attribute.SliceValue(attribute.MapValue(attribute.StringSlice("tags", []string{bad})))},
		{Key: "empty", Value: attribute.SliceValue()},
		{Key: "plain", Value: attribute.MapValue(attribute.Int("n", 7), attribute.Bool("b", true))},
	}
	p := &recording{}
	serve(observed(t, answer(200), newTracer(t, p, trace.WithAttributes(func(*http.Request) []attribute.KeyValue { return given }))), request("GET", "/"))
	s := p.one(t)
	for k, max := range map[string]int{"map": 300, "list": 32*260 + 2, "bytes": 1368, "deep": 10} {
		if got := s.get(k); got == "" || len(got) > max {
			t.Errorf("%s has %d bytes: %.80q", k, len(got), got)
		}
	}
	for k, v := range table(s.attrs) {
		if !text(v) {
			t.Errorf("%s is not UTF-8: %.80q", k, v.String())
		}
	}
	if tags := given[4].Value.AsSlice()[0].AsMap()[0].Value.AsStringSlice(); tags[0] != bad || len(given[0].Value.AsMap()[1].Value.AsString()) != 5000 {
		t.Error("the user's value was changed")
	}
	for k, want := range map[string]string{"nested": "[{\"tags\":[\"a\uFFFDb\"]}]", "plain": `{"b":true,"n":7}`, "empty": "[]"} {
		if got := s.get(k); got != want {
			t.Errorf("%s is %s, want %s", k, got, want)
		}
	}
}

// One value that is not UTF-8 keeps an exporter from delivering a whole batch.
func TestNothingAClientSendsMakesAnAttributeLongOrInvalid(t *testing.T) {
	p := &recording{}
	h := observed(t, answer(200), newTracer(t, p, trace.WithClientAddress(func(r *http.Request) string { return r.Header.Get("X-Client") })))
	for _, bad := range []string{"\xff\xfe", "a\x80b", strings.Repeat("é", 9000), strings.Repeat("\xff", 9000), strings.Repeat("a\xff", 9000), strings.Repeat("x", 255) + "é", "\xed\xa0\x80", "a\x00b\nc"} {
		r := request("GET", "/", "User-Agent", bad, "X-Client", bad)
		r.URL.Path, r.Method, r.RequestURI = "/"+bad, bad, "/"+bad
		r.RemoteAddr = bad + ":80"
		serve(h, r)
		s := p.one(t)
		for k, v := range s.all() {
			if len(v) > 1024 || !utf8.ValidString(v) || len(v) > 256 && k != "url.path" {
				t.Errorf("%.10q: %s has %d bytes, valid %v", bad, k, len(v), utf8.ValidString(v))
			}
		}
		if !utf8.ValidString(s.name) || len(s.name) > 300 {
			t.Errorf("the name is %.40q", s.name)
		}
	}
}

func TestAMegabyteOfAQueryIsNotKeptForItsPath(t *testing.T) {
	const n = 64
	measure := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	p := &recording{}
	h := observed(t, answer(200), newTracer(t, p,
		// Both return a small part of a header that the client made long.
		trace.WithClientAddress(func(r *http.Request) string {
			first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
			return first
		}),
		trace.WithAttributes(func(r *http.Request) []attribute.KeyValue {
			first, _, _ := strings.Cut(r.Header.Get("X-Tags"), ",")
			return []attribute.KeyValue{attribute.String("tag", first), attribute.StringSlice("tags", []string{first})}
		})))
	before := measure()
	for range n {
		target := "/path?" + strings.Repeat("q", 1<<20)
		r := request("GET", "/", "User-Agent", strings.Repeat("u", 1<<20),
			"X-Forwarded-For", "192.0.2.1,"+strings.Repeat("x", 1<<20), "X-Tags", "a,"+strings.Repeat("x", 1<<20))
		r.URL.Path, r.RequestURI = target[:5], target // as the server has them: one string
		r.Method = "GET"
		serve(h, r)
	}
	if kept := measure() - before; kept > n<<18 {
		t.Errorf("%d spans keep %d KiB", n, kept>>10)
	}
	if s := p.take(t)[0]; s.get("url.path") != "/path" || s.get("client.address") != "192.0.2.1" || s.get("tag") != "a" {
		t.Errorf("the attributes are %v", s.all())
	}
}

func TestTheClientIsWhoConnectedUnlessAnOptionKnowsBetter(t *testing.T) {
	for _, tt := range []struct{ remote, header, client, peer, port string }{
		{"192.0.2.7:5000", "", "192.0.2.7", "", ""},
		{"192.0.2.7:5000", "192.0.2.7", "192.0.2.7", "", ""},
		{"[2001:db8::1]:5000", "", "2001:db8::1", "", ""},
		{"[2001:db8::1]:5000", "203.0.113.9", "203.0.113.9", "2001:db8::1", "5000"},
		{"192.0.2.7:5000", "203.0.113.9", "203.0.113.9", "192.0.2.7", "5000"},
		{"@", "", "", "", ""},
		{"@", "203.0.113.9", "203.0.113.9", "", ""},
		{"", "", "", "", ""},
		{"host:port", "", "", "", ""},
		{":80", "", "", "", ""},
		{"1.2.3.4:99999", "", "", "", ""},
	} {
		p := &recording{}
		h := observed(t, answer(200), newTracer(t, p, trace.WithClientAddress(func(r *http.Request) string { return r.Header.Get("X-Real-Ip") })))
		r := request("GET", "/", "X-Real-Ip", tt.header)
		r.RemoteAddr = tt.remote
		serve(h, r)
		if s := p.one(t); s.get("client.address") != tt.client || s.get("network.peer.address") != tt.peer || s.get("network.peer.port") != tt.port {
			t.Errorf("%q: client %q, peer %q, port %q", tt.remote, s.get("client.address"), s.get("network.peer.address"), s.get("network.peer.port"))
		}
	}
}

func TestTheRequestIDIsOnTheSpan(t *testing.T) {
	p := &recording{}
	o, err := observe.New(observe.WithSink(newTracer(t, p)), observe.WithRequestIDs())
	if err != nil {
		t.Fatal(err)
	}
	w, _ := serve(o.Wrap(answer(200)), request("GET", "/"))
	if s := p.one(t); s.get("handrail.request_id") == "" || s.get("handrail.request_id") != w.Header().Get("X-Request-Id") {
		t.Errorf("the id is %q, the header %v", s.get("handrail.request_id"), w.Header())
	}
}

func TestWithoutAnSDKTheContextGoesOnAsItCame(t *testing.T) {
	tr, err := trace.New() // the global provider, which nobody has set
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range [][2]string{{"traceparent", w3c}, {header, "Root=" + root}, {header, "Root=" + root + ";Parent=" + parent + ";Sampled=?"}} {
		out := http.Header{}
		transport := tr.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			out = r.Header
			return nil, errors.New("enough")
		}))
		serve(observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			transport.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil).WithContext(r.Context()))
		}), tr), request("GET", "/", h[0], h[1]))
		if got := out.Get(h[0]); got != h[1] {
			t.Errorf("%s: %q became %q", h[0], h[1], got)
		}
	}
}

func TestSixtyFourGoroutinesShareOneTracer(t *testing.T) {
	p := &recording{}
	tr := newTracer(t, p, trace.WithServerAddress("a", 1), trace.WithPublicEndpoint(), trace.WithSamplerAttributes())
	client := tr.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("x"))}, nil
	}))
	h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := client.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil).WithContext(r.Context()))
		if err == nil {
			io.Copy(w, resp.Body)
			resp.Body.Close()
		}
		if r.URL.Path == "/panic" {
			panic("boom")
		}
	}), tr)
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for i := range 20 {
				path := "/"
				if (g+i)%7 == 0 {
					path = "/panic"
				}
				serve(h, request("GET", path, "traceparent", w3c, header, "Root="+root))
				tr.Stats()
			}
		})
	}
	all.Wait()
	if st := tr.Stats(); st.Served != 64*20 || st.Sent != 64*20 || len(p.take(t)) != 2*64*20 {
		t.Errorf("statistics %+v", st)
	}
}

// The context outlives the exchange in what a handler leaves running.
func TestASpanIsSafeToUseAfterTheExchange(t *testing.T) {
	p := &recording{}
	var kept context.Context
	serve(observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept = context.WithoutCancel(r.Context())
	}), newTracer(t, p)), request("GET", "/"))
	first := p.one(t)
	if !otel.SpanContextFromContext(kept).Equal(first.sc) {
		t.Error("the context lost its span")
	}
	ctx, cancel := context.WithTimeout(kept, time.Hour)
	defer cancel()
	if ctx.Value(http.ServerContextKey) != nil {
		t.Error("a value nobody set")
	}
	// A request that is served in it is another exchange.
	serve(observed(t, answer(200), newTracer(t, p)), request("GET", "/").WithContext(ctx))
	if s := p.one(t); s.parent.SpanID() != first.sc.SpanID() {
		t.Errorf("the parent is %v", s.parent)
	}
}
