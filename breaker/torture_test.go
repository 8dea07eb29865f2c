package breaker_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/httptorture"
)

// never opens, whatever fails.
func never() []breaker.Option {
	return []breaker.Option{breaker.WithConsecutiveFailures(1_000_000), breaker.WithFailureRate(0, 1, time.Second, 10)}
}

func TestAHandlerBehavesAsWithoutTheBreaker(t *testing.T) {
	httptorture.Run(t, breaker.Middleware(never()...))
}

// Each request here is a probe, with all options that do something to one. None
// of them counts, so that the circuit stays half-open.
func TestAProbeBehavesAsWithoutTheBreakerWhateverItsOptions(t *testing.T) {
	httptorture.Run(t, func(next http.Handler) http.Handler {
		opened := false
		b := made(t, breaker.WithConsecutiveFailures(1), breaker.WithOpenFor(time.Millisecond), breaker.WithSuccesses(1000), breaker.WithProbes(1000),
			breaker.WithKey(func(*http.Request) string { return "" }), breaker.WithMaxKeys(1), breaker.WithSlowCall(time.Hour, .5), breaker.WithRamp(time.Second),
			breaker.WithFallback(http.NotFoundHandler()), breaker.OnStateChange(func(breaker.Event) {}),
			breaker.WithClassifier(func(r breaker.Result) breaker.Verdict {
				if !opened {
					opened = true
					return breaker.Failure
				}
				return breaker.Excluded
			}))
		drive(b).do(failed)
		for b.Stats().Circuits[0].NextProbe.After(time.Now()) {
			time.Sleep(time.Millisecond)
		}
		return b.Wrap(next)
	})
}
