package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	alexliesenfeld "github.com/alexliesenfeld/health"
	hellofresh "github.com/hellofresh/health-go/v5"

	"github.com/handrail-go/handrail/health"
)

var probes = kind{
	name:    "health",
	title:   "health: a probe",
	about:   "Readiness with two checks that pass and do nothing. A probe of ours reads what the last checks found, and so does one of alexliesenfeld/health while its cache is valid; the others run the checks, within the probe.",
	path:    "/readyz",
	answers: true,
	rows: func() []row {
		good := func(context.Context) error { return nil }
		probes := health.Middleware(health.WithLogger(slog.New(slog.DiscardHandler)), health.WithCheck("a", good), health.WithCheck("b", good))
		verbose := func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.RawQuery = "verbose"
				h.ServeHTTP(w, r)
			})
		}
		cached := alexliesenfeld.NewChecker(alexliesenfeld.WithCacheDuration(time.Hour),
			alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "a", Check: good}), alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "b", Check: good}))
		uncached := alexliesenfeld.NewChecker(alexliesenfeld.WithDisabledCache(),
			alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "a", Check: good}), alexliesenfeld.WithCheck(alexliesenfeld.Check{Name: "b", Check: good}))
		every := must(hellofresh.New(hellofresh.WithChecks(
			hellofresh.Config{Name: "a", Timeout: 2 * time.Second, Check: good}, hellofresh.Config{Name: "b", Timeout: 2 * time.Second, Check: good})))
		return []row{
			{name: ours, wrap: passed(probes)},
			{name: ours + ", verbose", wrap: passed(chain(verbose, probes))},
			{name: "alexliesenfeld/health, cached", without: "checks apart from probes, hysteresis, groups, drain", wrap: passed(func(http.Handler) http.Handler { return alexliesenfeld.NewHandler(cached) })},
			{name: "alexliesenfeld/health, not cached", without: "checks apart from probes, hysteresis, groups, drain", wrap: passed(func(http.Handler) http.Handler { return alexliesenfeld.NewHandler(uncached) })},
			{name: "hellofresh/health-go", without: "checks apart from probes, hysteresis, groups, drain", wrap: passed(func(http.Handler) http.Handler { return every.Handler() })},
		}
	},
	budgets: []budget{{time: time.Microsecond, allocs: 1}},
}

// passed waits until the probe passes: before the first check is done it
// cannot.
func passed(wrap middleware) middleware {
	return func(h http.Handler) http.Handler {
		wrapped := wrap(h)
		for range 1000 {
			w := httptest.NewRecorder()
			wrapped.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code == http.StatusOK {
				return wrapped
			}
			time.Sleep(time.Millisecond)
		}
		panic("bench: the probe doesn't pass")
	}
}
