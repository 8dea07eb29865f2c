package prom_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/timeout"
)

// nullWriter is the cheapest writer there is.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func benchmark(b *testing.B, h http.Handler) {
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.Pattern = "GET /orders/{id}"
	b.Run("serial", func(b *testing.B) {
		w := &nullWriter{http.Header{}}
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w := &nullWriter{http.Header{}}
			for pb.Next() {
				h.ServeHTTP(w, r)
			}
		})
	})
}

var codeAndMethod = []string{"code", "method"}

// duration is promhttp's histogram of durations, and nothing else.
func duration(next http.Handler, native bool) http.Handler {
	opts := prometheus.HistogramOpts{Name: "d", Buckets: prometheus.DefBuckets}
	if native {
		opts.NativeHistogramBucketFactor, opts.NativeHistogramMaxBucketNumber = 1.1, 160
		opts.NativeHistogramMinResetDuration = time.Hour
	}
	return promhttp.InstrumentHandlerDuration(prometheus.NewHistogramVec(opts, codeAndMethod), next)
}

// five is promhttp's usual chain.
func five(next http.Handler) http.Handler {
	histogram := func(name string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name}, codeAndMethod)
	}
	return promhttp.InstrumentHandlerInFlight(prometheus.NewGauge(prometheus.GaugeOpts{Name: "f"}),
		promhttp.InstrumentHandlerDuration(histogram("d"),
			promhttp.InstrumentHandlerCounter(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c"}, codeAndMethod),
				promhttp.InstrumentHandlerRequestSize(histogram("i"),
					promhttp.InstrumentHandlerResponseSize(histogram("o"), next)))))
}

// BenchmarkRequest is what metrics of a request cost through the whole
// middleware, beside promhttp; the bare handler and an observer without a sink
// are what to subtract.
func BenchmarkRequest(b *testing.B) {
	observed := func(opts ...prom.Option) http.Handler {
		return observe.Middleware(observe.WithSink(made(b, opts...)))(noop)
	}
	for _, v := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", noop},
		{"no-sink", observe.Middleware()(noop)},
		{"handrail", observed()},
		{"handrail-one-histogram", observed(prom.WithNativeHistograms(false))},
		{"handrail-sizes", observed(prom.WithSizes())},
		{"handrail-classic-names-sizes", observed(prom.WithClassicNames(), prom.WithSizes())},
		{"promhttp-duration", duration(noop, false)},
		{"promhttp-duration-native", duration(noop, true)},
		{"promhttp-five", five(noop)},
	} {
		b.Run(v.name, func(b *testing.B) { benchmark(b, v.h) })
	}
}

// BenchmarkSink is the sink's own part, also of a request whose trace is sampled
// and of one that has no series of its own.
func BenchmarkSink(b *testing.B) {
	for _, v := range []struct {
		name string
		opts []prom.Option
		x    *observe.Exchange
	}{
		{"plain", nil, answered()},
		{"sampled", nil, answered(sampled)},
		{"failed", nil, answered(func(x *observe.Exchange) { x.Status, x.ErrorType = 503, "shed" })},
		{"shared", []prom.Option{prom.WithMaxSeries(1)}, answered()},
	} {
		b.Run(v.name, func(b *testing.B) {
			m := made(b, v.opts...)
			pass(m, answered(func(x *observe.Exchange) { x.Route = "/first" }))
			b.ReportAllocs()
			for b.Loop() {
				m.Start(v.x)
				m.Observe(v.x)
			}
		})
	}
}

// BenchmarkScrape is what a scrape of policies costs.
func BenchmarkScrape(b *testing.B) {
	c := prom.NewCollector(must[*timeout.Timeout](b)(timeout.New()), must[*retry.Retrier](b)(retry.New()),
		must[*breaker.Breaker](b)(breaker.New()), must[*bulkhead.Bulkhead](b)(bulkhead.New()))
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
