package observe

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// visit is an exchange on its way through. It is reused: contexts know a holder,
// and nobody else keeps anything of it.
type visit struct {
	Exchange
	o        *Observer
	rec      *httpwrap.Recorder
	owner    bool
	returned bool
	// r is the request that came in. Exchange.Request is the one that went on,
	// a copy where that has to differ.
	r      *http.Request
	holder *holder
	body   *countedBody

	// mu orders LongLived and the end, which may come at the same time.
	mu     sync.Mutex
	long   bool
	over   bool
	shared bool
}

// maxStack bounds the stack of a panic.
const maxStack = 16 << 10

// LongLived implements [httpwrap.LongLivedListener].
func (v *visit) LongLived() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	v.long, v.Exchange.LongLived = true, true
	v.o.tally.longLived.Add(1)
	if v.r != nil {
		v.follow()
	}
}

// follow tells the followers.
func (v *visit) follow() {
	for i := 0; i < len(v.o.followers); {
		i = v.followSome(i)
	}
}

func (v *visit) followSome(i int) (next int) {
	n := len(v.o.followers)
	defer func() {
		if i < n {
			v.o.tally.panics.Add(1)
			_ = recover()
			next = i + 1
		}
	}()
	for ; i < n; i++ {
		v.o.followers[i].LongLived(&v.Exchange)
	}
	return n
}

// end is the handler's: its return, its panic or the end of its goroutine. A
// panic is looked at and goes on with the same value; because that happens
// before this function returns, a stack that is taken further out still shows
// where it began.
func (v *visit) end() {
	var value any
	if !v.returned {
		if value = recover(); value != nil && value != http.ErrAbortHandler {
			buf := make([]byte, maxStack)
			v.Stack = buf[:runtime.Stack(buf, false)]
			v.Panic = value
		}
	}
	defer v.leave()
	v.conclude()
	v.tell(0)
	if value != nil {
		panic(value)
	}
}

// conclude completes the Exchange.
func (v *visit) conclude() {
	x, rec, o := &v.Exchange, v.rec, v.o
	x.Duration = time.Since(x.Began)
	if v.shared = !rec.Unsubscribe(v); v.shared {
		// LongLived was called, or is just being.
		v.mu.Lock()
		v.over = true
		v.mu.Unlock()
	}
	if x.Request != v.r {
		// What is looked for there is lost with every copy of a request: the
		// route that a mux further in has matched, and the form whose files the
		// server removes.
		v.r.Pattern = x.Request.Pattern
		if x.Request.MultipartForm != nil {
			v.r.MultipartForm = x.Request.MultipartForm
		}
	}
	if o.set.route == nil {
		x.Route = o.routes.name(x.Request.Pattern)
	} else {
		x.Route = o.routes.name(o.routed(x.Request))
	}
	if v.body != nil {
		x.RequestBytes = v.body.n.Load()
	}
	if v.holder != nil {
		var lost uint64
		if x.Attrs, lost = v.holder.end(); lost > 0 {
			o.tally.attrsLost.Add(lost)
		}
	}
	x.Status, x.ResponseBytes = rec.Status(), rec.Bytes()
	how := v.cause()
	if x.Status == 0 && v.returned && how != ending(httpwrap.Canceled) {
		x.Status = http.StatusOK
	}
	if how == 0 && x.Status >= http.StatusInternalServerError {
		x.ErrorType = statusText(x.Status)
	}
	o.tally.ended[how].Add(1)
}

// cause says why the exchange ended as it did. Who spoke first further in is
// believed.
func (v *visit) cause() ending {
	x := &v.Exchange
	if c := v.rec.Cause(); c != nil {
		x.Cause = Cause{Outcome: c.Outcome.String(), Policy: c.Policy, Reason: c.Reason}
		x.ErrorType = x.Cause.Outcome
		return ending(c.Outcome)
	}
	how := httpwrap.None
	switch {
	case x.Panic != nil:
		how = httpwrap.Panic
	case (!v.returned || x.Status == 0 || v.rec.WriteFailed()) && v.r.Context().Err() == context.Canceled:
		if v.rec.LongLived() {
			return 0 // such a one lasts as long as its client likes
		}
		how = httpwrap.Canceled
	case !v.returned:
		how = httpwrap.Aborted
	default:
		return 0
	}
	x.Cause.Outcome = how.String()
	x.ErrorType = x.Cause.Outcome
	return ending(how)
}

// tell tells the sinks, from the i-th on.
func (v *visit) tell(i int) {
	for n := len(v.o.set.sinks); i < n; {
		i = v.tellSome(i)
	}
}

func (v *visit) tellSome(i int) (next int) {
	sinks := v.o.set.sinks
	defer func() {
		if i < len(sinks) {
			v.o.tally.panics.Add(1)
			next = i + 1
			if recover() == nil {
				v.tell(next) // runtime.Goexit, after which nobody returns
			}
		}
	}()
	for ; i < len(sinks); i++ {
		sinks[i].Observe(&v.Exchange)
	}
	return i
}

// leave gives everything back.
func (v *visit) leave() {
	o := v.o
	o.tally.inFlight.Add(-1)
	if v.owner {
		v.rec.Release()
	}
	if v.long {
		o.tally.longLived.Add(-1)
	}
	if v.shared {
		return
	}
	v.Exchange = Exchange{}
	v.r, v.rec, v.holder, v.body, v.returned = nil, nil, nil, nil, false
	o.visits.Put(v)
}

// countedBody counts what is read of a body, also after the exchange.
type countedBody struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// routed is what the function of WithRoute says.
func (o *Observer) routed(r *http.Request) (route string) {
	returned := false
	defer func() {
		if !returned {
			o.tally.panics.Add(1)
			_ = recover()
		}
	}()
	route = o.set.route(r)
	returned = true
	return route
}
