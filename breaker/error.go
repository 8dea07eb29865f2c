package breaker

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// ErrOpen is what every [OpenError] wraps, so that errors.Is finds it. The
// request was not sent, and its body is closed, as by every
// [http.RoundTripper]: whoever sends it elsewhere needs another one, such as
// [http.Request.GetBody] has.
var ErrOpen = errors.New("circuit breaker is open")

// OpenError is the error of a [Breaker.Transport] that refused a request. It is
// an [http.Handler] that hands the refusal on, which is what a proxy needs.
type OpenError struct {
	// Name is that of the Breaker, Key that of the circuit.
	Name, Key string
	Reason    Reason
	// RetryAfter is when trying again may help, rounded up to seconds.
	RetryAfter time.Duration

	// Of a Transport's errors.
	b *Breaker
}

// Error names breaker, key and reason.
func (e *OpenError) Error() string {
	name := "breaker"
	if e.Name != "" {
		name += ": " + e.Name
	}
	return fmt.Sprintf("%s: %q refused (%v): %v, retry after %v", name, e.Key, e.Reason, ErrOpen, e.RetryAfter)
}

// Unwrap returns [ErrOpen].
func (e *OpenError) Unwrap() error { return ErrOpen }

// Rejection is what a client would be told where the request came from one. It
// marks the error as the refusal of a policy, which another breaker further out
// does not hold against the host.
func (e *OpenError) Rejection() handrail.Rejection {
	set := &usual
	if e.b != nil {
		set = &e.b.set
	}
	r := set.rejection(e.Reason)
	r.Name, r.RetryAfter = e.Name, e.RetryAfter
	return r
}

// usual are the settings for an error that no Breaker made.
var usual = defaults()

// ServeHTTP hands the refusal on to the client for whose request this one was to
// be sent: it answers as the Breaker answers a request that it does not serve,
// with its status, message and rejection handler, but not by WithFallback. The
// outcome of the response is breaker_open, with the Breaker's name and the
// reason, so an access log and metrics further out tell why, and a retry there
// does not repeat it. It is for a proxy, see [Breaker.Transport].
func (e *OpenError) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.b == nil || e.Reason <= admitted || e.Reason >= reasons {
		rejection := e.Rejection()
		httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: httpwrap.BreakerOpen, Policy: e.Name, Reason: rejection.Reason})
		refuse.New(rejection, nil).Write(w, r, e.RetryAfter)
		return
	}
	httpwrap.Find(w).SetCause(&e.b.answers.causes[e.Reason])
	e.b.answers.of[e.Reason].Write(w, r, e.RetryAfter)
}
