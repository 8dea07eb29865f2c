package main

import (
	"net/http"
	"time"

	"github.com/avast/retry-go/v5"
	backoff4 "github.com/cenkalti/backoff/v4"
	backoff5 "github.com/cenkalti/backoff/v5"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	chi "github.com/go-chi/chi/v5/middleware"

	handrail "github.com/handrail-go/handrail/retry"
)

// loop says what every loop around a handler leaves out: the first failed
// answer is on its way to the client before the loop can know.
const loop = "held answers (a failed one is already sent), bodies that can be read again, a budget"

var retries = kind{
	name:  "retry",
	title: "retry: a request that succeeds at once",
	about: "Three attempts at most. The loops are written around the handler with chi's response writer for the status.",
	rows: func() []row {
		return []row{
			{name: ours, wrap: handrail.Middleware()},
			{name: "backoff v4", without: loop, less: true, wrap: backoff4Loop},
			{name: "backoff v5", without: loop, less: true, wrap: backoff5Loop},
			{name: "retry-go", without: loop, less: true, wrap: retryLoop},
			{name: "failsafe-go", without: "the handler's status, held answers, bodies, a budget", less: true, wrap: func(h http.Handler) http.Handler {
				return failsafehttp.NewHandler(h, failsafehttp.NewRetryPolicyBuilder().Build())
			}},
		}
	},
	budgets: []budget{{time: 150 * time.Nanosecond, allocs: 1, because: "the attempt's writer is allocated, about 60 ns; remembering the request for a second attempt is 83, of which iterating over three headers is 42"}},
}

// attempt is one try of a loop.
func attempt(h http.Handler, w chi.WrapResponseWriter, r *http.Request) error {
	h.ServeHTTP(w, r)
	if w.Status() >= http.StatusInternalServerError {
		return errFailed
	}
	return nil
}

func backoff4Loop(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := chi.NewWrapResponseWriter(w, r.ProtoMajor)
		schedule := backoff4.NewExponentialBackOff(backoff4.WithInitialInterval(100*time.Millisecond), backoff4.WithMaxInterval(30*time.Second))
		backoff4.Retry(func() error { return attempt(h, rw, r) }, backoff4.WithContext(backoff4.WithMaxRetries(schedule, 2), r.Context()))
	})
}

func backoff5Loop(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := chi.NewWrapResponseWriter(w, r.ProtoMajor)
		backoff5.Retry(r.Context(), func() (struct{}, error) { return struct{}{}, attempt(h, rw, r) }, backoff5.WithMaxTries(3))
	})
}

func retryLoop(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := chi.NewWrapResponseWriter(w, r.ProtoMajor)
		retry.New(retry.Attempts(3), retry.Context(r.Context())).Do(func() error { return attempt(h, rw, r) })
	})
}
