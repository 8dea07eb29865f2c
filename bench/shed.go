package main

import (
	"net"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"
	zeroload "github.com/zeromicro/go-zero/core/load"
	"github.com/zeromicro/go-zero/core/stat"
	zero "github.com/zeromicro/go-zero/rest/handler"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

var shedding = kind{
	name:  "shed",
	title: "shed: a request that is let in",
	about: "The adaptive strategy with its defaults, nothing overloaded.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: shed.Middleware()},
			{name: ours + ", classes and tenants", wrap: shed.Middleware(shed.WithPriorityHeader("X-Priority"), shed.WithTenant(handrail.ByHeader("User-Agent")))},
			{name: "chi Throttle", without: "a limit that adapts, priorities, tenants, statistics, the handler's status", less: true, wrap: chi.ThrottleBacklog(100, 100, time.Second)},
			{name: "httprate", without: "any look at load: a fixed rate for each client address", less: true, wrap: httprate.LimitBy(1<<30, time.Minute, address)},
			{name: "go-zero", without: "overload that is not CPU, a queue, priorities, tenants", wrap: zero.SheddingHandler(zeroload.NewAdaptiveShedder(), stat.NewMetrics("shed"))},
			{name: "aegis BBR", without: "overload that is not CPU, a queue, priorities, tenants, the handler's status", less: true, wrap: aegisLimiter},
			{name: "failsafe-go limiter", without: "release on panic, priorities over HTTP, the handler's status", wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, adaptivelimiter.NewWithDefaults[*http.Response]())
			}},
			{name: "failsafe-go throttler", without: "load: it follows failures only, and sees none over HTTP", less: true, wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, adaptivethrottler.NewWithDefaults[*http.Response]())
			}},
		}
	},
	budgets: []budget{{time: 150 * time.Nanosecond, allocs: 0, because: "the largest part is reading the clock, before and after the handler"}},
}

// address is the client's, as httprate's key.
func address(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}

func aegisLimiter(h http.Handler) http.Handler {
	limiter := bbr.NewLimiter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, err := limiter.Allow()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer done(ratelimit.DoneInfo{})
		h.ServeHTTP(w, r)
	})
}

// hot refuses everything, as go-zero's shedder does when the processors are
// busy, without what it costs to find that out.
type hot struct{}

func (hot) Allow() (zeroload.Promise, error) { return nil, zeroload.ErrServiceOverloaded }

var shedRefusing = kind{
	name:    "shed-refuse",
	answers: true,
	title:   "shed: a request that is refused",
	about:   "Limits of one, with one request inside that stays there and nobody allowed to wait. go-zero's handler is given a shedder that always refuses, so what its own would cost to decide is left out.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: occupied(shed.Middleware(shed.WithLimits(1, 1, 1), shed.WithMaxWait(0)))},
			{name: ours + ", function", wrap: shed.Middleware(shed.Using(func(shed.Snapshot, *http.Request) bool { return true }))},
			{name: "chi Throttle", without: "Retry-After, a body that says why to programs, statistics", less: true, wrap: occupied(chi.Throttle(1))},
			{name: "httprate", without: "any look at load: a fixed rate for each client address", wrap: httprate.LimitBy(0, time.Hour, address)},
			{name: "go-zero", without: "Retry-After, any body", less: true, wrap: zero.SheddingHandler(hot{}, stat.NewMetrics("shed"))},
			{name: "failsafe-go limiter", without: "Retry-After, a body for programs", wrap: occupied(func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, adaptivelimiter.NewBuilder[*http.Response]().WithLimits(1, 1, 1).Build())
			})},
		}
	},
	budgets: []budget{{time: 500 * time.Nanosecond, allocs: 1}},
}
