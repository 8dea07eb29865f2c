package main

import (
	"context"
	"maps"
	"net/http"
	"testing"
	"time"
)

// BenchmarkKinds measures the rows of the page, one kind after the other:
//
//	go -C bench test -bench Kinds/breaker
func BenchmarkKinds(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) { k.benchmark(b, k.rows()...) })
	}
}

// BenchmarkFloors measures what some promises cannot cost less than.
func BenchmarkFloors(b *testing.B) {
	compare(b,
		row{name: "two readings of the clock", wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				began := time.Now()
				h.ServeHTTP(w, r)
				_ = time.Since(began)
			})
		}},
		row{name: "a copy of the request", wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(r.Context())) })
		}},
		row{name: "a deadline", wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
				defer cancel()
				h.ServeHTTP(w, r.WithContext(ctx))
			})
		}},
		row{name: "a header of its own", wrap: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				header := http.Header{"Content-Type": {"application/json"}}
				h.ServeHTTP(w, r)
				maps.Copy(w.Header(), header)
			})
		}},
	)
}

// compare measures rows that stand in no table.
func compare(b *testing.B, rows ...row) { kind{}.benchmark(b, rows...) }

func (k kind) benchmark(b *testing.B, rows ...row) {
	for _, r := range append([]row{{name: "bare", wrap: bare}}, rows...) {
		h := r.wrap(k.inner())
		b.Run(r.name, func(b *testing.B) {
			for _, m := range modes {
				b.Run(m.name, func(b *testing.B) {
					b.ReportAllocs()
					m.took(h, b.N, k.path)
				})
			}
		})
	}
}
