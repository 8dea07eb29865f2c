package prom_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A registry with everything that this toolkit exposes finds nothing wrong with
// it, and all of it is there.
func TestEveryPackageIsExposedAndFollowsTheRules(t *testing.T) {
	leaktest.Check(t)
	sampler := must[*load.Sampler](t)(load.New(load.WithName("host")))
	defer sampler.Close()
	shedder := must[*shed.Shedder](t)(shed.New(shed.WithName("front"), shed.WithSampler(sampler)))
	deadline := must[*timeout.Timeout](t)(timeout.New(timeout.WithName("front")))
	again := must[*retry.Retrier](t)(retry.New(retry.WithName("front")))
	circuit := must[*breaker.Breaker](t)(breaker.New(breaker.WithName("front")))
	slots := must[*bulkhead.Bulkhead](t)(bulkhead.New(bulkhead.WithName("front")))
	unnamed := must[*bulkhead.Bulkhead](t)(bulkhead.New())
	unnamedToo := must[*bulkhead.Bulkhead](t)(bulkhead.New())
	metrics := made(t, prom.WithSizes())
	observer := must[*observe.Observer](t)(observe.New(observe.WithName("front"), observe.WithSink(metrics)))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	chain := handrail.Chain(observer.Wrap, shedder.Wrap, deadline.Wrap, again.Wrap, circuit.Wrap, slots.Wrap, unnamed.Wrap, unnamedToo.Wrap)
	srv := httptest.NewServer(chain(mux))
	defer srv.Close()
	for range 10 {
		resp, err := srv.Client().Get(srv.URL + "/orders/7")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}

	collector := prom.NewCollector(sampler, shedder, deadline, again, circuit, slots, unnamed, unnamedToo, observer)
	r := registered(t, metrics, collector)
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if f := collector.Faults(); len(f) > 0 {
		t.Errorf("faults: %v", f)
	}
	body, _ := scrape(t, r, askText)
	if _, err := parser().TextToMetricFamilies(strings.NewReader(body)); err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		`handrail_load_in_flight_requests{name="host"} `, `handrail_shed_limit_requests{name="front"} `,
		`handrail_timeout_requests_total{name="front"} 10`, `handrail_retry_requests_total{name="front"} 10`,
		`handrail_breaker_results_total{name="front",verdict="success"} 10`,
		`handrail_bulkhead_admitted_requests_total{name="front"} 10`, `handrail_bulkhead_wait_seconds_count{name="front"} 0`,
		`handrail_bulkhead_admitted_requests_total{name=""} 10`, `handrail_bulkhead_admitted_requests_total{name="#2"} 10`,
		`handrail_observe_requests_total{name="front",outcome="answered"} 10`,
		`http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",http_route="/orders/{id}",url_scheme="http"} 10`,
	} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("the scrape lacks %s", line)
		}
	}
	for _, ask := range []string{askOpenMetrics, askProtobuf} {
		scrape(t, r, ask)
	}
}

func parser() *expfmt.TextParser {
	p := expfmt.NewTextParser(model.LegacyValidation)
	return &p
}

// What a policy outside of the handler decides is in the label, whatever its
// status.
func TestWhatAPolicyDecidedIsInTheLabel(t *testing.T) {
	hang := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	fail := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) })
	for _, tc := range []struct {
		name    string
		policy  func(http.Handler) http.Handler
		handler http.Handler
		labels  []string
	}{
		{"shed", shed.Middleware(shed.Using(func(shed.Snapshot, *http.Request) bool { return true })), fail, []string{`error_type="shed"`, `http_response_status_code="503"`}},
		{"timeout", timeout.Middleware(timeout.Basic(time.Millisecond)), hang, []string{`error_type="timeout"`, `http_response_status_code="503"`}},
		{"bulkhead", bulkhead.Middleware(bulkhead.Basic(0)), fail, []string{`error_type="bulkhead_full"`, `http_response_status_code="503"`}},
		{"breaker", breaker.Middleware(breaker.WithConsecutiveFailures(1)), fail, []string{`error_type="breaker_open"`, `http_response_status_code="503"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			metrics := made(t)
			srv := httptest.NewServer(observe.Middleware(observe.WithSink(metrics))(tc.policy(tc.handler)))
			defer srv.Close()
			for range 2 { // of which the first one opens the breaker
				resp, err := srv.Client().Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			srv.Close() // handlers are done once it is
			if series, requests := counted(t, registered(t, metrics), tc.labels...); series != 1 || requests == 0 {
				t.Errorf("%d series with %d requests have %v", series, requests, tc.labels)
			}
		})
	}
}
