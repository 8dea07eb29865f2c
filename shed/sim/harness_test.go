package sim

import (
	"math"
	"net/http"
	"testing"
	"time"
)

// before wraps a function around the handler.
func before(f func(http.ResponseWriter, *http.Request, http.Handler)) Builder {
	return func(*Env) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, next) })
		}
	}
}

// semaphore is a limit that somebody guessed right.
func semaphore(n int) Builder {
	return func(env *Env) func(http.Handler) http.Handler {
		places := make(chan struct{}, n)
		return before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
				next.ServeHTTP(w, r)
			default:
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})(env)
	}
}

// refuse is a middleware that lets nothing through.
var refuse = before(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusServiceUnavailable)
})

// about fails unless got is within the share of want.
func about(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within*math.Abs(want)) {
		t.Errorf("%s = %v, want %v ± %v%%", what, got, want, 100*within)
	}
}

// shorter makes a scenario that needs many requests bearable under the race
// detector, where its statistics are less certain by the second result.
func shorter(d time.Duration, within float64) (time.Duration, float64) {
	if RaceEnabled {
		return d / 8, within * 3
	}
	return d, within
}
