package retry

import (
	"context"
	"fmt"
	"time"
)

// Error says that an attempt, or all of them together, took too long. It is the
// cause of the context, and what a Transport returns. It is a
// [context.DeadlineExceeded], and its method Timeout returns true.
type Error struct {
	// Name is that of the Retrier.
	Name string
	// After is how much time there was.
	After time.Duration
}

// Error names the instance and how long it waited.
func (e *Error) Error() string {
	name := "retry"
	if e.Name != "" {
		name += " " + e.Name
	}
	return fmt.Sprintf("%s: no response after %v", name, e.After)
}

// Timeout is true, which is how package net tells timeouts.
func (e *Error) Timeout() bool { return true }

// Temporary is true, for whoever still asks.
func (e *Error) Temporary() bool { return true }

// Is says that this is a [context.DeadlineExceeded].
func (e *Error) Is(target error) bool { return target == context.DeadlineExceeded }
