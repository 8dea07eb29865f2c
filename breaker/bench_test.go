package breaker_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
)

// nullWriter is the server's writer of HTTP/1 that sends nowhere: all methods,
// no work.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header               { return w.header }
func (w *nullWriter) WriteHeader(int)                   {}
func (w *nullWriter) Write(p []byte) (int, error)       { return len(p), nil }
func (w *nullWriter) WriteString(s string) (int, error) { return len(s), nil }
func (w *nullWriter) Flush()                            {}
func (w *nullWriter) FlushError() error                 { return nil }
func (w *nullWriter) SetReadDeadline(time.Time) error   { return nil }
func (w *nullWriter) SetWriteDeadline(time.Time) error  { return nil }
func (w *nullWriter) EnableFullDuplex() error           { return nil }
func (w *nullWriter) CloseNotify() <-chan bool          { return nil }
func (w *nullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not here")
}
func (w *nullWriter) ReadFrom(io.Reader) (int64, error) {
	return 0, nil
}

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func measure(b *testing.B, h http.Handler) {
	newCall := func() (*nullWriter, *http.Request) {
		r := httptest.NewRequest("GET", "/orders/7", nil)
		r.Header.Set("X-Tenant", "acme")
		return &nullWriter{http.Header{}}, r
	}
	b.Run("serial", func(b *testing.B) {
		w, r := newCall()
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w, r := newCall()
			for pb.Next() {
				h.ServeHTTP(w, r)
			}
		})
	})
}

// throughGobreaker is the least that gobreaker costs in front of a handler.
func throughGobreaker(cb *gobreaker.CircuitBreaker[struct{}], next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := cb.Execute(func() (struct{}, error) {
			next.ServeHTTP(w, r)
			return struct{}{}, nil
		})
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

func rolling() gobreaker.Settings {
	return gobreaker.Settings{Interval: 10 * time.Second, BucketPeriod: time.Second, ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= 5 }}
}

// BenchmarkPass is a request that is let through a closed circuit, beside what
// gobreaker costs without the rest.
func BenchmarkPass(b *testing.B) {
	for _, of := range []struct {
		name string
		h    http.Handler
	}{
		{"bare", noop},
		{"gobreaker", throughGobreaker(gobreaker.NewCircuitBreaker[struct{}](rolling()), noop)},
		{"breaker", breaker.Middleware()(noop)},
		{"keyed", breaker.Middleware(breaker.PerTenant(handrail.ByHeader("X-Tenant")))(noop)},
		{"everything", breaker.Middleware(breaker.PerTenant(handrail.ByHeader("X-Tenant")), breaker.WithSlowCall(time.Minute, .5),
			breaker.WithClassifier(func(r breaker.Result) breaker.Verdict { return r.Verdict }), breaker.WithRamp(time.Second))(noop)},
	} {
		b.Run(of.name, func(b *testing.B) { measure(b, of.h) })
	}
}

// BenchmarkReject is a request that an open circuit refuses.
func BenchmarkReject(b *testing.B) {
	cb := gobreaker.NewCircuitBreaker[struct{}](rolling())
	for range 5 {
		cb.Execute(func() (struct{}, error) { return struct{}{}, errors.New("failed") })
	}
	open := func(opts ...breaker.Option) http.Handler {
		h := breaker.Middleware(append(opts, breaker.WithOpenFor(5*time.Minute))...)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
		for range 5 {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-Tenant", "acme")
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		return h
	}
	for _, of := range []struct {
		name string
		h    http.Handler
	}{
		{"gobreaker", throughGobreaker(cb, noop)},
		{"breaker", open()},
		{"keyed", open(breaker.PerTenant(handrail.ByHeader("X-Tenant")))},
		{"forced", breaker.Middleware(breaker.WithMode(breaker.ForcedOpen))(noop)},
	} {
		b.Run(of.name, func(b *testing.B) { measure(b, of.h) })
	}
}
