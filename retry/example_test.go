package retry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/handrail-go/handrail/retry"
)

func Example() {
	n := 0
	flaky := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 3 {
			w.Header().Set("X-Broken", "yes")
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "here you are")
	})
	h := retry.Middleware(retry.HTTP(), retry.WithFixed(time.Millisecond))(flaky)

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Code, " ", w.Body)
	fmt.Println("headers of failed attempts:", w.Header().Get("X-Broken") != "")
	// Output:
	// 200 here you are
	// headers of failed attempts: false
}

// A client that sends again what failed, body and all.
func ExampleRetrier_Transport() {
	n := 0
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n++; n < 2 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "stored %q as attempt %s", body, r.Header.Get("X-Attempt"))
	}))
	defer service.Close()

	policy, err := retry.New(retry.HTTP(), retry.WithFixed(time.Millisecond), retry.WithAttemptHeader("X-Attempt"))
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: policy.Transport(nil)}
	r, _ := http.NewRequest("PUT", service.URL, strings.NewReader("data"))
	resp, err := client.Do(r)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	io.Copy(&lineWriter{}, resp.Body)
	s := policy.Stats()
	fmt.Println(s.Requests, "request,", s.Attempts, "attempts,", s.Recovered, "recovered")
	// Output:
	// stored "data" as attempt 1
	// 1 request, 2 attempts, 1 recovered
}

type lineWriter struct{}

func (lineWriter) Write(p []byte) (int, error) { fmt.Printf("%s\n", p); return len(p), nil }

// Two clients of one service share what they may add to its load.
func ExampleNewBudget() {
	budget, err := retry.NewBudget(0.2, 0)
	if err != nil {
		panic(err)
	}
	down := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	orders := retry.Middleware(retry.WithBudget(budget), retry.WithFixed(1))(down)
	users := retry.Middleware(retry.WithBudget(budget), retry.WithFixed(1))(down)
	for range 50 {
		orders.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		users.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	s := budget.Stats()
	fmt.Println(s.Requests, "requests,", s.Denied > 0)
	// Output:
	// 100 requests, true
}

func ExampleOnGiveUp() {
	done := make(chan retry.GiveUp)
	h := retry.Middleware(
		retry.Custom(2, func(int) time.Duration { return time.Millisecond }),
		retry.OnGiveUp(func(g retry.GiveUp) { done <- g }),
	)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	g := <-done
	fmt.Println(g.Reason, "after", g.Attempts, "attempts with", g.Status)
	// Output:
	// exhausted after 2 attempts with 502
}
