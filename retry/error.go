package retry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// Error says that an attempt, or all of them together, took too long. It is the
// cause of the context, and what a Transport returns. It is a
// [context.DeadlineExceeded], and its method Timeout returns true.
type Error struct {
	// Name is that of the Retrier.
	Name string
	// After is how much time there was.
	After time.Duration

	p *Retrier // of which it is, nil where somebody else made it
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

// ServeHTTP answers the client for whose request a [Retrier.Transport] has waited
// in vain, as the policy answers one whose attempts all ran out of time: 504 with
// the code RETRY_TIMEOUT. The outcome of the response is timeout, with the
// Retrier's name and the reason "timeout", so an access log and metrics further
// out tell why. It is for a proxy, see [Retrier.Transport].
func (e *Error) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var late *refuse.Response
	if e.p != nil {
		late = e.p.late
	} else {
		late = refuse.New(tooLate(e.Name), nil)
	}
	httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: httpwrap.Timeout, Policy: e.Name, Reason: tooLate("").Reason})
	late.Write(w, r, 0)
}
