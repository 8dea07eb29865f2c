package breaker

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/keyed"
)

// exchange is one admitted request.
type exchange struct {
	ticket
	c   *circuit
	ref keyed.Ref[circuit] // the circuit stays as long as this
	r   *http.Request
	rec *httpwrap.Recorder // nil for a request that is sent
	// before is the outcome that was set when the request was let in: where this
	// Breaker serves the fallback of another one, that one's refusal.
	before httpwrap.Outcome
	start  time.Duration // -1 where nobody asks how long it takes
	// headersAt is how long it took until a response was received, likewise.
	headersAt time.Duration

	over atomic.Bool

	// Under the circuit's lock.
	timer    *time.Timer // of a probe
	reported bool
}

// exchanges are those of handlers which nobody else knows any more.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// begin makes x an exchange with its circuit.
func (b *Breaker) begin(x *exchange, t ticket, c *circuit, ref keyed.Ref[circuit], r *http.Request) {
	x.ticket, x.c, x.ref, x.r, x.start = t, c, ref, r, -1
	if b.timed {
		x.start = b.now()
	}
	if t.probe {
		c.watch(x)
	}
}

// recycle is called when the exchange is over and no recorder has it. A probe
// is still known to its timer, which may be just about to look at it.
func (x *exchange) recycle() {
	if x.probe {
		return
	}
	*x = exchange{}
	exchanges.Put(x)
}

// took is how long the exchange has lasted, -1 where that is not known.
func (x *exchange) took() time.Duration {
	if x.start < 0 {
		return -1
	}
	return x.c.b.now() - x.start
}

// LongLived implements [httpwrap.LongLivedListener]. Such an exchange has said
// all that there is to learn from it, and may last for days.
func (x *exchange) LongLived() { x.served(true, true) }

// served ends an exchange of a handler.
func (x *exchange) served(returned, long bool) {
	if x.over.Load() {
		return
	}
	if x.c.b.set.classifier == nil && x.plain(returned) {
		took := x.took()
		if long {
			took = -1
		}
		x.settle(Success, took, 0)
		return
	}
	x.end(served(x.r, x.rec, x.outcome(), returned), 0, long)
}

// plain says without much ado that nothing but a success can be meant, which is
// the usual case.
func (x *exchange) plain(returned bool) bool {
	return returned && x.rec.Status() < http.StatusInternalServerError && x.outcome() == httpwrap.None && x.r.Context().Err() == nil
}

// outcome is what was set since the request was let in.
func (x *exchange) outcome() httpwrap.Outcome {
	if o := x.rec.Outcome(); o != x.before {
		return o
	}
	return httpwrap.None
}

// end is told the result. The first one counts. Where the exchange goes on, as
// a long one does, how long it took is no duration.
func (x *exchange) end(res Result, upstream time.Duration, long bool) {
	took := x.took()
	res.Duration = max(took, 0)
	if long {
		took = -1
	}
	x.conclude(res, took, upstream)
}

// conclude settles the exchange by what the result is found to mean.
func (x *exchange) conclude(res Result, took, upstream time.Duration) {
	res.Verdict = res.judge()
	if x.c.b.set.classifier == nil {
		x.settle(res.Verdict, took, upstream)
		return
	}
	v := res.Verdict
	// Deferred, because a classifier may end the goroutine.
	defer func() { x.settle(v, took, upstream) }()
	v = x.c.b.classify(&res)
}

func (x *exchange) settle(v Verdict, took, upstream time.Duration) {
	if x.over.Swap(true) {
		return
	}
	x.c.report(x, v, took, upstream)
	x.ref.Release()
}
