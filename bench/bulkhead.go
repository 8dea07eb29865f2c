package main

import (
	"net/http"
	"time"

	failsafe "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	chi "github.com/go-chi/chi/v5/middleware"
	zero "github.com/zeromicro/go-zero/rest/handler"
	"golang.org/x/sync/semaphore"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
)

var bulkheads = kind{
	name:  "bulkhead",
	title: "bulkhead: a request that finds a slot",
	about: "A limit of one hundred for all, and free slots.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: bulkhead.Middleware(bulkhead.Basic(100))},
			{name: ours + ", a limit for each tenant", wrap: bulkhead.Middleware(bulkhead.PerTenant(handrail.ByHeader("User-Agent"), 100))},
			{name: "go-zero MaxConns", without: "a queue, Retry-After, priorities, statistics", less: true, wrap: zero.MaxConnsHandler(100)},
			{name: "x/sync semaphore", without: "a queue with a limit, Retry-After, priorities, statistics", less: true, wrap: weighted(100)},
			{name: "chi Throttle", without: "priorities, statistics, Retry-After unless asked", wrap: chi.ThrottleBacklog(100, 100, time.Second)},
			{name: "failsafe-go", without: "release on panic, priorities, clients that left", wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, failsafe.New[*http.Response](100))
			}},
		}
	},
	budgets: []budget{{time: 50 * time.Nanosecond, allocs: 0}},
}

// weighted bounds requests by a semaphore, without waiting.
func weighted(limit int64) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		slots := semaphore.NewWeighted(limit)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !slots.TryAcquire(1) {
				http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
				return
			}
			defer slots.Release(1)
			h.ServeHTTP(w, r)
		})
	}
}

var bulkheadFull = kind{
	name:    "bulkhead-full",
	answers: true,
	title:   "bulkhead: a request that finds none",
	about:   "A limit of one, with one request inside that stays there and nobody allowed to wait.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: occupied(bulkhead.Middleware(bulkhead.Basic(1), bulkhead.WithMaxWait(0)))},
			{name: "go-zero MaxConns", without: "Retry-After, any body", less: true, wrap: occupied(zero.MaxConnsHandler(1))},
			{name: "x/sync semaphore", without: "Retry-After, a body for programs, statistics", less: true, wrap: occupied(weighted(1))},
			{name: "chi Throttle", without: "Retry-After, a body for programs, statistics", less: true, wrap: occupied(chi.Throttle(1))},
			{name: "failsafe-go", without: "Retry-After, a body for programs", wrap: occupied(func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, failsafe.New[*http.Response](1))
			})},
		}
	},
	budgets: []budget{{time: 500 * time.Nanosecond, allocs: 1}},
}
