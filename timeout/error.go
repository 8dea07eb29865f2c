package timeout

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Error says that a deadline of this package has passed. It is the
// [context.Cause] of a handler's context at its deadline, whose Err is
// [context.DeadlineExceeded] as ever, and what a [Timeout.Transport] returns.
//
//	if cause := new(timeout.Error); errors.As(context.Cause(r.Context()), &cause) { … }
type Error struct {
	// Name is that of the instance (WithName).
	Name string
	// After is the time there was: the timeout chosen for the request, or the
	// idle timeout of a stream.
	After time.Duration

	t *Timeout // of which it is, nil where somebody else made it
}

// Error returns a sentence with name and time.
func (e *Error) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("timeout: not done after %v", e.After)
	}
	return fmt.Sprintf("timeout: %s: not done after %v", e.Name, e.After)
}

// Unwrap makes errors.Is(err, context.DeadlineExceeded) true.
func (e *Error) Unwrap() error { return context.DeadlineExceeded }

// Timeout tells packages such as net and net/http what kind of error it is.
func (e *Error) Timeout() bool { return true }

// Temporary is true, as for [context.DeadlineExceeded].
func (e *Error) Temporary() bool { return true }

// ServeHTTP answers the client for whose request a [Timeout.Transport] has waited
// in vain, as the policy answers one whose handler is not done: with its status,
// message and rejection handler. The outcome of the response is timeout, with
// the policy's name and the reason deadline, so an access log and metrics further
// out tell why. It is for a proxy, see [Timeout.Transport].
func (e *Error) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := e.t
	if t == nil {
		set := defaults()
		rejection := handrail.Rejection{Status: set.status, Code: Code, Reason: ReasonDeadline.String(), Message: set.message, Name: e.Name}
		httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: httpwrap.Timeout, Policy: e.Name, Reason: rejection.Reason})
		refuse.New(rejection, nil).Write(w, r, new(refuse.Jitter).RetryAfter(0))
		return
	}
	httpwrap.Find(w).SetCause(&t.causes[ReasonDeadline])
	t.answers[ReasonDeadline].Write(w, r, t.jitter.RetryAfter(0))
}
