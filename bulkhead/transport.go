package bulkhead

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/handrail-go/handrail/internal/roundtrip"
)

// Transport returns a client's side of the bulkhead: a [http.RoundTripper] that
// bounds how many requests are under way, to each host and to all together. So
// a host that has become slow keeps only its own share of the client busy. base
// does the work, nil stands for [http.DefaultTransport].
//
// The operation of a request is the host and port it is sent to, in lower case
// and without a port that is the default of its scheme, unless WithOperation
// says otherwise: WithOperationLimit is the limit for each host, 20 if nothing
// else is said, and WithOperationLimits are those of single ones. WithTenant
// and the limits that go with it apply where they are given. A request waits,
// or is refused, as one that is served.
//
// A request is under way until its response body is closed, or read to its end,
// or a read of it fails; without a body, until base returns. As ever, the caller
// has to close the body: where it does not, the slot stays taken. After a
// response 101 (RFC 9110, section 15.2.2) the body is the connection, and holds
// the slot until it is closed. Redirects and retries further out are requests of
// their own, and a response whose body is still open while they are made keeps
// its slot.
//
// The error of a request that is refused is a [*FullError], and nothing of it
// has been sent. One whose context is canceled while it waits returns the cause
// of that instead, and one whose deadline passes a FullError that wraps it. The
// request given is never changed. An exempt request is handed to base as it is.
//
// In a proxy a FullError hands the refusal on to the client by itself. As the
// ErrorHandler of a [net/http/httputil.ReverseProxy], this does so for all
// transports of this toolkit:
//
//	func(w http.ResponseWriter, r *http.Request, err error) {
//		var refusal http.Handler
//		if errors.As(err, &refusal) {
//			refusal.ServeHTTP(w, r)
//			return
//		}
//		w.WriteHeader(http.StatusBadGateway)
//	}
func (b *Bulkhead) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{roundtrip.Over(base), b}
}

type transport struct {
	roundtrip.Base
	bulkhead *Bulkhead
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	b := t.bulkhead
	set := b.set.Load()
	handed := false // to base, which closes the body from then on
	defer func() {
		if !handed && r.Body != nil {
			r.Body.Close()
		}
	}()
	if set.exempt != nil && set.exempt(r) {
		b.exempt.Add(1)
		defer b.exempt.Add(-1)
		resp, err := t.Base.RoundTrip(r)
		handed = true
		return resp, err
	}
	what := set.operation
	if what == nil {
		what = roundtrip.Target
	}
	h := &hold{permit: b.permitFor(r, set.tenant, what)}
	keep := false
	defer func() {
		if !keep {
			h.release()
		}
	}()
	if refused := h.permit.obtain(b, &set.settings, r); refused.why != admitted {
		return nil, set.failure(r.Context(), &h.permit, refused)
	}
	resp, err := t.Base.RoundTrip(r)
	handed = true
	if err != nil || resp == nil || resp.Body == nil || resp.Body == http.NoBody {
		return resp, err
	}
	keep = true
	// The response stays the same one: its trailers are filled in later.
	if conn := roundtrip.Connection(resp); conn != nil {
		resp.Body = &connection{ReadWriteCloser: conn, hold: h}
	} else {
		resp.Body = &body{ReadCloser: resp.Body, hold: h}
	}
	return resp, nil
}

// failure is the error for a request that was not sent.
func (s *settled) failure(ctx context.Context, p *permit, refused refusal) error {
	cause := context.Cause(ctx)
	if refused.why == gone {
		return cause
	}
	full := &FullError{
		Name: s.name, Key: p.operationRef.Key(), Reason: refused.why, Limit: refused.limit,
		RetryAfter: s.answers.jitter.RetryAfter(refused.drain),
		answer:     s.answers.to(refused),
		cause:      &s.answers.causes[refused.why],
	}
	if refused.why == ReasonWaitTimeout {
		full.Err = cause
	}
	return full
}

// hold is a permit that is given back once, by whoever comes first.
type hold struct {
	permit permit
	over   atomic.Bool
}

func (h *hold) release() {
	if !h.over.Swap(true) {
		h.permit.release()
	}
}

// body is the body of a response.
type body struct {
	io.ReadCloser
	hold *hold
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.hold.release()
	}
	return n, err
}

func (b *body) Close() error {
	defer b.hold.release()
	return b.ReadCloser.Close()
}

// connection is one that has switched protocols. A side that has ended does not
// end the other.
type connection struct {
	io.ReadWriteCloser
	hold *hold
}

// CloseWrite ends the sending side only, where the connection can.
func (c *connection) CloseWrite() error { return roundtrip.CloseWrite(c.ReadWriteCloser) }

func (c *connection) Close() error {
	defer c.hold.release()
	return c.ReadWriteCloser.Close()
}
