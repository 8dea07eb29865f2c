package bulkhead

import (
	"errors"
	"fmt"
	"time"

	"github.com/handrail-go/handrail"
)

// ErrFull is what every [FullError] wraps, so that errors.Is finds it.
var ErrFull = errors.New("bulkhead is full")

// FullError is the error of a [Bulkhead.Transport] for a request that it did not
// send.
//
//	if full := new(bulkhead.FullError); errors.As(err, &full) { … }
type FullError struct {
	// Name is that of the Bulkhead, Key that of the operation: the host unless
	// an option says otherwise.
	Name, Key string
	// Reason is why it was refused, and Limit the limit that was in the way:
	// ReasonGlobal, ReasonTenant or ReasonOperation, which is that of the host.
	Reason, Limit Reason
	// RetryAfter is when trying again may help, in whole seconds.
	RetryAfter time.Duration
	// Err is the cause of the request's context where that ended the waiting,
	// else nil.
	Err error

	rejection handrail.Rejection
}

// Error names bulkhead, key and reason.
func (e *FullError) Error() string {
	name := "bulkhead"
	if e.Name != "" {
		name += ": " + e.Name
	}
	return fmt.Sprintf("%s: %q refused (%v): %v, retry after %v", name, e.Key, e.Reason, ErrFull, e.RetryAfter)
}

// Unwrap returns [ErrFull], and Err if there is one.
func (e *FullError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrFull}
	}
	return []error{ErrFull, e.Err}
}

// Timeout says whether waiting took too long, for packages such as net and
// net/http.
func (e *FullError) Timeout() bool { return e.Reason == ReasonWaitTimeout }

// Rejection is what a client would be told where the request came from one. It
// marks the error as the refusal of a policy, which is not the host's fault and
// not to be repeated at once.
func (e *FullError) Rejection() handrail.Rejection {
	r := e.rejection
	r.RetryAfter = e.RetryAfter
	return r
}
