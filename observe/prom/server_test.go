package prom_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

func TestAHandlerBehavesAsWithoutTheMetrics(t *testing.T) {
	httptorture.Run(t, func(next http.Handler) http.Handler {
		return observe.Middleware(observe.WithSink(made(t, prom.WithSizes())))(next)
	})
}

// each runs a test over both protocols, with a server whose handler is observed,
// and a function that returns once all requests were.
func each(t *testing.T, h http.Handler, test func(t *testing.T, srv *httptest.Server, r *prometheus.Registry, wait func())) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			m := made(t)
			observed := observe.Middleware(observe.WithSink(m))(h)
			var inside sync.WaitGroup
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inside.Add(1)
				defer inside.Done()
				observed.ServeHTTP(w, r)
			}))
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.EnableHTTP2 = proto == "HTTP/2.0"
			srv.StartTLS()
			defer srv.Close()
			test(t, srv, registered(t, m), func() {
				srv.Close()
				inside.Wait() // for hijacked connections too, which the server does not know
			})
		})
	}
}

// call sends a request and reads what comes back, if anything does.
func call(t *testing.T, srv *httptest.Server, method, path string, change ...func(*http.Request)) {
	t.Helper()
	req, err := http.NewRequest(method, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	if resp, err := srv.Client().Do(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func TestPanicsAreRecorded(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/early", func(http.ResponseWriter, *http.Request) { panic("early") })
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		http.NewResponseController(w).Flush()
		panic("late")
	})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	each(t, mux, func(t *testing.T, srv *httptest.Server, r *prometheus.Registry, wait func()) {
		for range 3 {
			call(t, srv, "POST", "/early")
			call(t, srv, "POST", "/late")
			call(t, srv, "POST", "/abort")
		}
		wait()
		for _, labels := range [][]string{
			{`http_route="/early"`, `error_type="panic"`, `http_response_status_code="unknown"`},
			{`http_route="/late"`, `error_type="panic"`, `http_response_status_code="201"`},
			{`http_route="/abort"`, `error_type="aborted"`, `http_response_status_code="unknown"`},
		} {
			if series, requests := counted(t, r, append(labels, `http_request_method="POST"`, `url_scheme="https"`)...); series != 1 || requests != 3 {
				t.Errorf("%v: %d requests in %d series", labels, requests, series)
			}
		}
		if got := gathered(t, r)[`http_server_active_requests{http_request_method="POST",url_scheme="https"}`].GetGauge().GetValue(); got != 0 {
			t.Errorf("%v requests are active", got)
		}
	})
}

func TestLongLivedExchangesHaveAGaugeOfTheirOwnAndNoLatency(t *testing.T) {
	var seen func()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		seen()
	})
	mux.HandleFunc("GET /hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		seen()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		conn.Close()
	})
	each(t, mux, func(t *testing.T, srv *httptest.Server, r *prometheus.Registry, wait func()) {
		const active, long = `http_server_active_requests{http_request_method="GET",url_scheme="https"}`, `http_server_active_long_lived_requests{http_request_method="GET",url_scheme="https"}`
		shown := 0
		seen = func() {
			shown++
			all := gathered(t, r)
			if a, l := all[active].GetGauge().GetValue(), all[long].GetGauge().GetValue(); a != 0 || l != 1 {
				t.Errorf("%v active, %v long-lived", a, l)
			}
		}
		call(t, srv, "GET", "/stream")
		call(t, srv, "GET", "/hijack")
		wait()
		all := gathered(t, r)
		if a, l := all[active].GetGauge().GetValue(), all[long].GetGauge().GetValue(); a != 0 || l != 0 {
			t.Errorf("afterwards %v are active, %v long-lived", a, l)
		}
		if _, samples := counted(t, r, `http_route="/stream"`); samples != 0 {
			t.Errorf("an event stream is %d samples of latency", samples)
		}
		ended := 0.0
		for id, m := range all {
			if strings.HasPrefix(id, "http_server_long_lived_requests_total") {
				ended += m.Counter.GetValue()
			}
		}
		if int(ended) != shown || shown == 0 {
			t.Errorf("%v ended of %d", ended, shown)
		}
	})
}

func TestForgedHostsMethodsAndPathsMakeNoSeries(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/items/{id}", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("GET /only", func(w http.ResponseWriter, r *http.Request) {})
	forgery := func(i int) (method, path string, change func(*http.Request)) {
		method, path = fmt.Sprintf("BREW%d", i), "/items/1"
		switch i % 4 {
		case 0:
			method, path = "GET", fmt.Sprintf("/items/%d", i)
		case 1:
			method, path = "GET", fmt.Sprintf("/%d/none", i)
		case 2:
			path = fmt.Sprintf("/only?%d", i)
		}
		return method, path, func(r *http.Request) {
			r.Host = fmt.Sprintf("host-%d.example", i)
			r.Header.Set("User-Agent", fmt.Sprint(i))
			r.Header.Set("X-Forwarded-Proto", fmt.Sprint(i))
		}
	}
	shows := func(t *testing.T, r *prometheus.Registry, forged uint64) {
		t.Helper()
		if series, requests := counted(t, r); series != 4 || requests != forged {
			t.Errorf("%d requests made %d series", requests, series)
		}
		body, _ := scrape(t, r, askText)
		if strings.Contains(body, "BREW") || strings.Contains(body, ".example") || strings.Contains(body, "none") {
			t.Error("something that was forged is in the scrape")
		}
	}
	t.Run("many", func(t *testing.T) {
		const forged = 5000
		m := made(t)
		h := observe.Middleware(observe.WithSink(m))(mux)
		for i := range forged {
			method, path, change := forgery(i)
			r := httptest.NewRequest(method, path, nil)
			change(r)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		shows(t, registered(t, m), forged)
	})
	each(t, mux, func(t *testing.T, srv *httptest.Server, r *prometheus.Registry, wait func()) {
		const forged = 200
		for i := range forged {
			method, path, change := forgery(i)
			call(t, srv, method, path, change)
		}
		wait()
		shows(t, r, forged)
	})
}
