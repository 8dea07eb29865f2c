package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/sony/gobreaker/v2"
	"github.com/zeromicro/go-zero/core/stat"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
)

var breakers = kind{
	name:  "breaker",
	title: "breaker: a request through a closed circuit",
	about: "One circuit, closed, and a handler that succeeds.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: breaker.Middleware()},
			{name: ours + ", a circuit for each key", wrap: breaker.Middleware(breaker.WithKey(handrail.ByHeader("User-Agent")))},
			{name: "gobreaker Execute", without: "the handler's status, keys, probes that hang", less: true, wrap: func(h http.Handler) http.Handler {
				cb := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{})
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, err := cb.Execute(func() (struct{}, error) { h.ServeHTTP(w, r); return struct{}{}, nil })
					unavailable(w, err)
				})
			}},
			{name: "gobreaker with the status and a rate", without: "keys, probes that hang, hijacking, clients that left", less: true, wrap: func(h http.Handler) http.Handler {
				return judged(gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
					Interval: 10 * time.Second, BucketPeriod: time.Second,
					ReadyToTrip: func(c gobreaker.Counts) bool {
						return c.ConsecutiveFailures >= 5 || c.Requests >= 10 && 2*c.TotalFailures >= c.Requests
					},
				}), h)
			}},
			{name: "gobreaker with the status", without: "a rate of failures in a window that moves, keys, probes that hang, hijacking, clients that left", less: true, wrap: func(h http.Handler) http.Handler {
				return judged(gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{}), h)
			}},
			{name: "go-zero", without: "a state that opens, half-open probes, keys, Retry-After", wrap: zero.BreakerHandler(http.MethodGet, "/orders", stat.NewMetrics("breaker"))},
			{name: "aegis SRE", without: "the handler's status, panics, a state that opens, keys", less: true, wrap: func(h http.Handler) http.Handler {
				cb := sre.NewBreaker()
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := cb.Allow(); err != nil {
						unavailable(w, err)
						return
					}
					h.ServeHTTP(w, r)
					cb.MarkSuccess()
				})
			}},
			{name: "hystrix-go", without: "the handler's status, keys, panics (they end the process)", wrap: func(h http.Handler) http.Handler {
				hystrix.SetLogger(log.New(io.Discard, "", 0))
				hystrix.ConfigureCommand("orders", hystrix.CommandConfig{Timeout: 30_000, MaxConcurrentRequests: 1000})
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					err := hystrix.DoC(r.Context(), "orders", func(context.Context) error { h.ServeHTTP(w, r); return nil }, nil)
					unavailable(w, err)
				})
			}},
			{name: "failsafe-go", without: "the handler's status, keys", less: true, wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, circuitbreaker.NewWithDefaults[*http.Response]())
			}},
		}
	},
	budgets: []budget{{time: 300 * time.Nanosecond, allocs: 1, because: "the largest part is reading the clock, within gobreaker; a reading of our own is for probes that hang and calls that are slow"}},
}

var errFailed = errors.New("failed")

// judged is gobreaker as a middleware: it heeds the status.
func judged(cb *gobreaker.CircuitBreaker[struct{}], h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := chi.NewWrapResponseWriter(w, r.ProtoMajor)
		_, err := cb.Execute(func() (struct{}, error) {
			h.ServeHTTP(rw, r)
			if rw.Status() >= http.StatusInternalServerError {
				return struct{}{}, errFailed
			}
			return struct{}{}, nil
		})
		unavailable(w, err)
	})
}

// unavailable answers what a breaker refused.
func unavailable(w http.ResponseWriter, err error) {
	if err != nil && err != errFailed {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
	}
}

var breakerOpen = kind{
	name:    "breaker-open",
	answers: true,
	title:   "breaker: a request that an open circuit refuses",
	about:   "The circuit was opened by failures and is open for longer than this takes.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: func(h http.Handler) http.Handler { return opened(h) }},
			{name: "gobreaker", without: "Retry-After, a body for programs, statistics", less: true, wrap: func(h http.Handler) http.Handler {
				cb := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Timeout: time.Hour})
				for cb.State() != gobreaker.StateOpen {
					cb.Execute(func() (struct{}, error) { return struct{}{}, errFailed })
				}
				return judged(cb, h)
			}},
			{name: "failsafe-go", without: "Retry-After, a body for programs", wrap: func(h http.Handler) http.Handler {
				cb := circuitbreaker.NewBuilder[*http.Response]().WithDelay(time.Hour).Build()
				cb.Open()
				return failsafehttp.NewHandler(h, cb)
			}},
		}
	},
	budgets: []budget{{time: 500 * time.Nanosecond, allocs: 1}},
}

// opened is h behind a circuit that is open, by failures, for longer than it is measured.
func opened(h http.Handler) http.Handler {
	b, err := breaker.New(breaker.WithConsecutiveFailures(1), breaker.WithOpenFor(90*time.Second))
	if err != nil {
		panic(err)
	}
	w, r, end := connect("").request()
	defer end()
	b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})).ServeHTTP(w, r)
	return b.Wrap(h)
}
