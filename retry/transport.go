package retry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/handrail-go/handrail/internal/refuse"
	"github.com/handrail-go/handrail/internal/roundtrip"
)

// Transport returns a client's side of the policy: a [http.RoundTripper] that
// sends a request again where its answer, or its error, is a failure. base does
// the work, nil stands for [http.DefaultTransport]; it has to honour the
// request's context, as that one does.
//
// A body is repeated where the request has a GetBody, which [http.NewRequest]
// sets for the usual readers; nothing is read into memory. Of errors, those of
// making a connection and of one that broke are failures, and so is an attempt
// timeout; errors of TLS and of certificates, hosts that do not exist, and the
// end of the caller's own context never are.
//
// When it gives up, the caller gets the last response with its body unread, or
// the last error; never a made-up one. Responses that are dropped are read to
// their end, up to 64 KiB, and closed, so that connections are used again. The
// request given is never changed: each attempt is a copy with a context of its
// own. That ends with the response's body, so as ever the caller has to close
// that. A response 101 (RFC 9110, section 15.2.2) is handed on as it is.
//
// In a proxy an [*Error], and what a policy further in refused, answer the client
// by themselves. As the ErrorHandler of a [net/http/httputil.ReverseProxy], this
// has all errors of this toolkit do so:
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
// An http.Transport does not return while it waits in a Read of the request's
// body over HTTP/1, whatever its context says: a timeout that wraps the proxy
// ends such a Read for a client that sends nothing.
//
// [http.Transport] itself repeats a request once that failed on a connection
// which the server had closed meanwhile; that is part of one attempt here.
func (p *Retrier) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{roundtrip.Over(base), p}
}

type transport struct {
	roundtrip.Base
	p *Retrier
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	p, handedOn := t.p, false
	defer func() {
		// Also where what was asked of the user panics.
		if !handedOn && r.Body != nil {
			r.Body.Close()
		}
	}()
	if p.set.exempt != nil && p.set.exempt(r) || !p.set.repeatable(r.Method, r.Header) {
		handedOn = true
		return t.Base.RoundTrip(r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, context.Cause(r.Context())
	}
	p.arrive()
	c := &call{p: p, base: t.RoundTripper, r: r, most: p.set.attempts}
	bodiless := r.Body == nil || r.Body == http.NoBody
	if !bodiless && r.GetBody == nil {
		c.most, c.unrepeatable = 1, true
	}
	if p.set.totalTimeout > 0 {
		c.deadline = time.Now().Add(p.set.totalTimeout)
	}
	if bodiless && safe(r.Method) && p.set.hedges > 0 {
		c.hedges = p.set.hedges
	}
	handedOn = true
	return c.do()
}

// call is one request on its way through all its attempts.
type call struct {
	p            *Retrier
	base         http.RoundTripper
	r            *http.Request
	most         int
	unrepeatable bool
	hedges       int
	deadline     time.Time // of all attempts, zero for none
	delays       backoff.BackOff
	sent         int // hedges among them
	used         bool
}

// trip is one round trip.
type trip struct {
	c      *call
	r      *http.Request
	ctx    context.Context
	cancel context.CancelCauseFunc
	// timer is for the header and total for the whole, nil without a timeout.
	timer, total *time.Timer
	hedge        bool

	resp *http.Response
	err  error
	// stray says that err is the cancellation of somebody else's request, which
	// net/http can let the next one on the same connection have.
	stray bool
	panic any
	ended bool // by a panic, or the end of the goroutine
}

func (c *call) do() (*http.Response, error) {
	for n := 1; ; n++ {
		t, err := c.send(n)
		if err != nil { // of GetBody
			c.p.giveUp(GiveUp{Reason: ReasonBody, Attempts: n - 1, Err: err, Method: c.r.Method, Pattern: c.r.Pattern})
			return nil, err
		}
		failed, permanent := c.judge(n, t)
		if !failed {
			if n > 1 {
				c.p.tally.recovered.Add(1)
			}
			return t.handOver()
		}
		why, delay, again := c.decide(n, t, permanent)
		status := 0
		if t.resp != nil {
			status = t.resp.StatusCode
		}
		if again {
			c.p.retry(Event{Attempt: n, Status: status, Err: t.err, Delay: delay, Method: c.r.Method, Pattern: c.r.Pattern})
			t.drop()
			if why, again = c.p.wait(c.r.Context(), delay); again {
				c.p.repeat(n)
				continue
			}
			t.resp, t.err = nil, context.Cause(c.r.Context())
		}
		c.p.giveUp(GiveUp{Reason: why, Attempts: n, Status: status, Err: t.err, Method: c.r.Method, Pattern: c.r.Pattern})
		return t.handOver()
	}
}

// prepare makes the copy that one round trip sends.
func (c *call) prepare(hedge bool) (*trip, error) {
	set := &c.p.set
	t := &trip{c: c, hedge: hedge}
	body := c.r.Body
	if c.used && body != nil && body != http.NoBody {
		var err error
		if body, err = c.r.GetBody(); err != nil {
			return nil, err
		}
	}
	c.used = true
	t.ctx, t.cancel = context.WithCancelCause(c.r.Context())
	if limit := set.attemptTimeout; limit > 0 {
		over := &Error{Name: set.name, After: limit, p: c.p}
		t.timer = time.AfterFunc(limit, func() { t.cancel(over) })
	}
	if !c.deadline.IsZero() {
		over := &Error{Name: set.name, After: set.totalTimeout, p: c.p}
		t.total = time.AfterFunc(max(time.Until(c.deadline), 1), func() { t.cancel(over) })
	}
	if c.sent == 0 {
		t.r = c.r.WithContext(t.ctx)
	} else {
		t.r = c.r.Clone(t.ctx)
		t.r.Trailer = c.r.Trailer
		if set.attemptHeader != "" {
			if t.r.Header == nil {
				t.r.Header = make(http.Header)
			}
			t.r.Header[set.attemptHeader] = []string{strconv.Itoa(c.sent)}
		}
	}
	t.r.Body = body
	c.sent++
	return t, nil
}

// send is one attempt, which hedging may make several round trips of.
func (c *call) send(n int) (*trip, error) {
	if c.hedges > 0 {
		return c.race()
	}
	t, err := c.prepare(false)
	if err != nil {
		return nil, err
	}
	back := false
	defer func() {
		if !back {
			c.panicked(n, t)
		}
	}()
	t.resp, t.err = c.base.RoundTrip(t.r)
	back = true
	t.arrived()
	return t, nil
}

// panicked is the end of a round trip that did not return.
func (c *call) panicked(n int, t *trip) {
	t.end()
	c.p.giveUp(GiveUp{Reason: ReasonPanic, Attempts: n, Method: c.r.Method, Pattern: c.r.Pattern})
}

// arrived is when the round trip is back.
func (t *trip) arrived() {
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.err == nil && t.resp == nil {
		t.err = errNothing
	}
	if t.err == nil && t.resp.Body == nil {
		t.resp.Body = http.NoBody // as http.Client does
	}
	if t.err != nil {
		t.stray = t.ctx.Err() == nil && errors.Is(t.err, context.Canceled)
		if t.c.r.Context().Err() == nil {
			if over, ok := context.Cause(t.ctx).(*Error); ok {
				t.err = over
			}
		}
		t.resp = nil
		t.end()
	}
}

var errNothing = errors.New("retry: the transport returned neither a response nor an error")

// end lets go of what the round trip has.
func (t *trip) end() {
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.total != nil {
		t.total.Stop()
	}
	t.cancel(context.Canceled)
}

// judge says whether a round trip failed, and whether for good.
func (c *call) judge(n int, t *trip) (failed, permanent bool) {
	set := &c.p.set
	if t.err == nil {
		return set.failed(c.r, n, t.resp.StatusCode, t.resp.Header), false
	}
	if set.classify != nil {
		switch set.classify(Result{Request: c.r, Attempt: n, Err: t.err}) {
		case Repeat:
			return true, false
		case Accept:
			return true, true
		}
	}
	return true, !t.stray && !passing(t.err)
}

// decide says whether and when there is another attempt, or why there is not.
func (c *call) decide(n int, t *trip, permanent bool) (why Reason, delay time.Duration, again bool) {
	set := &c.p.set
	if why, over := callers(c.r.Context()); over {
		return why, 0, false
	}
	if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		return ReasonDeadline, 0, false
	}
	var rejection refuse.Refusal
	switch {
	case errors.As(t.err, &rejection):
		return ReasonRejected, 0, false
	case permanent:
		return ReasonPermanent, 0, false
	case c.unrepeatable:
		return ReasonBody, 0, false
	case n >= c.most:
		return ReasonExhausted, 0, false
	}
	if c.delays == nil {
		c.delays = set.schedule.begin()
	}
	delay = set.schedule.next(c.delays)
	now := time.Now()
	if t.resp != nil {
		if asked := parseRetryAfter(t.resp.Header, now); asked > 0 {
			if asked > set.maxRetryAfter {
				return ReasonRetryAfter, 0, false
			}
			delay += asked
		}
	}
	if beyond(c.r.Context(), c.deadline, now.Add(delay)) {
		return ReasonDeadline, 0, false
	}
	if !set.budget.withdraw(now) {
		return ReasonBudget, 0, false
	}
	return 0, delay, true
}

// Dropped responses are read so far, and for so long, that their connections
// can be used again.
const (
	drainBytes = 64 << 10
	drainTime  = 250 * time.Millisecond
)

// drop is the end of a response that nobody gets.
func (t *trip) drop() {
	if t.resp == nil {
		return
	}
	slow := time.AfterFunc(drainTime, func() { t.cancel(context.Canceled) })
	if n, err := io.CopyN(io.Discard, t.resp.Body, drainBytes); n == drainBytes && err == nil {
		// One that ends just here has still to be seen to end.
		t.resp.Body.Read(make([]byte, 1))
	}
	slow.Stop()
	t.resp.Body.Close()
	t.resp = nil
	t.end()
}

// handOver gives the caller what there is.
func (t *trip) handOver() (*http.Response, error) {
	if t.resp == nil {
		return nil, t.err
	}
	t.resp.Request = t.c.r
	b := &body{ReadCloser: t.resp.Body, t: t}
	if conn := roundtrip.Connection(t.resp); conn != nil {
		if t.total != nil {
			t.total.Stop()
		}
		t.resp.Body = &connection{body: b, w: conn}
	} else {
		t.resp.Body = b
	}
	return t.resp, nil
}

// body ends the round trip with the response's body.
type body struct {
	io.ReadCloser
	t    *trip
	once sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if err != io.EOF && b.t.c.r.Context().Err() == nil {
			if over, ok := context.Cause(b.t.ctx).(*Error); ok {
				err = over
			}
		}
		b.once.Do(b.t.end)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(b.t.end)
	return err
}

// connection is what a 101 leaves to the caller.
type connection struct {
	*body
	w io.Writer
}

func (c *connection) Write(p []byte) (int, error) { return c.w.Write(p) }

// CloseWrite ends the sending side only, where the connection can.
func (c *connection) CloseWrite() error { return roundtrip.CloseWrite(c.w) }
