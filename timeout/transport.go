package timeout

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/roundtrip"
)

// Transport returns a client's side of the policy: a [http.RoundTripper] that
// gives every request it sends a timeout, chosen as for one that is served.
// base does the work, nil stands for [http.DefaultTransport]; it has to honour
// the request's context, as that one does.
//
// The timeout covers the whole exchange, up to the end of the response body:
// what is given up halfway fails a Read of the body. As ever, the caller has to
// close the body; until then, or until it was read to its end or failed, the
// request's context lives. After a response 101 (RFC 9110, section 15.2.2) no
// timeout applies any more. Redirects and retries further out are requests of
// their own, each with a timeout of its own.
//
// Where this timeout is over, the error is an [*Error]: its method Timeout
// returns true, and it is a [context.DeadlineExceeded]. What comes of the
// caller's own context, canceled or after its own deadline, is returned as base
// returns it; where that is so before anything was sent, or the deadline header
// of r says 0, nothing is sent at all.
//
// In a proxy an Error answers the client by itself. As the ErrorHandler of a
// [net/http/httputil.ReverseProxy], this has all errors of this toolkit do so:
//
//	func(w http.ResponseWriter, r *http.Request, err error) {
//		var answer http.Handler
//		if errors.As(err, &answer) {
//			answer.ServeHTTP(w, r)
//			return
//		}
//		w.WriteHeader(http.StatusBadGateway)
//	}
//
// An [http.Transport] does not return while it waits in a Read of the request's
// body over HTTP/1, whatever its context says. In a proxy that is as long as a
// client sends nothing of what it has announced: a Timeout that wraps the proxy
// ends such a Read as well.
//
// With [WithDeadlineHeader], the request that is sent says how much time is
// left; so the header should be one that the receiver knows, and one that may
// be known to whoever receives it. A time that it says already only shortens
// the timeout, so a proxy may pass it on. The request given is never changed.
// An exempt request is handed to base as it is.
//
// Requests count in [Stats] and for [OnTimeout] like served ones; a deadline of
// the caller's counts as a timeout too. For durations and for a calculator that
// learns, a request ends with its response body.
func (t *Timeout) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{roundtrip.Over(base), t}
}

type transport struct {
	roundtrip.Base
	t *Timeout
}

func (p *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t, ctx, now := p.t, r.Context(), time.Now()
	sent := false
	defer func() {
		// Also where what was asked for a timeout panics.
		if !sent && r.Body != nil {
			r.Body.Close()
		}
	}()
	d, learns, limited := t.choose(r, now)
	if !limited {
		sent = true
		return p.Base.RoundTrip(r)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	deadline, bound := ctx.Deadline()
	if d <= 0 {
		t.tally.refused[ReasonExpired].Add(1)
		t.report(r, ReasonExpired, d, false)
		if bound && !now.Before(deadline) {
			return nil, context.DeadlineExceeded
		}
		return nil, &Error{Name: t.set.name, t: t}
	}

	c := &call{t: t, r: r, ctx: ctx, start: now, limit: d, lesson: learns}
	if own := now.Add(d); !bound || own.Before(deadline) {
		c.cause = &Error{Name: t.set.name, After: d, t: t}
		c.ctx, c.cancel = context.WithDeadlineCause(ctx, own, c.cause)
	}
	out := r
	if c.cancel != nil || t.set.deadlineHeader != "" {
		out = r.WithContext(c.ctx)
	}
	if name := t.set.deadlineHeader; name != "" {
		if out.Header = r.Header.Clone(); out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header[name] = []string{formatRemaining(name, d)}
	}
	t.tally.begin(d)
	return c.send(p.RoundTripper, out, &sent)
}

// call is one request that was sent, and the body of its response.
type call struct {
	t      *Timeout
	r      *http.Request // the caller's
	ctx    context.Context
	cancel context.CancelFunc // nil where the deadline is the caller's
	cause  *Error             // nil likewise
	start  time.Time
	limit  time.Duration
	lesson lesson

	body   io.ReadCloser
	failed bool // the answer is that of a server that failed
	over   atomic.Bool
}

// send hands r to base. It sets *sent unless base panics, and so may have left
// the body of r open.
func (c *call) send(base http.RoundTripper, r *http.Request, sent *bool) (*http.Response, error) {
	lives := false
	defer func() {
		if !lives {
			c.end(c.state(false), false)
		}
	}()
	resp, err := base.RoundTrip(r)
	*sent = true
	if err != nil {
		return nil, c.explain(err)
	}
	if resp == nil {
		return nil, nil // of a base that is wrong, which the client tells
	}
	c.failed = resp.StatusCode >= http.StatusInternalServerError
	lives = true
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols, resp.Body == nil, resp.Body == http.NoBody:
		// A connection that was switched belongs to the caller, and the body
		// that is it can be written to.
		c.end(endedDone, resp.StatusCode != http.StatusSwitchingProtocols)
	default:
		c.body = resp.Body
		resp.Body = c
	}
	return resp, nil
}

// Read reads the response's body.
func (c *call) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	switch err {
	case nil:
	case io.EOF:
		c.end(endedDone, true)
	default:
		state := c.state(true)
		err = c.explain(err)
		c.end(state, false)
	}
	return n, err
}

// Close closes the response's body.
func (c *call) Close() error {
	err := c.body.Close()
	state := c.state(true)
	if err != nil {
		err = c.explain(err)
	}
	c.end(state, false)
	return err
}

// state is how the call ends if it ends now, begun or not.
func (c *call) state(begun bool) ending {
	switch c.ctx.Err() {
	case nil:
		return endedDone
	case context.DeadlineExceeded:
		if begun {
			return endedAborted
		}
		return endedTimeout
	default:
		return endedCanceled
	}
}

// explain returns the [Error] where err comes after the call's own deadline.
func (c *call) explain(err error) error {
	if c.cause != nil && context.Cause(c.ctx) == error(c.cause) {
		return c.cause
	}
	return err
}

// end releases what the call holds, and counts it. Whole says that the response
// was received to its end.
func (c *call) end(how ending, whole bool) {
	if c.over.Swap(true) {
		return
	}
	if c.cancel != nil {
		c.cancel()
	}
	t, took := c.t, time.Since(c.start)
	t.tally.end(took, how)
	late := how == endedTimeout || how == endedAborted
	if late {
		t.report(c.r, ReasonDeadline, c.limit, how == endedAborted)
	}
	switch {
	case late:
		c.lesson.learn(c.limit, true)
	case whole && !c.failed:
		c.lesson.learn(took, false)
	}
}
