package prom_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

// get asks a handler for a path.
func get(h http.Handler, path string) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	body, _ := io.ReadAll(w.Result().Body)
	return string(body)
}

// show prints the lines that contain one of these.
func show(scrape string, some ...string) {
	for line := range strings.Lines(scrape) {
		for _, s := range some {
			if strings.Contains(line, s) && !strings.HasPrefix(line, "#") {
				fmt.Print(line)
			}
		}
	}
}

// A service whose requests and policies are scraped at /metrics.
func Example() {
	metrics, err := prom.New()
	if err != nil {
		panic(err)
	}
	observer, err := observe.New(observe.WithSink(metrics),
		observe.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/metrics" }))
	if err != nil {
		panic(err)
	}
	limit, err := bulkhead.New(bulkhead.WithName("orders"), bulkhead.WithLimit(50))
	if err != nil {
		panic(err)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, prom.NewCollector(observer, limit))

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /orders/{id}", limit.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "order "+r.PathValue("id"))
	})))
	service := handrail.Chain(observer.Wrap)(mux)

	get(service, "/orders/7")
	get(service, "/orders/8")
	get(service, "/favicon.ico")
	show(get(service, "/metrics"), "http_server_request_duration_seconds_count", "handrail_bulkhead_admitted", "handrail_bulkhead_limit")
	// Output:
	// handrail_bulkhead_admitted_requests_total{name="orders"} 2
	// handrail_bulkhead_limit_slots{name="orders"} 50
	// http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="http"} 2
	// http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="404",http_route="unmatched",url_scheme="http"} 1
}

// Dashboards that know promhttp's names keep working.
func ExampleWithClassicNames() {
	metrics, err := prom.New(prom.WithClassicNames(), prom.WithBuckets(.1, 1))
	if err != nil {
		panic(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	get(observe.Middleware(observe.WithSink(metrics))(mux), "/orders/7")
	show(get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/"), "http_requests_", "seconds_bucket")
	// Output:
	// http_request_duration_seconds_bucket{code="200",method="get",route="/orders/{id}",le="0.1"} 1
	// http_request_duration_seconds_bucket{code="200",method="get",route="/orders/{id}",le="1"} 1
	// http_request_duration_seconds_bucket{code="200",method="get",route="/orders/{id}",le="+Inf"} 1
	// http_requests_in_flight{method="get"} 0
	// http_requests_total{code="200",method="get",route="/orders/{id}"} 1
}

// Two listeners of one process in one registry.
func ExampleWithConstLabels() {
	registry := prometheus.NewRegistry()
	for _, listener := range []string{"public", "admin"} {
		metrics, err := prom.New(prom.WithConstLabels(prometheus.Labels{"listener": listener}))
		if err != nil {
			panic(err)
		}
		registry.MustRegister(metrics)
		get(observe.Middleware(observe.WithSink(metrics))(http.NotFoundHandler()), "/")
	}
	show(get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/"), "http_server_active_requests")
	// Output:
	// http_server_active_requests{http_request_method="GET",listener="admin",url_scheme="http"} 0
	// http_server_active_requests{http_request_method="GET",listener="public",url_scheme="http"} 0
}

// Sizes of bodies, with bounds that suit an API.
func ExampleWithSizes() {
	metrics, err := prom.New(prom.WithSizes(1<<10, 1<<20))
	if err != nil {
		panic(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	big := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 5000)) })
	get(observe.Middleware(observe.WithSink(metrics))(big), "/")
	show(get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/"), "response_body_size_bytes_bucket", "response_body_size_bytes_sum")
	// Output:
	// http_server_response_body_size_bytes_bucket{error_type="",http_request_method="GET",http_response_status_code="200",http_route="unmatched",url_scheme="http",le="1024"} 0
	// http_server_response_body_size_bytes_bucket{error_type="",http_request_method="GET",http_response_status_code="200",http_route="unmatched",url_scheme="http",le="1.048576e+06"} 1
	// http_server_response_body_size_bytes_bucket{error_type="",http_request_method="GET",http_response_status_code="200",http_route="unmatched",url_scheme="http",le="+Inf"} 1
	// http_server_response_body_size_bytes_sum{error_type="",http_request_method="GET",http_response_status_code="200",http_route="unmatched",url_scheme="http"} 5000
}

// Two instances that were given no name are still two.
func ExampleNewCollector() {
	registry := prometheus.NewRegistry()
	var limits []handrail.Source
	for n := range 2 {
		limit, err := bulkhead.New(bulkhead.WithLimit(10 * (n + 1)))
		if err != nil {
			panic(err)
		}
		limits = append(limits, limit)
	}
	registry.MustRegister(prom.NewCollector(limits...))
	show(get(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/"), "handrail_bulkhead_limit_slots")
	// Output:
	// handrail_bulkhead_limit_slots{name=""} 10
	// handrail_bulkhead_limit_slots{name="#2"} 20
}
