package bulkhead_test

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
	"github.com/handrail-go/handrail/bulkhead"
)

// One limit for a handler, such as the size of the connection pool it uses.
func Example() {
	limit := bulkhead.Middleware(bulkhead.Basic(50))

	mux := http.NewServeMux()
	mux.Handle("GET /orders", limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "orders")
	})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 orders
}

// A tenant that has reached its limit is refused, and the others are served.
func ExamplePerTenant() {
	limit, err := bulkhead.New(
		bulkhead.WithLimit(100),
		bulkhead.PerTenant(handrail.ByHeader("X-Tenant"), 1), // set by your gateway
		bulkhead.WithTenantLimits(map[string]int{"enterprise": 40, "blocked": 0}),
		bulkhead.WithMaxWait(0),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	inside, release := make(chan struct{}), make(chan struct{})
	h := limit.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(inside)
			<-release
		}
	}))
	send := func(tenant, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Tenant", tenant)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	done := make(chan struct{})
	go func() { send("acme", "/slow"); close(done) }()
	<-inside
	refused := send("acme", "/")
	fmt.Println("acme:", refused.Code, refused.Body)
	fmt.Println("other:", send("other", "/").Code)
	fmt.Println("blocked:", send("blocked", "/").Code)
	close(release)
	<-done
	// Output:
	// acme: 429 {"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests are being served. Try again later.","code":"BULKHEAD_LIMIT_EXCEEDED","reason":"tenant"}
	//
	// other: 200
	// blocked: 429
}

// Checkout is guaranteed 30 of 100 slots. While it does not use them, others
// may; when it comes back, it gets the next ones that become free.
func ExampleWithGuarantees() {
	team := func(r *http.Request) string { return r.Header.Get("X-Team") }
	limit, err := bulkhead.New(
		bulkhead.WithLimit(100),
		bulkhead.PerTenant(team, bulkhead.Unlimited),
		bulkhead.WithGuarantees(map[string]int{"checkout": 30}),
		bulkhead.WithPriorityHeader("X-Priority"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	http.Handle("/", limit.Wrap(http.NotFoundHandler()))
	fmt.Println(limit.Stats().Limit)
	// Output: 100
}

// A client bounds what it has under way to each host, downloads included.
func ExampleBulkhead_Transport() {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a large file")
	}))
	defer files.Close()

	limit, err := bulkhead.New(
		bulkhead.WithName("downloads"),
		bulkhead.WithOperationLimit(1), // for each host
		bulkhead.WithMaxWait(10*time.Millisecond),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limit.Transport(nil)}
	first, err := client.Get(files.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	// The header of the first is there, its body is still being read.
	_, err = client.Get(files.URL)
	if full := new(bulkhead.FullError); errors.As(err, &full) {
		fmt.Println(full.Name, "is full:", full.Reason, "for a slot of", full.Limit)
	}
	io.Copy(io.Discard, first.Body)
	first.Body.Close()
	second, err := client.Get(files.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	second.Body.Close()
	fmt.Println(second.Status)
	client.CloseIdleConnections()
	// Output:
	// downloads is full: wait_timeout for a slot of operation
	// 200 OK
}

// The common mistake: outside of the mux the route is not known yet, so all
// requests are one operation. ByMux asks the mux.
func ExampleWithOperation_outsideOfTheMux() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /export", func(http.ResponseWriter, *http.Request) {})

	for _, limit := range []func(http.Handler) http.Handler{
		bulkhead.Middleware(bulkhead.WithOperationLimits(map[string]int{"GET /export": 0})), // wrong
		bulkhead.Middleware(bulkhead.WithOperationLimits(map[string]int{"GET /export": 0}), bulkhead.WithOperation(handrail.ByMux(mux))),
	} {
		w := httptest.NewRecorder()
		limit(mux).ServeHTTP(w, httptest.NewRequest("GET", "/export", nil))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 503
}

// A proxy that sends an upstream no more than it can bear. Its client is told
// when to come back, and not merely that the gateway is bad.
func ExampleFullError_ServeHTTP() {
	limit, err := bulkhead.New(bulkhead.WithName("upstream"), bulkhead.WithOperationLimits(map[string]int{"closed.internal": 0}))
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: "http", Host: "closed.internal"}) },
		Transport: limit.Transport(nil),
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
	w := httptest.NewRecorder()
	proxy.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 503 {"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Too many requests are being served. Try again later.","code":"BULKHEAD_LIMIT_EXCEEDED","reason":"operation","name":"upstream"}
}
