package shed_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// nullWriter is the cheapest writer there is, with the interfaces of a
// server's HTTP/1.1 one left out.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func benchSampler(b *testing.B) *load.Sampler {
	b.Helper()
	s, err := load.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func benchmark(b *testing.B, h http.Handler, r *http.Request) {
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

// BenchmarkPass is what an admitted request costs; the bare handler beside it
// is what to subtract.
func BenchmarkPass(b *testing.B) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Priority", "high")
	r.Header.Set("X-Tenant", "acme")
	b.Run("bare", func(b *testing.B) { benchmark(b, noop, r) })
	for name, opts := range map[string][]shed.Option{
		"adaptive": nil,
		"classes":  {shed.WithPriorityHeader("X-Priority")},
		"tenants":  {shed.WithPriorityHeader("X-Priority"), shed.WithTenant(handrail.ByHeader("X-Tenant"))},
		"random":   {shed.WithStrategy(shed.Random)},
	} {
		b.Run(name, func(b *testing.B) {
			h := shed.Middleware(append(opts, shed.WithSampler(benchSampler(b)))...)(noop)
			benchmark(b, h, r)
		})
	}
}

// BenchmarkReject is what a refusal costs.
func BenchmarkReject(b *testing.B) {
	r := httptest.NewRequest("GET", "/", nil)
	always := func(shed.Snapshot, *http.Request) bool { return true }
	b.Run("custom", func(b *testing.B) {
		benchmark(b, shed.Middleware(shed.Using(always), shed.WithSampler(benchSampler(b)))(noop), r)
	})
	b.Run("adaptive", func(b *testing.B) {
		mw := shed.Middleware(shed.WithLimits(1, 1, 1), shed.WithMaxWait(0), shed.WithSampler(benchSampler(b)))
		hold, held := make(chan struct{}), make(chan struct{})
		h := mw(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(held); <-hold }))
		go h.ServeHTTP(&nullWriter{http.Header{}}, r)
		<-held
		defer close(hold)
		benchmark(b, h, r)
	})
}
