package bulkhead

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// ErrFull is what every [FullError] wraps, so that errors.Is finds it. The
// request was not sent, and its body is closed, as by every
// [http.RoundTripper]: whoever sends it elsewhere needs another one, such as
// [http.Request.GetBody] has.
var ErrFull = errors.New("bulkhead is full")

// FullError is the error of a [Bulkhead.Transport] for a request that it did not
// send.
//
//	if full := new(bulkhead.FullError); errors.As(err, &full) { … }
//
// It is an [http.Handler] that hands the refusal on, which is what a proxy needs.
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

	// Of a Transport's errors.
	answer *answer
	cause  *httpwrap.Cause
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
	r := handrail.Rejection{Status: usual.status, Code: Code, Message: usual.message}
	switch {
	case e.answer != nil:
		r = e.answer.rejection
	case e.Limit == ReasonTenant:
		r.Status = usual.tenantStatus
	}
	r.Reason, r.Name, r.RetryAfter = e.Reason.String(), e.Name, e.RetryAfter
	return r
}

// usual are the settings for an error that no Bulkhead made.
var usual = defaults()

// ServeHTTP hands the refusal on to the client for whose request this one was to
// be sent: it answers as the Bulkhead answers a request that it does not serve,
// with its status, message and rejection handler. The outcome of the response is
// bulkhead_full, with the Bulkhead's name and the reason, so an access log and
// metrics further out tell why, and a retry there does not repeat it. It is for
// a proxy, see [Bulkhead.Transport].
func (e *FullError) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.answer == nil {
		httpwrap.Find(w).SetCause(&httpwrap.Cause{Outcome: httpwrap.BulkheadFull, Policy: e.Name, Reason: e.Reason.String()})
		refuse.New(e.Rejection(), nil).Write(w, r, e.RetryAfter)
		return
	}
	httpwrap.Find(w).SetCause(e.cause)
	e.answer.response.Write(w, r, e.RetryAfter)
}
