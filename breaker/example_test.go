package breaker_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
)

// A service whose database is down: after five failures nobody waits for it any
// more.
func Example() {
	asked := 0
	service := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusInternalServerError)
	})
	protected := breaker.Middleware()(service)
	for range 100 {
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code == http.StatusServiceUnavailable {
			fmt.Println("refused, retry after", w.Header().Get("Retry-After"))
			break
		}
	}
	fmt.Println("asked", asked, "times")
	// Output:
	// refused, retry after 60
	// asked 5 times
}

// Each route has a circuit of its own. The middleware stands outside of the
// mux, so it asks the mux for the route.
func ExamplePerOperation() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	b, err := breaker.New(breaker.PerOperation(), breaker.WithKey(handrail.ByMux(mux)))
	if err != nil {
		panic(err)
	}
	protected := b.Wrap(mux)
	for i := range 10 {
		for _, kind := range []string{"reports", "orders"} {
			protected.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprintf("/%s/%d", kind, i), nil))
		}
	}
	for _, c := range b.Stats().Circuits {
		fmt.Println(c.Key, c.State, c.Rejected)
	}
	fmt.Println(b.Degraded())
	// Output:
	// GET /orders/{id} closed 0
	// GET /reports/{id} open 5
	// breaker: 1 open: "GET /reports/{id}"
}

// A client that leaves hosts alone which fail, for as long as they ask for.
func ExampleBreaker_Transport() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer upstream.Close()
	b, err := breaker.New(breaker.WithRetryAfter(10 * time.Minute))
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: b.Transport(nil)}
	for range 6 {
		resp, err := client.Get(upstream.URL)
		var open *breaker.OpenError
		if errors.As(err, &open) {
			fmt.Println(open.Reason, open.RetryAfter)
			continue
		}
		resp.Body.Close()
	}
	// Output: open 30s
}

// What is refused comes from a cache.
func ExampleWithFallback() {
	cache := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "yesterday's prices") })
	protected := breaker.Middleware(breaker.WithFallback(cache), breaker.WithMode(breaker.ForcedOpen))(http.NotFoundHandler())
	w := httptest.NewRecorder()
	protected.ServeHTTP(w, httptest.NewRequest("GET", "/prices", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 yesterday's prices
}

// The thresholds are tried on real traffic first, and nobody is refused.
func ExampleBreaker_Shadow() {
	b, err := breaker.New(breaker.Advanced(breaker.Settings{ConsecutiveFailures: 2}), breaker.WithMode(breaker.Shadow))
	if err != nil {
		panic(err)
	}
	failing := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	for range 10 {
		failing.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	fmt.Println("would have refused", b.Stats().Spared)
	b.Automatic() // from here on it does
	// Output: would have refused 8
}

// A mistake: one circuit in front of all routes. The report that fails takes
// the orders with it.
func Example_oneCircuitForAll() {
	mux := http.NewServeMux()
	mux.HandleFunc("/report", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	mux.HandleFunc("/orders", func(http.ResponseWriter, *http.Request) {})
	protected := breaker.Middleware()(mux)
	for range 5 {
		protected.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/report", nil))
	}
	w := httptest.NewRecorder()
	protected.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println("orders:", w.Code)
	// Output: orders: 503
}

// A proxy whose upstream fails. Its client is told when to come back, and not
// merely that the gateway is bad.
func ExampleOpenError_ServeHTTP() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		panic(err)
	}
	b, err := breaker.New(breaker.WithName("upstream"))
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: b.Transport(nil),
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var refusal http.Handler // of any transport of this toolkit
			if errors.As(err, &refusal) {
				refusal.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	for range 6 {
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 500 ""
	// 500 ""
	// 500 ""
	// 500 ""
	// 500 ""
	// 503 "60"
}

// A balancer passes over the hosts whose circuit is open. One whose open time is
// over is half-open, so it gets its probe.
func ExampleKeyControl_State() {
	b, err := breaker.New(breaker.WithConsecutiveFailures(1))
	if err != nil {
		panic(err)
	}
	through := b.Transport(transportFunc(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "b.internal" {
			return nil, errors.New("connection refused")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	}))
	hosts, turn := []string{"a.internal", "b.internal", "c.internal"}, 0
	balanced := transportFunc(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context()) // a RoundTripper changes no request
		for range hosts {
			r.URL.Host = hosts[turn%len(hosts)]
			turn++
			if b.Key(breaker.ByTarget(r)).State() != breaker.Open {
				break
			}
		}
		return through.RoundTrip(r)
	})
	for range 6 {
		resp, err := balanced.RoundTrip(httptest.NewRequest("GET", "http://any/", nil))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(resp.Request.URL.Host)
	}
	// Output:
	// a.internal
	// connection refused
	// c.internal
	// a.internal
	// c.internal
	// a.internal
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
