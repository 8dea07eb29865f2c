package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/timeout"
)

// A handler that takes too long, and does not even look at its context.
func Example() {
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(200 * time.Millisecond) })
	srv := httptest.NewServer(timeout.Middleware(timeout.Basic(20 * time.Millisecond))(slow))
	defer srv.Close()

	resp, err := http.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	// Output: 503 Service Unavailable application/problem+json
}

// Routes have timeouts of their own. The middleware stands outside of the mux,
// so it asks the mux.
func ExamplePerOperation() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reports/{id}", func(_ http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		fmt.Println("report within", time.Until(deadline).Round(time.Second))
	})
	protect := timeout.Middleware(
		timeout.PerOperation(5*time.Second, map[string]time.Duration{"GET /reports/{id}": time.Minute}),
		timeout.WithOperation(handrail.ByMux(mux)),
	)
	protect(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/reports/7", nil))
	// Output: report within 1m0s
}

// The cause tells this deadline from any other.
func ExampleError() {
	work := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		var cause *timeout.Error
		fmt.Println(errors.As(context.Cause(r.Context()), &cause), cause)
	})
	protect := timeout.Middleware(timeout.Basic(time.Millisecond), timeout.WithName("checkout"))
	srv := httptest.NewServer(protect(work))
	defer srv.Close()
	if resp, err := http.Get(srv.URL); err == nil {
		resp.Body.Close()
	}
	// Output: true timeout: checkout: not done after 1ms
}

// Event streams are spared, for as long as something is written now and then.
func ExampleWithIdleTimeout() {
	protect := timeout.Middleware(timeout.Basic(5*time.Second), timeout.WithIdleTimeout(time.Minute))
	http.Handle("GET /events", protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: hello\n\n")
		http.NewResponseController(w).Flush()
	})))
}
