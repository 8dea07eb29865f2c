package bench

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/failsafe-go/failsafe-go/failsafehttp"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/retry"
)

func BenchmarkRetry(b *testing.B) {
	compare(b,
		row{name: "handrail", wrap: retry.Middleware()},
		row{name: "backoff", without: "held responses, bodies, budget", wrap: func(h http.Handler) http.Handler {
			failed := errors.New("failed")
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rw, rec, owner := httpwrap.Wrap(w)
				if owner {
					defer rec.Release()
				}
				schedule := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(30*time.Second))
				backoff.Retry(func() error {
					h.ServeHTTP(rw, r)
					if rec.Status() >= 500 {
						return failed
					}
					return nil
				}, backoff.WithContext(backoff.WithMaxRetries(schedule, 2), r.Context()))
			})
		}},
		row{name: "failsafe-go", without: "statuses of handlers, held responses, bodies, budget", wrap: func(h http.Handler) http.Handler {
			return failsafehttp.NewHandler(h, failsafehttp.NewRetryPolicyBuilder().Build())
		}},
	)
}
