package retry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cenkalti/backoff/v4"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/retry"
)

var silent = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// statusOnly is the least that a loop has to know of a response.
type statusOnly struct {
	http.ResponseWriter
	status int
}

func (w *statusOnly) WriteHeader(status int) { w.status = status; w.ResponseWriter.WriteHeader(status) }

var errStatus = errors.New("failed")

// looped is the usual loop around a handler, which keeps none of this package's
// promises: nothing is held back, and nothing begins anew.
func looped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := backoff.WithContext(backoff.WithMaxRetries(backoff.NewExponentialBackOff(backoff.WithInitialInterval(1), backoff.WithMaxInterval(1)), 2), r.Context())
		backoff.Retry(func() error {
			rw := &statusOnly{w, 200}
			if next.ServeHTTP(rw, r); rw.status >= 500 {
				return errStatus
			}
			return nil
		}, b)
	})
}

// recorded is the cheapest that knows a response: this toolkit's recorder.
func recorded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw, rec, owner := httpwrap.Wrap(w)
		if owner {
			defer rec.Release()
		}
		next.ServeHTTP(rw, r)
	})
}

func bench(b *testing.B, h http.Handler, fields int) {
	newRequest := func() *http.Request {
		r := httptest.NewRequest("GET", "/", nil).WithContext(context.Background())
		for i := range fields {
			r.Header.Set("X-Field-"+string(rune('A'+i)), "value")
		}
		return r
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		w, r := &nullHTTP1{http.Header{}}, newRequest()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w, r := &nullHTTP1{http.Header{}}, newRequest()
			for pb.Next() {
				h.ServeHTTP(w, r)
			}
		})
	})
}

func BenchmarkGoodFirstAttempt(b *testing.B) {
	b.Run("bare", func(b *testing.B) { bench(b, silent, 0) })
	b.Run("handrail", func(b *testing.B) { bench(b, retry.Middleware()(silent), 0) })
	b.Run("handrail, 8 headers", func(b *testing.B) { bench(b, retry.Middleware()(silent), 8) })
	b.Run("recorder", func(b *testing.B) { bench(b, recorded(silent), 0) })
	b.Run("backoff loop", func(b *testing.B) { bench(b, looped(silent), 0) })
}

func BenchmarkThreeFailedAttempts(b *testing.B) {
	failing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	b.Run("handrail", func(b *testing.B) { bench(b, retry.Middleware(eager()...)(failing), 0) })
	b.Run("backoff loop", func(b *testing.B) { bench(b, looped(failing), 0) })
}

func BenchmarkFailureThatTheBudgetDenies(b *testing.B) {
	failing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	none, err := retry.NewBudget(0, 0)
	if err != nil {
		b.Fatal(err)
	}
	bench(b, retry.Middleware(retry.WithBudget(none))(failing), 0)
}

func BenchmarkTransport(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
	base := tripper(func(r *http.Request) (*http.Response, error) {
		c := *resp
		return &c, nil
	})
	r := request(b, "GET", "http://example.com", nil)
	for name, rt := range map[string]http.RoundTripper{"bare": base, "handrail": made(b).Transport(base)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}
