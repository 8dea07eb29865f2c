package main

import (
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	failsafe "github.com/failsafe-go/failsafe-go/timeout"
	chi "github.com/go-chi/chi/v5/middleware"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail/timeout"
)

var timeouts = kind{
	name:  "timeout",
	title: "timeout: a request that is in time",
	about: "Thirty seconds over HTTP/1.1, which nobody needs.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: timeout.Middleware()},
			{name: "net/http TimeoutHandler", without: "streams, hijacking, Retry-After, statistics", wrap: func(h http.Handler) http.Handler {
				return http.TimeoutHandler(h, 30*time.Second, "")
			}},
			{name: "go-zero", without: "race-free Flush and its status, Retry-After, statistics", wrap: zero.TimeoutHandler(30 * time.Second)},
			{name: "chi", without: "an answer where the handler ignores its context", less: true, wrap: chi.Timeout(30 * time.Second)},
			{name: "failsafe-go", without: "an answer where the handler ignores its context, a deadline in the context", less: true, wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, failsafe.New[*http.Response](30*time.Second))
			}},
		}
	},
	budgets: []budget{{time: 900 * time.Nanosecond, allocs: 5, because: "most of it is allocating the exchange and the copy of the request, and setting a timer"}},
}
