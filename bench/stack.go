package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	failsafebulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	failsafetimeout "github.com/failsafe-go/failsafe-go/timeout"
	chi "github.com/go-chi/chi/v5/middleware"
	sloghttp "github.com/samber/slog-http"
	"github.com/sony/gobreaker/v2"
	zeroload "github.com/zeromicro/go-zero/core/load"
	"github.com/zeromicro/go-zero/core/stat"
	zero "github.com/zeromicro/go-zero/rest/handler"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

var resilience = kind{
	name:  "resilience",
	title: "The five policies together",
	about: "shed, timeout, retry, breaker and bulkhead, in the order of the manual, without observability.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: policies()},
			{name: "assembled", without: assembledLacks, less: true, wrap: assembledPolicies()},
			{name: "go-zero", without: "retries, priorities, queues, tenants", wrap: chain(zeroPolicies("policies")...)},
			{name: "failsafe-go", without: "the handler's status, release on panic, an answer where the handler ignores its context", less: true, wrap: failsafePolicies},
		}
	},
	budgets: []budget{{time: 1400 * time.Nanosecond, allocs: unlimited, because: "eleven readings of the clock are 265 ns, two of them gobreaker's own; setting and stopping the timer is 170; the copy of the request, the exchange, the attempt and the timer are 1.1 kB; each of the two writers that can hold an answer back adds 55"}},
}

// assembledLacks is what the usual parts leave out together.
const assembledLacks = "a limit that adapts, priorities, tenants, held answers of retries, causes in the log, statistics of the policies"

// chain applies the first outermost.
func chain(mw ...middleware) middleware { return handrail.Chain(mw...) }

// policies are all of ours in the order of the manual.
func policies() middleware {
	return chain(shed.Middleware(), timeout.Middleware(), retry.Middleware(), breaker.Middleware(), bulkhead.Middleware(bulkhead.Basic(100)))
}

// assembledPolicies is what one takes without a toolkit.
func assembledPolicies() middleware {
	return chain(
		chi.ThrottleBacklog(1000, 1000, time.Second),
		func(h http.Handler) http.Handler { return http.TimeoutHandler(h, 30*time.Second, "") },
		backoff4Loop,
		func(h http.Handler) http.Handler {
			return judged(gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{}), h)
		},
		weighted(100),
	)
}

// zeroPolicies are those of go-zero's server, in its order.
func zeroPolicies(name string) []middleware {
	metrics := stat.NewMetrics(name)
	return []middleware{
		zero.MaxConnsHandler(10_000),
		zero.BreakerHandler(http.MethodGet, "/"+name, metrics),
		zero.SheddingHandler(zeroload.NewAdaptiveShedder(zeroload.WithCpuThreshold(900)), metrics),
		zero.TimeoutHandler(3 * time.Second),
		zero.RecoverHandler,
	}
}

func failsafePolicies(h http.Handler) http.Handler {
	return failsafehttp.NewHandler(h,
		adaptivelimiter.NewWithDefaults[*http.Response](),
		failsafetimeout.New[*http.Response](30*time.Second),
		failsafehttp.NewRetryPolicyBuilder().Build(),
		circuitbreaker.NewWithDefaults[*http.Response](),
		failsafebulkhead.New[*http.Response](100),
	)
}

// whole is every package of ours in the order of the manual.
func whole(s stack, sinks ...observe.Sink) middleware {
	return chain(
		observed(append(sinks, metricsSink(), logSink())...),
		shed.Middleware(s.shed...), timeout.Middleware(), retry.Middleware(),
		s.breakerOrUsual(), bulkhead.Middleware(s.bulkheadOrUsual()...),
	)
}

// stack says what is not usual in a whole stack.
type stack struct {
	shed     []shed.Option
	breaker  middleware
	bulkhead []bulkhead.Option
}

func (s stack) breakerOrUsual() middleware {
	if s.breaker != nil {
		return s.breaker
	}
	return breaker.Middleware()
}

func (s stack) bulkheadOrUsual() []bulkhead.Option {
	if s.bulkhead != nil {
		return s.bulkhead
	}
	return []bulkhead.Option{bulkhead.Basic(100)}
}

var wholeStack = kind{
	name:  "stack",
	title: "The whole stack",
	about: "Access log, metrics and the five policies. *Assembled* is what a good engineer puts together from the usual parts: httplog or slog-http, promhttp's five, chi's Throttle, net/http's TimeoutHandler, a loop of backoff, gobreaker with the status, and a semaphore.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: whole(stack{})},
			{name: "assembled", without: assembledLacks, wrap: chain(httpLog(), promFive, assembledPolicies())},
			{name: "assembled, slog-http", without: assembledLacks + ", panics in the log", wrap: chain(sloghttp.New(jsonLogger()), promFive, assembledPolicies())},
			{name: "go-zero's default chain, no trace", without: "retries, priorities, queues, tenants, causes", wrap: zeroDefault("stack")},
			{name: "failsafe-go, five policies", without: "all observability; the handler's status, release on panic", less: true, wrap: failsafePolicies},
		}
	},
	budgets: []budget{
		{time: 3 * time.Microsecond, allocs: 10},
		{of: "assembled", share: .25, allocs: unlimited},
	},
}

var answeredStack = kind{
	name:    "stack-answer",
	title:   "The whole stack around a handler that answers",
	about:   "The same around a handler that sets a Content-Type, and writes one of the orders of the server below. Whatever holds an answer back, or copies its header, shows here.",
	handler: answering(),
	rows: func() []row {
		return []row{
			{name: ours, wrap: whole(stack{})},
			{name: ours + ", policies only", wrap: policies()},
			{name: ours + ", timeout only", wrap: timeout.Middleware()},
			{name: ours + ", retry only", wrap: retry.Middleware()},
			{name: "assembled", without: assembledLacks, wrap: chain(httpLog(), promFive, assembledPolicies())},
			{name: "go-zero's default chain, no trace", without: "retries, priorities, queues, tenants, causes", wrap: zeroDefault("answer")},
			{name: "failsafe-go, five policies", without: "all observability; the handler's status, release on panic", less: true, wrap: failsafePolicies},
		}
	},
	budgets: []budget{{of: "assembled", share: .25, allocs: unlimited}},
}

// answering writes an order, which it has encoded before.
func answering() http.Handler {
	body := must(json.Marshal(newOrder(7)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
}

var tracedStack = kind{
	name:  "stack-traced",
	title: "The whole stack with a sampled trace",
	about: "The same with a span for each request; the assembled stack has otelhttp outside.",
	rows: func() []row {
		sampled := provider(sdk.AlwaysSample())
		return []row{
			{name: ours, wrap: whole(stack{}, traceSink(sampled))},
			{name: "assembled", without: assembledLacks, wrap: chain(otelHTTP(sampled), httpLog(), promFive, assembledPolicies())},
			{name: "go-zero's default chain", without: "retries, priorities, queues, tenants, causes", wrap: chain(zeroTrace(sampled), zeroDefault("traced"))},
		}
	},
	budgets: []budget{
		{time: 7 * time.Microsecond, allocs: unlimited},
		{of: "assembled", share: .25, allocs: unlimited},
	},
}

// zeroDefault is what go-zero's server puts around every handler, without its
// tracing.
func zeroDefault(name string) middleware {
	mw := append([]middleware{zero.LogHandler, zero.PrometheusHandler("/"+name, http.MethodGet)}, zeroPolicies(name)...)
	return chain(append(mw, zero.MetricHandler(stat.NewMetrics(name)), zero.MaxBytesHandler(1<<20), zero.GunzipHandler)...)
}
