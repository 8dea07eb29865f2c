package trace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/observe/trace"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/timeout"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func responds(status int, body io.ReadCloser, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: body, Request: r}, nil
	}
}

// servers runs a test over HTTP/1.1 and HTTP/2.
func servers(t *testing.T, h http.Handler, run func(t *testing.T, url string, client *http.Client)) {
	for _, two := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[two], func(t *testing.T) {
			leaktest.Check(t)
			s := httptest.NewUnstartedServer(h)
			s.EnableHTTP2 = two
			s.StartTLS()
			defer s.Close()
			run(t, s.URL, s.Client())
		})
	}
}

func TestASpanAndItsHeadersAreSentWithEveryRequest(t *testing.T) {
	behind := &recording{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	servers(t, observed(t, mux, newTracer(t, behind)), func(t *testing.T, at string, client *http.Client) {
		p := &recording{}
		tr := newTracer(t, p, trace.WithServerAddress("not-for-clients", 1))
		client.Transport = tr.Transport(client.Transport)
		u, _ := url.Parse(at)
		u.User, u.Path, u.RawQuery, u.Fragment = url.UserPassword("me", "secret"), "/orders/7", "token=secret", "secret"
		root, within := p.Tracer("").Start(t.Context(), "outside")
		r, _ := http.NewRequestWithContext(root, "POST", u.String(), strings.NewReader("all of it"))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Header) > 1 || r.Header.Get("traceparent") != "" { // client.Do adds Authorization
			t.Errorf("the caller's request has %v", r.Header)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "all of it" || err != nil {
			t.Errorf("the body is %q, %v", body, err)
		}
		within.End()
		client.CloseIdleConnections()

		sent := p.take(t)[1]
		version := map[int]string{1: "1.1", 2: "2"}[resp.ProtoMajor]
		want := map[string]string{
			"http.request.method": "POST", "http.response.status_code": "200", "network.protocol.version": version,
			"url.full": at + "/orders/7", "server.address": u.Hostname(), "server.port": u.Port(),
		}
		if got := sent.all(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("attributes %v, want %v", got, want)
		}
		if sent.name != "POST" || sent.kind != otel.SpanKindClient || sent.parent.SpanID() != within.SpanContext().SpanID() || sent.status != codes.Unset {
			t.Errorf("name %q, kind %v, parent %v, status %v", sent.name, sent.kind, sent.parent.SpanID(), sent.status)
		}
		// The other side's span is its child.
		got := behind.take(t)[0]
		if got.parent.SpanID() != sent.sc.SpanID() || got.sc.TraceID() != sent.sc.TraceID() || !got.parent.IsSampled() || got.get("url.scheme") != "https" || got.get("network.protocol.version") != version {
			t.Errorf("behind: parent %v of %v, attributes %v", got.parent.SpanID(), sent.sc.SpanID(), got.all())
		}
		if st := tr.Stats(); st.Sent != 1 || st.RecordedSent != 1 || st.Served != 0 {
			t.Errorf("statistics %+v", st)
		}
	})
}

func TestBothHeadersAreWrittenUnlessAnOptionSaysOtherwise(t *testing.T) {
	for _, tt := range []struct {
		opts []trace.Option
		want []string
	}{
		{nil, []string{"Traceparent", "X-Amzn-Trace-Id"}},
		{[]trace.Option{trace.WithPropagators(trace.XRay{})}, []string{"X-Amzn-Trace-Id"}},
		{[]trace.Option{trace.WithPropagators()}, nil},
		{[]trace.Option{trace.WithFilter(func(*http.Request) bool { return false })}, nil},
	} {
		p := &recording{}
		var got http.Header
		client := newTracer(t, p, tt.opts...).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header
			return nil, io.EOF
		}))
		client.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
		if len(got) != len(tt.want) {
			t.Errorf("sent %v, want %v", got, tt.want)
		}
		for _, name := range tt.want {
			if got.Get(name) == "" {
				t.Errorf("sent %v, want %v", got, tt.want)
			}
		}
	}
}

// A proxy passes on the header of a request that came, whose trace may be
// another one.
func TestNothingOfAnotherTraceIsSent(t *testing.T) {
	for name, tt := range map[string]struct {
		provider otel.TracerProvider
		state    string
	}{
		"a span of its own": {&recording{}, ""},
		"no SDK":            {noop.NewTracerProvider(), "vendor=client"}, // it is all there is
	} {
		tr, err := trace.New(trace.WithTracerProvider(tt.provider), trace.WithPublicEndpoint())
		if err != nil {
			t.Fatal(err)
		}
		var got http.Header
		client := tr.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header
			return nil, io.EOF
		}))
		h := observed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client.RoundTrip(r) // as httputil.ReverseProxy does
		}), tr)
		serve(h, request("GET", "http://behind/", "traceparent", w3c, "tracestate", "vendor=client", "X-Other", "stays",
			header, "Root="+root+";Lineage=25:3d2d01e7:0"))
		if got.Get("tracestate") != tt.state || got.Get("X-Other") != "stays" || !strings.Contains(got.Get(header), "Lineage=25:3d2d01e7:0") {
			t.Errorf("%s: sent %v", name, got)
		}
		if own := tt.state == ""; own == (got.Get("traceparent") == w3c) {
			t.Errorf("%s: traceparent is %q", name, got.Get("traceparent"))
		}
	}
	// A state that belongs to the span is sent.
	var got http.Header
	client := newTracer(t, &recording{}).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return nil, io.EOF
	}))
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{"traceparent": w3c, "tracestate": "a=1"})
	client.RoundTrip(request("GET", "http://behind/", "tracestate", "b=2").WithContext(ctx))
	if got.Get("tracestate") != "a=1" || len(got["Tracestate"]) != 1 {
		t.Errorf("sent %v", got)
	}
}

func TestTheCallersRequestIsNotChanged(t *testing.T) {
	spare := make([]string, 1, 4)
	spare[0] = "a"
	r := httptest.NewRequest("GET", "http://behind/", nil)
	r.Header = http.Header{"X-List": spare, header: {"Root=" + root}}
	client := newTracer(t, &recording{}).Transport(roundTrip(func(sent *http.Request) (*http.Response, error) {
		sent.Header.Add("X-List", "b") // as a transport further in may do with a header of its own
		return nil, io.EOF
	}))
	client.RoundTrip(r)
	if len(r.Header) != 2 || r.Header.Get(header) != "Root="+root || len(r.Header["X-List"]) != 1 || spare[:2][1] != "" {
		t.Errorf("the header is %v, and behind it %q", r.Header, spare[:2])
	}
	r.Header = nil
	client.RoundTrip(r)
	if r.Header != nil {
		t.Errorf("the header is %v", r.Header)
	}
}

// parts is a body that ends as told.
type parts struct {
	io.Reader
	closed int
}

func (p *parts) Close() error { p.closed++; return nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTheSpanEndsWithTheBody(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for name, tt := range map[string]struct {
		body      io.Reader
		do        func(body io.ReadCloser)
		status    codes.Code
		errorType string
	}{
		"read to its end":      {strings.NewReader("x"), func(b io.ReadCloser) { io.ReadAll(b) }, codes.Unset, ""},
		"closed":               {strings.NewReader("x"), func(b io.ReadCloser) { b.Close() }, codes.Unset, ""},
		"closed several times": {strings.NewReader("x"), func(b io.ReadCloser) { io.ReadAll(b); b.Close(); b.Close() }, codes.Unset, ""},
		"broken off":           {io.MultiReader(strings.NewReader("x"), failing{reset}), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, codes.Error, "connection_reset"},
		"cut":                  {failing{io.ErrUnexpectedEOF}, func(b io.ReadCloser) { io.ReadAll(b) }, codes.Error, "*errors.errorString"},
		"late":                 {failing{context.DeadlineExceeded}, func(b io.ReadCloser) { io.ReadAll(b) }, codes.Error, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			inner := &parts{Reader: tt.body}
			resp, err := newTracer(t, p).Transport(responds(200, inner)).RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
			if err != nil {
				t.Fatal(err)
			}
			p.mu.Lock()
			if p.spans[0].ended != 0 {
				t.Error("the span ended with the header")
			}
			p.mu.Unlock()
			tt.do(resp.Body)
			s := p.one(t)
			if s.status != tt.status || s.get("error.type") != tt.errorType {
				t.Errorf("status %v %q, error.type %q", s.status, s.description, s.get("error.type"))
			}
			resp.Body.Close()
			if inner.closed == 0 {
				t.Error("the body within is open")
			}
		})
	}
}

// duplex is the body of a connection that switched protocols.
type duplex struct{ parts }

func (d *duplex) Write(p []byte) (int, error) { return len(p), nil }

func TestTheSpanEndsAtOnceWithoutABodyToWaitFor(t *testing.T) {
	switched := &duplex{}
	for name, tt := range map[string]struct {
		status int
		body   io.ReadCloser
		long   string
	}{
		"switching protocols": {101, switched, "true"},
		"no body":             {204, http.NoBody, ""},
		"nil":                 {200, nil, ""},
	} {
		p := &recording{}
		resp, err := newTracer(t, p).Transport(responds(tt.status, tt.body)).RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
		if err != nil || resp.Body != tt.body {
			t.Errorf("%s: the body is %T, error %v", name, resp.Body, err)
		}
		if s := p.one(t); s.get("handrail.long_lived") != tt.long {
			t.Errorf("%s: long-lived is %q", name, s.get("handrail.long_lived"))
		}
	}
	p := &recording{sample: func(otel.SpanContext) bool { return false }}
	body := &parts{Reader: strings.NewReader("x")}
	resp, _ := newTracer(t, p).Transport(responds(500, body)).RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
	if p.one(t); resp.Body != io.ReadCloser(body) {
		t.Error("a body that nobody needs to watch is wrapped")
	}
}

func TestLeavingAnEventStreamIsNoError(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/json"} {
		p := &recording{}
		ctx, cancel := context.WithCancel(t.Context())
		resp, _ := newTracer(t, p).Transport(responds(200, &parts{Reader: failing{context.Canceled}}, "Content-Type", kind)).
			RoundTrip(httptest.NewRequest("GET", "http://behind/", nil).WithContext(ctx))
		cancel()
		io.ReadAll(resp.Body)
		s := p.one(t)
		if stream := kind == "text/event-stream"; stream != (s.status == codes.Unset) || stream != (s.get("handrail.long_lived") == "true") || stream == (s.get("error.type") == "canceled") {
			t.Errorf("%s: status %v, %v", kind, s.status, s.all())
		}
	}
}

func TestAnErrorIsTheStatusOfItsSpan(t *testing.T) {
	left, leave := context.WithCancel(context.Background())
	leave()
	for name, tt := range map[string]struct {
		ctx         context.Context
		err         error
		class, text string
	}{
		"refused":        {nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, "connection_refused", "dial tcp: connection refused"},
		"no such name":   {nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x"}}, "name_resolution", ""},
		"timeout":        {nil, context.DeadlineExceeded, "timeout", ""},
		"handrail's":     {nil, &timeout.Error{Name: "fast"}, "timeout", ""},
		"broken pipe":    {nil, fmt.Errorf("sending: %w", syscall.EPIPE), "connection_reset", "sending: broken pipe"},
		"canceled":       {left, errors.New("anything"), "canceled", ""},
		"with an URL":    {nil, &url.Error{Op: "Get", URL: "http://x/?token=secret", Err: errors.New("inner")}, "*url.Error", "inner"},
		"anything":       {nil, &failure{"out of \xff cheese " + strings.Repeat("x", 5000)}, "*trace_test.failure", "out of \uFFFD cheese " + strings.Repeat("x", 1006)},
		"breaker open":   {nil, &breaker.OpenError{Name: "db"}, "breaker_open", ""},
		"bulkhead full":  {nil, &bulkhead.FullError{Name: "db"}, "bulkhead_full", ""},
		"another policy": {nil, refusal{}, "rejected", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &recording{}
			r := httptest.NewRequest("GET", "http://behind/", nil)
			if tt.ctx != nil {
				r = r.WithContext(tt.ctx)
			}
			_, err := newTracer(t, p).Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err })).RoundTrip(r)
			if err != tt.err {
				t.Errorf("the caller gets %v", err)
			}
			s := p.one(t)
			if s.status != codes.Error || s.get("error.type") != tt.class || tt.text != "" && s.description != tt.text || strings.Contains(s.description, "secret") {
				t.Errorf("status %v %.80q, error.type %q", s.status, s.description, s.get("error.type"))
			}
		})
	}
}

func TestARefusalOfAPolicyWithinIsNamed(t *testing.T) {
	full, err := bulkhead.New(bulkhead.WithName("pool"), bulkhead.Basic(0), bulkhead.WithMaxWait(0))
	if err != nil {
		t.Fatal(err)
	}
	open, err := breaker.New(breaker.WithName("db"))
	if err != nil {
		t.Fatal(err)
	}
	down := open.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }))
	get := func() *http.Request { return httptest.NewRequest("GET", "http://behind/", nil) }
	for range 1000 {
		if _, err := down.RoundTrip(get()); errors.Is(err, breaker.ErrOpen) {
			break
		}
	}
	for class, tt := range map[string]struct {
		base http.RoundTripper
		name string
	}{
		"bulkhead_full": {full.Transport(nil), "pool"},
		"breaker_open":  {down, "db"},
	} {
		p := &recording{}
		newTracer(t, p).Transport(tt.base).RoundTrip(get())
		if s := p.one(t); s.get("error.type") != class || s.get("handrail.policy") != tt.name || s.get("handrail.reason") == "" || s.status != codes.Error {
			t.Errorf("%s: %v", class, s.all())
		}
	}
}

func TestAStatusOf400OrAboveIsAnErrorToItsClient(t *testing.T) {
	for status, want := range map[int]string{200: "", 304: "", 399: "", 400: "400", 404: "404", 503: "503", 799: "799"} {
		p := &recording{}
		resp, _ := newTracer(t, p).Transport(responds(status, &parts{Reader: strings.NewReader("")})).RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
		resp.Body.Close()
		if s := p.one(t); (s.status == codes.Error) != (want != "") || s.get("error.type") != want || s.description != "" {
			t.Errorf("%d: status %v %q, error.type %q", status, s.status, s.description, s.get("error.type"))
		}
	}
}

func TestRepetitionsAreNumberedOnTheirSpans(t *testing.T) {
	p := &recording{}
	again, err := retry.New(retry.WithAttemptHeader("X-Attempt"), retry.WithAttempts(3), retry.WithDelay(func(int) time.Duration { return 0 }))
	if err != nil {
		t.Fatal(err)
	}
	client := again.Transport(newTracer(t, p, trace.WithAttemptHeader("x-attempt")).Transport(responds(503, http.NoBody)))
	resp, err := client.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	all := p.take(t)
	if len(all) != 3 || all[0].get("http.request.resend_count") != "" || all[1].get("http.request.resend_count") != "1" || all[2].get("http.request.resend_count") != "2" {
		t.Errorf("%d spans, the last one %v", len(all), all[len(all)-1].all())
	}
	for value, want := range map[string]string{"12": "12", "0": "", "-1": "", "99999": "", "x": "", "": ""} {
		client := newTracer(t, p, trace.WithAttemptHeader("X-Attempt")).Transport(responds(204, http.NoBody))
		client.RoundTrip(request("GET", "http://behind/", "X-Attempt", value))
		if s := p.one(t); s.get("http.request.resend_count") != want {
			t.Errorf("%q: %q", value, s.get("http.request.resend_count"))
		}
	}
}

func TestNoSpanIsLeftOpenHoweverARoundTripEnds(t *testing.T) {
	for name, base := range map[string]roundTrip{
		"panic":           func(*http.Request) (*http.Response, error) { panic("boom") },
		"neither":         func(*http.Request) (*http.Response, error) { return nil, nil },
		"both":            func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, io.EOF },
		"a strange error": func(*http.Request) (*http.Response, error) { return nil, &url.Error{} },
	} {
		p := &recording{}
		func() {
			defer func() { recover() }()
			newTracer(t, p).Transport(base).RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
		}()
		if s := p.one(t); name == "panic" && (s.status != codes.Error || s.get("error.type") != "panic") {
			t.Errorf("%s: status %v, %v", name, s.status, s.all())
		}
	}
}

func TestTheBodyOfARequestThatIsNotSentIsClosed(t *testing.T) {
	for name, opt := range map[string]trace.Option{
		"filter":     trace.WithFilter(func(*http.Request) bool { panic("boom") }),
		"attributes": trace.WithAttributes(func(*http.Request) []attribute.KeyValue { panic("boom") }),
	} {
		p := &recording{}
		body := &parts{Reader: strings.NewReader("x")}
		r := httptest.NewRequest("POST", "http://behind/", nil)
		r.Body = body
		func() {
			defer func() { recover() }()
			newTracer(t, p, opt).Transport(responds(200, http.NoBody)).RoundTrip(r)
			t.Errorf("%s: it did not panic", name)
		}()
		if p.take(t); body.closed != 1 {
			t.Errorf("%s: the body was closed %d times", name, body.closed)
		}
	}
}

func TestStrangeURLsAreSpanned(t *testing.T) {
	for target, want := range map[string][3]string{
		"http://behind":                        {"http://behind", "behind", "80"},
		"https://[2001:db8::1]:8443/a%2fb?x=y": {"https://[2001:db8::1]:8443/a%2fb", "2001:db8::1", "8443"},
		"https://behind:99999/":                {"https://behind:99999/", "behind", ""},
		"ftp://behind/x":                       {"ftp://behind/x", "behind", ""},
		"mailto:me@secret":                     {"mailto:", "", ""},
		"":                                     {"", "", ""},
		"/path":                                {"/path", "", ""},
		"http://" + strings.Repeat("h", 2000):  {"http://" + strings.Repeat("h", 1017), strings.Repeat("h", 256), "80"},
	} {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		p := &recording{}
		newTracer(t, p).Transport(responds(204, http.NoBody)).RoundTrip(&http.Request{URL: u, Method: ""})
		if s := p.one(t); s.get("url.full") != want[0] || s.get("server.address") != want[1] || s.get("server.port") != want[2] || s.get("http.request.method") != "GET" {
			t.Errorf("%.40q: %v", target, s.all())
		}
	}
	p := &recording{}
	newTracer(t, p).Transport(responds(204, http.NoBody)).RoundTrip(&http.Request{Method: "bReW"})
	if s := p.one(t); s.name != "HTTP" || s.get("http.request.method") != "_OTHER" || s.get("http.request.method_original") != "bReW" {
		t.Errorf("%q %v", s.name, s.all())
	}
}

func TestClientsThatCloseFromElsewhereEndTheSpanOnce(t *testing.T) {
	p := &recording{}
	client := newTracer(t, p).Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 1000)))}, nil
	}))
	for range 64 {
		resp, _ := client.RoundTrip(httptest.NewRequest("GET", "http://behind/", nil))
		var both sync.WaitGroup
		both.Go(func() { io.Copy(io.Discard, resp.Body) })
		both.Go(func() { resp.Body.Close() })
		both.Wait()
	}
	if n := len(p.take(t)); n != 64 {
		t.Errorf("%d spans", n)
	}
}

type idle struct {
	roundTrip
	closed bool
}

func (i *idle) CloseIdleConnections() { i.closed = true }

func TestIdleConnectionsAreClosedThroughIt(t *testing.T) {
	base := &idle{}
	(&http.Client{Transport: trace.Transport(base)}).CloseIdleConnections()
	if !base.closed {
		t.Error("they are not")
	}
	(&http.Client{Transport: trace.Transport(roundTrip(nil))}).CloseIdleConnections()
}

// refusal is the error of a policy that this package does not know.
type refusal struct{}

func (refusal) Error() string                 { return "not now" }
func (refusal) Rejection() handrail.Rejection { return handrail.Rejection{Code: "RATE_LIMITED"} }
