package breaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/handrail-go/handrail"
)

// ErrOpen is what every [OpenError] wraps, so that errors.Is finds it.
var ErrOpen = errors.New("circuit breaker is open")

// OpenError is the error of a [Breaker.Transport] that refused a request.
type OpenError struct {
	// Name is that of the Breaker, Key that of the circuit.
	Name, Key string
	Reason    Reason
	// RetryAfter is when trying again may help, rounded up to seconds.
	RetryAfter time.Duration

	rejection handrail.Rejection
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
	r := e.rejection
	r.RetryAfter = e.RetryAfter
	return r
}

// rejected is what the errors of policies that refuse a request have.
type rejected interface{ Rejection() handrail.Rejection }
