package observe_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
)

// steady writes to standard output what is the same each time.
func steady() slog.Handler {
	return observe.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, "duration_ms", "exception.stacktrace":
			return slog.Attr{}
		}
		return a
	}})
}

func Example() {
	log, err := observe.NewAccessLog(steady())
	if err != nil {
		panic(err)
	}
	defer log.Close()
	o, err := observe.New(observe.WithSink(log))
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "order %s", r.PathValue("id"))
	})
	o.Wrap(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/orders/7?token=secret", nil))
	// Output:
	// {"level":"INFO","msg":"http request","http.request.method":"GET","http.route":"/orders/{id}","url.path":"/orders/7","http.response.status_code":200,"http.request.body.size":0,"http.response.body.size":7,"client.address":"192.0.2.1","network.protocol.version":"1.1"}
}

// A function is a sink, which is told of every exchange once it is over.
func ExampleSinkFunc() {
	ends := observe.SinkFunc(func(x *observe.Exchange) {
		fmt.Println(x.Method, x.Route, x.Status, x.Cause.Outcome, x.Cause.Policy, x.Cause.Reason)
	})
	o, _ := observe.New(observe.WithSink(ends))
	full := bulkhead.Middleware(bulkhead.WithName("db"), bulkhead.WithLimit(0))
	h := o.Wrap(full(http.NotFoundHandler()))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	// Output:
	// GET  503 bulkhead_full db global
}

// Handlers add what only they know, and find the request's id.
func ExampleAddAttrs() {
	log, _ := observe.NewAccessLog(steady())
	o, _ := observe.New(observe.WithSink(log), observe.WithTrustedRequestID(), observe.WithAttrs(32))
	h := o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		observe.AddAttrs(r.Context(), slog.String("tenant", "acme"), slog.Int("rows", 3), slog.String("password", "x"))
		fmt.Println("in the handler:", observe.RequestID(r.Context()))
	}))
	r := httptest.NewRequest("POST", "/orders", strings.NewReader("{}"))
	r.Header.Set("X-Request-Id", "8f2a")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// in the handler: 8f2a
	// {"level":"INFO","msg":"http request","http.request.method":"POST","url.path":"/orders","http.response.status_code":200,"http.request.body.size":2,"http.response.body.size":0,"client.address":"192.0.2.1","network.protocol.version":"1.1","request_id":"8f2a","app":{"tenant":"acme","rows":3,"password":"REDACTED"}}
}

// The service's own lines carry the id of the request they belong to.
func ExampleLogHandler() {
	logger := slog.New(observe.LogHandler(steady()))
	o, _ := observe.New(observe.WithTrustedRequestID())
	h := o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "stored", "rows", 3)
	}))
	r := httptest.NewRequest("POST", "/orders", nil)
	r.Header.Set("X-Request-Id", "8f2a")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// {"level":"INFO","msg":"stored","rows":3,"request_id":"8f2a"}
}

// The service's lines and those of its requests go to the same place.
func ExampleNewJSONHandler() {
	lines := steady() // observe.NewJSONHandler(os.Stdout, nil), but for the times
	logger := slog.New(observe.LogHandler(lines))
	log, err := observe.NewAccessLog(lines)
	if err != nil {
		panic(err)
	}
	defer log.Close()
	o, _ := observe.New(observe.WithSink(log), observe.WithTrustedRequestID())
	h := o.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "stored", "rows", 3)
		w.WriteHeader(http.StatusCreated)
	}))
	r := httptest.NewRequest("POST", "/orders", strings.NewReader("{}"))
	r.Header.Set("X-Request-Id", "8f2a")
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// {"level":"INFO","msg":"stored","rows":3,"request_id":"8f2a"}
	// {"level":"INFO","msg":"http request","http.request.method":"POST","url.path":"/orders","http.response.status_code":201,"http.request.body.size":2,"http.response.body.size":0,"client.address":"192.0.2.1","network.protocol.version":"1.1","request_id":"8f2a"}
}

// A busy service keeps a tenth of what went well, all that was slow, and never
// waits for its writer.
func ExampleNewAccessLog() {
	log, err := observe.NewAccessLog(steady(),
		observe.WithSampling(0.1),
		observe.WithSlow(2*time.Second),
		observe.WithErrorLimit(5, 20),
		observe.WithAsync(10_000),
		observe.WithHeaders("Accept-Language"),
		observe.WithQuery(),
		observe.WithRedacted("code", "card"),
		observe.WithMaxValue(256),
	)
	if err != nil {
		panic(err)
	}
	defer log.Close() // after the server's Shutdown
	fmt.Println(log.Stats().Logged)
	// Output: 0
}

// http.TimeoutHandler loses the route, which the mux can be asked for again; and
// probes are not observed.
func ExampleWithRoute() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	o, _ := observe.New(
		observe.WithSink(observe.SinkFunc(func(x *observe.Exchange) { fmt.Println(x.Route) })),
		observe.WithRoute(handrail.ByMux(mux)),
		observe.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }),
	)
	h := o.Wrap(http.TimeoutHandler(mux, time.Minute, ""))
	for _, path := range []string{"/healthz", "/orders/1", "/orders/2"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	// Output:
	// /orders/{id}
	// /orders/{id}
}
