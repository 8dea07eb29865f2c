package breaker

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/keyed"
	"github.com/handrail-go/handrail/internal/refuse"
	"github.com/handrail-go/handrail/internal/roundtrip"
)

// Transport returns a client's side of the policy: a [http.RoundTripper] that
// keeps requests from a host that fails. base does the work, nil stands for
// [http.DefaultTransport].
//
// There is a circuit for each host ([ByTarget]), unless WithKey or a preset says
// otherwise, and it is the same one for all transports of this Breaker. A request
// that is refused is not sent; its body is closed, and the error is an
// [*OpenError].
//
// In a proxy that error hands the refusal on to the client by itself. As the
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
//
// A round trip that returns an error is a failure, unless the caller's context
// was canceled or another policy further in has refused it. So is a response
// with a failing status, as soon as it is there. Any other response is judged
// at the end of its body: a failure where reading it fails, a success at its
// end or where the caller closes it before. Until then a probe is under way, so
// the caller has to close the body, as ever: one that is never closed keeps the
// place of its host among the keys. After a response 101 (RFC 9110,
// section 15.2.2) and at the begin of an event stream it is a success at once.
// A call is slow by the time to its response. A classifier is asked when the
// response is there, and again where its body fails.
//
// Neither the request nor a response of status 101 is changed. An exempt
// request is handed to base as it is.
func (b *Breaker) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{roundtrip.Over(base), b}
}

// ByTarget is the host and port that a request is sent to, in lower case and
// without the default port of its scheme. It is for clients: requests that are
// served have none.
func ByTarget(r *http.Request) string { return keyed.Cut(roundtrip.Target(r)) }

type transport struct {
	roundtrip.Base
	b *Breaker
}

func (p *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	b, sent := p.b, false
	defer func() {
		// Also where a function of the user's panics.
		if !sent && r.Body != nil {
			r.Body.Close()
		}
	}()
	if b.set.exempt != nil && b.set.exempt(r) {
		sent = true
		return p.Base.RoundTrip(r)
	}
	of := b.set.key
	if of == nil {
		of = ByTarget
	}
	key := keyed.Cut(of(r))
	mode := b.modeOf(key)
	if mode == Disabled {
		sent = true
		return p.Base.RoundTrip(r)
	}
	c, ref := b.circuit(key, true)
	t, why, retry := c.admit(mode)
	if why != admitted {
		ref.Release()
		return nil, &OpenError{Name: b.set.name, Key: c.key, Reason: why, RetryAfter: b.comeBack(why, retry), b: b}
	}
	x := new(exchange) // not pooled: a body may be closed at any time
	b.begin(x, t, c, ref, r)
	return x.send(p.RoundTripper, &sent)
}

// send does the round trip. It sets *sent unless base panics, and so may have
// left the body of the request open.
func (x *exchange) send(base http.RoundTripper, sent *bool) (resp *http.Response, err error) {
	returned, done := false, false
	defer func() {
		switch {
		case !returned:
			x.received(nil, nil, true)
		case !done && resp != nil && resp.Body != nil:
			resp.Body.Close() // a classifier ends the goroutine
		}
	}()
	resp, err = base.RoundTrip(x.r)
	returned, *sent = true, true
	if err != nil {
		if resp != nil && resp.Body != nil {
			resp.Body.Close() // of a base that returns both
		}
		x.received(nil, err, false)
		return nil, err
	}
	if resp == nil {
		x.received(nil, errNoResponse, false)
		return nil, nil // of a base that is wrong, which the client tells
	}
	later := x.received(resp, nil, false)
	done = true
	if later {
		resp.Body = &body{ReadCloser: resp.Body, x: x, resp: resp}
	}
	return resp, nil
}

var errNoResponse = errors.New("neither a response nor an error")

// received is told what came of the round trip. It reports whether the result
// is to be known only when the response's body is.
func (x *exchange) received(resp *http.Response, err error, aborted bool) (later bool) {
	b := x.c.b
	res := Result{Request: x.r, Response: resp, Err: err, Aborted: aborted}
	var upstream time.Duration
	long := false
	if resp != nil {
		res.Status = resp.StatusCode
		if b.set.upstream > 0 {
			upstream = parseRetryAfter(resp.Header, time.Now())
		}
		long = resp.StatusCode == http.StatusSwitchingProtocols || httpwrap.IsEventStream(resp.Header)
	} else {
		// A response that is there was in time, and the caller has not left it.
		x.look(&res)
	}
	if resp == nil || long || resp.Body == nil || resp.Body == http.NoBody {
		x.end(res, upstream, long)
		return false
	}
	x.headersAt = x.took()
	if v := x.preview(res); v != Success {
		x.settle(v, x.headersAt, upstream)
		return false
	}
	return true
}

// look adds what explains an error.
func (x *exchange) look(res *Result) {
	res.look(x.r.Context())
	var refusal refuse.Refusal
	res.Refused = errors.As(res.Err, &refusal)
}

// preview is the verdict about a response whose body is yet to come.
func (x *exchange) preview(res Result) (v Verdict) {
	res.Verdict = res.judge()
	res.Duration = max(x.headersAt, 0)
	v = res.Verdict
	asked := false
	defer func() {
		if !asked {
			x.settle(v, x.headersAt, 0) // a classifier that ends the goroutine
		}
	}()
	v = x.c.b.classify(&res)
	asked = true
	return v
}

// body is that of a response which is good so far.
type body struct {
	io.ReadCloser
	x    *exchange
	resp *http.Response
}

// Read reads the body.
func (o *body) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	switch {
	case err == nil || o.x.over.Load():
	case err == io.EOF:
		o.x.settle(Success, o.x.headersAt, 0)
	default:
		o.failed(err)
	}
	return n, err
}

// Close closes the body. What the caller does not want to read is no failure.
//
// It is over before the body is closed, which fails a Read that is under way.
func (o *body) Close() error {
	if !o.x.over.Load() {
		res := Result{}
		res.look(o.x.r.Context())
		switch {
		case res.Canceled:
			o.x.settle(Excluded, o.x.headersAt, 0)
		default:
			o.x.settle(Success, o.x.headersAt, 0)
		}
	}
	return o.ReadCloser.Close()
}

func (o *body) failed(err error) {
	x := o.x
	res := Result{Request: x.r, Response: o.resp, Status: o.resp.StatusCode, Err: err}
	x.look(&res)
	res.Duration = max(x.headersAt, 0)
	x.conclude(res, x.headersAt, 0)
}
