package handrail_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/timeout"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// broken fails at once, silent not before the request is given up.
var (
	broken = roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	silent = roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
)

// handOn is what the manuals of the transports recommend.
func handOn(w http.ResponseWriter, r *http.Request, err error) {
	var refusal http.Handler
	if errors.As(err, &refusal) {
		refusal.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

// proxy sends requests to nowhere, by transport.
func proxy(transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", "upstream"
		},
		Transport:    transport,
		ErrorHandler: handOn,
		ErrorLog:     log.New(io.Discard, "", 0),
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// open is a transport whose circuit has opened.
func open(opts ...breaker.Option) http.RoundTripper {
	b := must(breaker.New(append(opts, breaker.WithConsecutiveFailures(1))...))
	t := b.Transport(broken)
	t.RoundTrip(httptest.NewRequest("GET", "http://upstream/", nil))
	return t
}

func TestAProxyHandsOnWhatATransportRefused(t *testing.T) {
	ownAnswer := func(w http.ResponseWriter, _ *http.Request, rejection handrail.Rejection) {
		w.Header().Set("Retry-After", strconv.Itoa(int(rejection.RetryAfter.Seconds())))
		w.WriteHeader(rejection.Status)
		json.NewEncoder(w).Encode(map[string]string{"code": "own", "reason": rejection.Reason, "name": rejection.Name})
	}
	fails := func(err error) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	for name, c := range map[string]struct {
		through http.RoundTripper
		status  int
		code    string
		reason  string
		outcome string
		waits   bool // there is a Retry-After
	}{
		"an open circuit":           {open(breaker.WithName("up")), 503, breaker.Code, "open", "breaker_open", true},
		"a circuit with its answer": {open(breaker.WithName("up"), breaker.WithStatus(502), breaker.WithRejectionHandler(ownAnswer)), 502, "own", "open", "breaker_open", true},
		"a circuit forced open": {must(breaker.New(breaker.WithName("up"), breaker.WithMode(breaker.ForcedOpen))).Transport(broken),
			503, breaker.Code, "forced", "breaker_open", true},
		"a full bulkhead": {must(bulkhead.New(bulkhead.WithName("up"), bulkhead.WithOperationLimit(0))).Transport(broken),
			503, bulkhead.Code, "operation", "bulkhead_full", true},
		"a tenant's full bulkhead": {must(bulkhead.New(bulkhead.WithName("up"), bulkhead.PerTenant(handrail.ByHeader("X-Tenant"), 0))).Transport(broken),
			429, bulkhead.Code, "tenant", "bulkhead_full", true},
		"a timeout": {must(timeout.New(timeout.WithName("up"), timeout.Basic(time.Millisecond), timeout.WithStatus(504))).Transport(silent),
			504, timeout.Code, "deadline", "timeout", true},
		"attempts that take too long": {must(retry.New(retry.WithName("up"), retry.WithAttempts(2), retry.WithFixed(1), retry.WithAttemptTimeout(time.Millisecond))).Transport(silent),
			504, retry.Code, "timeout", "timeout", false},
		"a retry around a circuit": {must(retry.New()).Transport(open(breaker.WithName("up"))), 503, breaker.Code, "open", "breaker_open", true},

		// Whoever makes such an error says what a default one would.
		"an OpenError of one's own": {fails(&breaker.OpenError{Name: "up", Reason: breaker.ReasonOpen, RetryAfter: time.Second}), 503, breaker.Code, "open", "breaker_open", true},
		"a FullError of one's own": {fails(&bulkhead.FullError{Name: "up", Reason: bulkhead.ReasonTenant, Limit: bulkhead.ReasonTenant, RetryAfter: time.Second}),
			429, bulkhead.Code, "tenant", "bulkhead_full", true},
		"a timeout of one's own":          {fails(&timeout.Error{Name: "up"}), 503, timeout.Code, "deadline", "timeout", true},
		"an attempt's error of one's own": {fails(&retry.Error{Name: "up"}), 504, retry.Code, "timeout", "timeout", false},
	} {
		for _, proto := range []string{"HTTP1", "HTTP2"} {
			t.Run(name+"/"+proto, func(t *testing.T) {
				leaktest.Check(t)
				var mu sync.Mutex
				var seen []observe.Exchange
				observer := must(observe.New(observe.WithSink(observe.SinkFunc(func(x *observe.Exchange) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, *x)
				}))))
				again := must(retry.New(retry.WithFixed(1), retry.WithStatuses(429, 502, 503, 504), retry.WithMaxRetryAfter(0)))
				s := httptest.NewUnstartedServer(handrail.Chain(observer.Wrap, again.Wrap)(proxy(c.through)))
				if s.EnableHTTP2 = proto == "HTTP2"; s.EnableHTTP2 {
					s.StartTLS()
				} else {
					s.Start()
				}
				resp, err := s.Client().Get(s.URL)
				if err != nil {
					t.Fatal(err)
				}
				var problem struct{ Code, Reason, Name string }
				if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
					t.Error(err)
				}
				resp.Body.Close()
				s.Client().CloseIdleConnections()
				s.Close()
				if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); (err == nil && after > 0) != c.waits {
					t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
				}
				if resp.StatusCode != c.status || problem.Code != c.code || problem.Reason != c.reason || problem.Name != "up" {
					t.Errorf("%d %+v", resp.StatusCode, problem)
				}
				if refused := c.outcome != "timeout"; again.Stats().GaveUp[retry.ReasonRejected] == 1 != refused {
					t.Errorf("the retry outside gave up for %v", again.Stats().GaveUp)
				}
				mu.Lock()
				defer mu.Unlock()
				want := observe.Cause{Outcome: c.outcome, Policy: "up", Reason: c.reason}
				if len(seen) != 1 || seen[0].Status != c.status || seen[0].Cause != want {
					t.Errorf("the observer was told %+v", seen)
				}
			})
		}
	}
}

// The client of a proxy may send its body slowly, or not at all.
func TestAnUploadThatStallsIsToldAtOnceWhatATransportRefused(t *testing.T) {
	leaktest.Check(t)
	s := httptest.NewServer(proxy(open()))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second)) // never needed
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na beginning")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 503 || !resp.Close {
		t.Errorf("%d, the connection closes: %t", resp.StatusCode, resp.Close)
	}
}

// A client of HTTP/1.0, such as many a proxy further out, first sends its whole
// body. A connection that is closed under it takes the answer back.
func TestAnUploadOverHTTP10IsHeardOutAfterWhatATransportRefused(t *testing.T) {
	leaktest.Check(t)
	circuit := must(breaker.New(breaker.WithMode(breaker.ForcedOpen)))
	for name, h := range map[string]http.Handler{
		"the policy's own answer": circuit.Wrap(http.NotFoundHandler()),
		"a proxy's":               proxy(circuit.Transport(broken)),
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second)) // never needed
			io.WriteString(conn, "POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
			in := bufio.NewReader(conn)
			if _, err := in.Peek(1); err != nil { // the answer is there before the body
				t.Fatal(err)
			}
			for i := range 10 {
				if _, err := conn.Write(make([]byte, 10_000)); err != nil {
					t.Fatalf("after %d bytes: %v", i*10_000, err)
				}
				time.Sleep(time.Millisecond) // for a reset to arrive
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != 503 || !resp.Close {
				t.Errorf("%d, the connection closes: %t", resp.StatusCode, resp.Close)
			}
		})
	}
}

// A http.Transport waits for a stalled body beyond its context's end. What wraps
// the proxy ends that, and the client is told.
func TestAnUploadThatStallsBehindATransportEndsWithTheTimeoutAroundIt(t *testing.T) {
	leaktest.Check(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer upstream.Close()
	base := new(http.Transport)
	defer base.CloseIdleConnections()
	to := must(url.Parse(upstream.URL))
	around := must(timeout.New(timeout.WithName("around"), timeout.Basic(200*time.Millisecond)))
	for name, through := range map[string]http.RoundTripper{
		"timeout": must(timeout.New(timeout.Basic(20 * time.Millisecond))).Transport(base),
		"retry":   must(retry.New(retry.WithAttemptTimeout(20 * time.Millisecond))).Transport(base),
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(around.Wrap(&httputil.ReverseProxy{
				Rewrite:      func(p *httputil.ProxyRequest) { p.SetURL(to) },
				Transport:    through,
				ErrorHandler: handOn,
				ErrorLog:     log.New(io.Discard, "", 0),
			}))
			defer s.Close()
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second)) // never needed
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na beginning")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			var problem struct{ Code, Name string }
			json.NewDecoder(resp.Body).Decode(&problem)
			if resp.Body.Close(); resp.StatusCode != 503 || problem.Code != timeout.Code || problem.Name != "around" {
				t.Errorf("%d %+v", resp.StatusCode, problem)
			}
		})
	}
}
