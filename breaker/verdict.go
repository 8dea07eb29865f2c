package breaker

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// Verdict is what a result means for the state of a circuit.
type Verdict uint8

const (
	// Success speaks for what is behind the breaker.
	Success Verdict = iota
	// Failure speaks against it.
	Failure
	// Excluded says nothing about it: neither a success nor a failure. A probe
	// that is excluded gives its place to another.
	Excluded

	verdicts = iota
)

var verdictNames = [verdicts]string{"success", "failure", "excluded"}

// String returns "success", "failure" or "excluded", "unknown" for anything
// else.
func (v Verdict) String() string {
	if v >= verdicts {
		return "unknown"
	}
	return verdictNames[v]
}

// Result is what became of one request, for a classifier of your own.
type Result struct {
	// Request is the one that was served or sent.
	Request *http.Request
	// Response is what a [Breaker.Transport] received, nil where there was no
	// response, and for served requests. Its body must not be touched.
	Response *http.Response
	// Status is that of the response: 200 where a handler returned without one,
	// 0 where it did not return or nothing was received.
	Status int
	// Err is the error of a round trip, or of reading the response's body.
	Err error
	// Aborted says that the handler, or round tripper, did not return: it
	// panicked, http.ErrAbortHandler included, or called runtime.Goexit.
	Aborted bool
	// Canceled says that the client, or for a Transport the caller, has left.
	Canceled bool
	// TimedOut says that a deadline passed first: that of the request's context
	// or that of a timeout further in.
	TimedOut bool
	// Refused says that another policy further in has refused the request.
	Refused bool
	// Duration is how long it took until the result was known: for a Transport
	// until there was a response, for a long-lived exchange until it was known
	// to be one.
	Duration time.Duration
	// Verdict is what it means without a classifier of your own.
	Verdict Verdict
}

// judge is the verdict where no classifier says otherwise.
func (r *Result) judge() Verdict {
	switch {
	case r.Canceled, r.Refused:
		return Excluded
	case r.TimedOut, r.Aborted, r.Err != nil, failing(r.Status):
		return Failure
	default:
		return Success
	}
}

// failing says whether a status speaks against who sent it. 501 (RFC 9110,
// section 15.6.2), 505 (section 15.6.6) and 507 (RFC 4918, section 11.5) answer
// what was asked for: they come by design, from a server that is well.
func failing(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	}
	return status >= http.StatusInternalServerError
}

// served is the result of a request that a handler was given, with the outcome
// that was set since.
func served(r *http.Request, rec *httpwrap.Recorder, outcome httpwrap.Outcome, returned bool) Result {
	res := Result{Request: r, Status: rec.Status(), Aborted: !returned}
	if res.Status == 0 && returned {
		res.Status = http.StatusOK
	}
	switch outcome {
	case httpwrap.Shed, httpwrap.BreakerOpen, httpwrap.BulkheadFull:
		res.Refused = true
	case httpwrap.Timeout:
		res.TimedOut = true
	case httpwrap.Canceled:
		res.Canceled = true
	case httpwrap.Panic, httpwrap.Aborted:
		res.Aborted = true
	}
	if !res.TimedOut {
		// A client that has had the answer to a timeout may leave before the
		// handler is done. That the other one came first is why it is noted.
		res.look(r.Context())
	}
	return res
}

// look adds what the request's own context says. Errors are not asked: they may
// tell of a context that was canceled inside. The cause is: a retry further out
// cancels an attempt whose time is up, and says so there.
func (r *Result) look(ctx context.Context) {
	switch err := ctx.Err(); {
	case err == nil:
	case err == context.DeadlineExceeded, errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		r.TimedOut = true
	default:
		r.Canceled = true
	}
}

// classify returns the verdict of the classifier, and the default one where
// there is none, or it panics or returns something else.
func (b *Breaker) classify(res *Result) (v Verdict) {
	v = res.Verdict
	if b.set.classifier == nil {
		return v
	}
	returned := false
	defer func() {
		if !returned {
			b.tally.classifier.Add(1)
			_ = recover() // nil where it is runtime.Goexit, which goes on
		}
	}()
	own := b.set.classifier(*res)
	returned = true
	if own < verdicts {
		v = own
	}
	return v
}
