package health

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func BenchmarkProbe(b *testing.B) {
	opts := []Option{silent, WithDefaults(Every(time.Hour))}
	for i := range 10 {
		opts = append(opts, WithCheck(fmt.Sprint("c", i), passing))
	}
	opts = append(opts, WithCheck("bad", failing, In(Startup), FailAfter(1)))
	h := made(b, opts...)
	for h.Stats().Ready != Pass || h.Stats().Startup != Fail {
		time.Sleep(time.Millisecond)
	}
	w := h.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct{ name, path, accept string }{
		{"passing", "/readyz", ""}, {"kubelet", "/readyz", "*/*"}, {"failing", "/startupz", ""}, {"verbose", "/readyz?verbose", ""},
		{"exclude", "/readyz?exclude=c1", ""}, {"json", "/readyz", "application/health+json"}, {"passed on", "/orders/7", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", c.path, nil)
			if c.accept != "" {
				r.Header.Set("Accept", c.accept)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				out := &discard{header: http.Header{}}
				for pb.Next() {
					w.ServeHTTP(out, r)
				}
			})
		})
	}
}
