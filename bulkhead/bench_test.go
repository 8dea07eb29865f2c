package bulkhead_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
)

// nullWriter is the cheapest writer there is.
type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// semaphore is the floor: a channel with so many places, and nothing else.
func semaphore(n int) func(http.Handler) http.Handler {
	places := make(chan struct{}, n)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				next.ServeHTTP(w, r)
			default:
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
}

func request(header ...string) *http.Request {
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.Pattern = "GET /orders/{id}"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
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

// BenchmarkPass is what an admitted request costs, beside a channel used as a
// semaphore; the bare handler beside it is what to subtract.
func BenchmarkPass(b *testing.B) {
	tenant := handrail.ByHeader("X-Tenant")
	r := request("X-Tenant", "acme", "X-Priority", "high")
	for _, mw := range []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"bare", func(h http.Handler) http.Handler { return h }},
		{"global", bulkhead.Middleware()},
		{"priorities", bulkhead.Middleware(bulkhead.WithPriorityHeader("X-Priority"))},
		{"tenants", bulkhead.Middleware(bulkhead.PerTenant(tenant, 10))},
		{"operations", bulkhead.Middleware(bulkhead.PerOperation(20))},
		{"everything", bulkhead.Middleware(bulkhead.PerTenant(tenant, 10), bulkhead.PerOperation(20),
			bulkhead.WithPriorityHeader("X-Priority"), bulkhead.WithGuarantees(map[string]int{"acme": 5}))},
		{"semaphore", semaphore(100)},
	} {
		b.Run(mw.name, func(b *testing.B) { benchmark(b, mw.wrap(noop), r) })
	}
}

// BenchmarkReject is what a rejection costs.
func BenchmarkReject(b *testing.B) {
	for _, mw := range []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"global", bulkhead.Middleware(bulkhead.WithLimit(0))},
		{"tenant", bulkhead.Middleware(bulkhead.PerTenant(handrail.ByHeader("X-Tenant"), 0))},
		{"semaphore", semaphore(0)},
	} {
		b.Run(mw.name, func(b *testing.B) { benchmark(b, mw.wrap(noop), request("X-Tenant", "acme")) })
	}
}

// BenchmarkKeys is an admission among so many tenants.
func BenchmarkKeys(b *testing.B) {
	for _, n := range []int{1, 100, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := bulkhead.Middleware(bulkhead.PerTenant(handrail.ByHeader("T"), 10), bulkhead.WithMaxKeys(n))(noop)
			requests, w := make([]*http.Request, min(n, 1000)), &nullWriter{http.Header{}}
			for i := range n {
				h.ServeHTTP(w, request("T", strconv.Itoa(i)))
			}
			for i := range requests {
				requests[i] = request("T", strconv.Itoa(i*(n/len(requests))))
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, requests[i])
				if i++; i == len(requests) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkInFlight is an admission while so many others are inside.
func BenchmarkInFlight(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			limit, err := bulkhead.New(bulkhead.Basic(n + 1))
			if err != nil {
				b.Fatal(err)
			}
			hold, held := make(chan struct{}), make(chan struct{})
			inside := limit.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { held <- struct{}{}; <-hold }))
			for range n {
				go inside.ServeHTTP(&nullWriter{http.Header{}}, request())
				<-held
			}
			defer close(hold)
			h, w, r := limit.Wrap(noop), &nullWriter{http.Header{}}, request()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
