package timeout

import (
	"context"
	"fmt"
	"time"
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
