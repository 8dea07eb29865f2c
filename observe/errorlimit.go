package observe

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// errorLimits bounds how often the same error is logged.
type errorLimits struct {
	rate  rate.Limit
	burst int

	mu sync.Mutex
	of map[errorKey]*errorLimit
}

// maxErrors is how many errors are told apart; those beyond share one limit.
const maxErrors = 4096

// errorKey is what makes an error the same. Both are bounded sets already, but
// an access log may have many observers.
type errorKey struct{ route, errorType string }

type errorLimit struct {
	limiter    *rate.Limiter
	suppressed uint64
	level      slog.Level
}

func (e *errorLimits) init(perSecond float64, burst int) {
	e.rate, e.burst, e.of = rate.Limit(perSecond), burst, map[errorKey]*errorLimit{}
}

// admit says whether x may be logged, and how many like it were not since the
// last time, which is of's.
func (e *errorLimits) admit(x *Exchange, level slog.Level) (of *errorLimit, suppressed uint64, admitted bool) {
	if e.rate == 0 {
		return nil, 0, true
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	key := errorKey{x.Route, x.ErrorType}
	if of = e.of[key]; of == nil {
		if len(e.of) >= maxErrors {
			key = errorKey{OtherRoute, OtherRoute}
			of = e.of[key]
		}
		if of == nil {
			of = &errorLimit{limiter: rate.NewLimiter(e.rate, e.burst)}
			e.of[key] = of
		}
	}
	if !of.limiter.AllowN(now, 1) {
		of.suppressed++
		of.level = max(of.level, level)
		return of, 0, false
	}
	suppressed, of.suppressed = of.suppressed, 0
	return of, suppressed, true
}

// keep counts again what could not be told.
func (e *errorLimits) keep(of *errorLimit, level slog.Level, n uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of.suppressed += n
	of.level = max(of.level, level)
}

// flush tells how many were suppressed and have not been told of. What tell has
// no room for, it keeps.
func (e *errorLimits) flush(tell func(of errorKey, level slog.Level, n uint64) bool) {
	type untold struct {
		errorKey
		of    *errorLimit
		level slog.Level
		n     uint64
	}
	var all []untold
	e.mu.Lock()
	for key, of := range e.of {
		if of.suppressed > 0 {
			all = append(all, untold{key, of, of.level, of.suppressed})
			of.suppressed, of.level = 0, 0
		}
	}
	e.mu.Unlock()
	for _, u := range all {
		if !tell(u.errorKey, u.level, u.n) {
			e.keep(u.of, u.level, u.n)
		}
	}
}
