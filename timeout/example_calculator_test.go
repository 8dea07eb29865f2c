package timeout_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/timeout"
)

// Requests that look like more work get more time.
func ExampleByComplexity() {
	calc := timeout.ByComplexity(timeout.ComplexityFactors{Delete: 4})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/items", nil),
		httptest.NewRequest("GET", "/items?a=1&b=2&c=3&d=4&e=5&f=6", nil),
		httptest.NewRequest("POST", "/items", nil),
		httptest.NewRequest("DELETE", "/items/7", nil),
	} {
		fmt.Println(r.Method, r.URL, calc.Timeout(r, 10*time.Second))
	}
	// Output:
	// GET /items 5s
	// GET /items?a=1&b=2&c=3&d=4&e=5&f=6 10s
	// POST /items 20s
	// DELETE /items/7 40s
}

// The class is read off the route here, where no client can choose it.
func ExampleByPriority() {
	calc := timeout.ByPriority(func(r *http.Request) handrail.Priority {
		switch r.Pattern {
		case "POST /payments":
			return handrail.Critical
		case "GET /export":
			return handrail.Background
		}
		return handrail.Normal
	})
	for _, route := range []string{"POST /payments", "GET /items", "GET /export"} {
		fmt.Println(route, calc.Timeout(&http.Request{Pattern: route}, 8*time.Second))
	}
	// Output:
	// POST /payments 40s
	// GET /items 8s
	// GET /export 2s
}

func ExampleByLoad() {
	load := timeout.Load{CPU: 0.5, InFlight: 120}
	calc := timeout.ByLoad(func() timeout.Load { return load }, timeout.LoadWeights{InFlight: 0.25})
	fmt.Println(calc.Timeout(nil, 10*time.Second))
	// Output: 15s
}

// The pressure would be the method Pressure of a load.Sampler.
func ExampleShortenUnderLoad() {
	var pressure float64
	calc := timeout.ShortenUnderLoad(func() float64 { return pressure }, 0)
	for _, pressure = range []float64{0.3, 1, 2, 100} {
		fmt.Println(pressure, calc.Timeout(nil, 8*time.Second))
	}
	// Output:
	// 0.3 8s
	// 1 8s
	// 2 4s
	// 100 2s
}

// With mux outside, the middleware would know the route by itself; here it
// stands outside and has to ask.
func ExampleByQuantile() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})

	calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{
		Factor:    3,
		Floor:     250 * time.Millisecond,
		Operation: handrail.ByMux(mux),
	})
	limit := timeout.Middleware(timeout.Dynamic(30*time.Second, calc))
	limit(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/items/7", nil))

	// One request is too few to learn from.
	fmt.Println(calc.Timeout(httptest.NewRequest("GET", "/items/8", nil), 30*time.Second))
	// Output: 30s
}

// Each calculator has the result of the one before as its base.
func ExampleCompose() {
	reports := timeout.CalculatorFunc(func(r *http.Request, base time.Duration) time.Duration {
		if r.URL.Path == "/report" {
			return time.Minute
		}
		return 0 // leave it as it is
	})
	overloaded := timeout.ShortenUnderLoad(func() float64 { return 2 }, 0)
	calc := timeout.Compose(timeout.ByComplexity(timeout.ComplexityFactors{}), reports, overloaded)
	for _, path := range []string{"/items", "/report"} {
		fmt.Println(path, calc.Timeout(httptest.NewRequest("GET", path, nil), 20*time.Second))
	}
	// Output:
	// /items 5s
	// /report 30s
}
