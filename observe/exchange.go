package observe

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Exchange is one request and its response, as the sinks are shown it. All
// strings but those of Request are bounded, and none but RequestID and those of
// Request and Attrs came from the client: they may be labels.
//
// It belongs to the observer: a sink reads it during the call it is passed to,
// and keeps nothing of it afterwards but copies.
type Exchange struct {
	// Request is the one that the handler was given. Its Pattern is what the
	// mux chose, also where something within copied the request.
	Request *http.Request
	// Began is when the request came, Duration how long it took, 0 in Start.
	Began    time.Time
	Duration time.Duration

	// Method is one of the methods of RFC 9110 and PATCH, in capitals, and
	// "_OTHER" for what is none. Scheme is "http" or "https", by the
	// connection.
	Method, Scheme string
	// Route is the pattern without its method, "" where no route matched, and
	// "_other" beyond [WithMaxRoutes]. In Start it is "".
	Route string

	// Status is the final status, 200 where the handler chose none, 0 in Start
	// and where there was none because of a panic, an abort, or a client that
	// left before.
	Status int
	// RequestBytes is the length of the request's body, -1 where that is not
	// known. ResponseBytes is what was written of the response's body.
	RequestBytes, ResponseBytes int64

	// Cause says which package decided how it ended, and why; see [Cause].
	Cause Cause
	// ErrorType is the value of the semantic conventions' error.type: the
	// cause's outcome if there is one, the status if that is 500 or above, and
	// "" where all is well.
	ErrorType string
	// Panic is what the handler panicked with, nil where it did not and where
	// that was http.ErrAbortHandler; Stack is where, cut to 16 KiB. A Goexit is
	// an abort.
	Panic any
	Stack []byte
	// LongLived says that the exchange was an event stream or that its
	// connection was taken over: its Duration is no latency.
	LongLived bool

	// RequestID is the request's id, valid by [ValidRequestID], and "" where
	// ids are off.
	RequestID string
	// Trace are the ids of the span that a tracing sink began, zero without
	// one.
	Trace TraceIDs
	// Attrs are what handlers added with [AddAttrs].
	Attrs []slog.Attr

	ctx  context.Context
	note note
}

// Context is the request's context. In Start it is the one that the handler
// will get.
func (x *Exchange) Context() context.Context {
	if x.ctx == nil {
		return context.Background()
	}
	return x.ctx
}

// SetContext gives the handler, and the sinks after this one, a context that is
// derived from Context. It is for Start only.
func (x *Exchange) SetContext(ctx context.Context) { x.ctx = ctx }

// Cause is why an exchange ended as it did, where a package or a fault decided
// and not the handler's answer. The zero value says that nothing interfered.
type Cause struct {
	// Outcome is "shed", "timeout", "breaker_open", "bulkhead_full",
	// "canceled" (the client left), "panic", "aborted"
	// (http.ErrAbortHandler), or "".
	Outcome string
	// Policy is the name of the instance that refused (WithName), Reason its
	// reason as its statistics count it. Both may be empty.
	Policy, Reason string
}

// Refused says that a policy refused the request before any work was done.
func (c Cause) Refused() bool {
	switch c.Outcome {
	case "shed", "breaker_open", "bulkhead_full":
		return true
	}
	return false
}

// TraceIDs are the ids of W3C Trace Context, level 2, section 3.2.2.
type TraceIDs struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

// Valid says that neither id is zero.
func (t TraceIDs) Valid() bool { return t.TraceID != [16]byte{} && t.SpanID != [8]byte{} }

// Sampled is the sampled flag.
func (t TraceIDs) Sampled() bool { return t.Flags&1 != 0 }
