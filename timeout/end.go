package timeout

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/refuse"
)

// onTimer runs on a goroutine of its own at the deadline, and when a spared
// stream may have been silent for too long.
func (e *exchange) onTimer() {
	e.gate.Lock()
	then := e.due()
	e.gate.Unlock()
	if then != nil {
		then()
	}
}

// due decides whether the exchange is over, and returns what is left to do
// about its handler.
func (e *exchange) due() (then func()) {
	if e.clientLeft() {
		e.gone.Store(true)
	}
	if e.above != nil && e.above.state.Load() == late {
		return nil // the handler is cut off there
	}
	for {
		switch e.state.Load() {
		case open:
			if e.state.CompareAndSwap(open, late) {
				return e.deadline(ReasonDeadline, e.beganOutside())
			}
		case begun:
			why := ReasonDeadline
			if e.spared.Load() {
				idle := e.t.set.idleTimeout
				if idle == 0 {
					return nil
				}
				silent := e.took() - time.Duration(e.touched.Load())
				if silent < idle {
					e.timer.Reset(idle - silent)
					return nil
				}
				why = ReasonIdle
			}
			if e.state.CompareAndSwap(begun, late) {
				return e.deadline(why, true)
			}
		case yielding:
			e.timer.Reset(grace)
			return nil
		case yielded:
			if e.state.CompareAndSwap(yielded, late) {
				e.mu.Lock()
				e.passing = true
				e.mu.Unlock()
				return e.deadline(ReasonDeadline, false)
			}
		default:
			return nil
		}
	}
}

// deadline ends the exchange. The handler is cut off already.
func (e *exchange) deadline(why Reason, cut bool) (then func()) {
	took := e.took()
	switch {
	case e.gone.Load():
		e.recorder.SetOutcome(httpwrap.Canceled)
		e.tallyEnd(took, endedCanceled)
	case cut:
		e.recorder.SetCause(&e.t.causes[why])
		e.t.report(e.r, why, e.limit, true)
		e.tallyEnd(took, endedAborted)
	default:
		e.recorder.SetCause(&e.t.causes[why])
		e.t.report(e.r, why, e.limit, false)
		e.tallyEnd(took, endedTimeout)
	}
	e.overdue(+1)
	e.body.cutOff()
	e.expire(why)
	if cut || e.informing.Load() {
		// Ends a write, and where that waits for a body to arrive, the read.
		controller := http.NewResponseController(e.w)
		controller.SetWriteDeadline(time.Now())
		controller.SetReadDeadline(time.Now())
	}
	if e.apart != nil {
		e.apart.cut = cut
		e.apart.wake <- deadlinePassed
		return nil
	}
	if cut {
		return e.cutInline
	}
	return e.answerInline
}

// end is the handler's return. It reports the state it left, and whether the
// deadline had not come first: by the clock, where nothing is out yet, since a
// timer may be late.
func (e *exchange) end(took time.Duration) (before uint32, inTime bool) {
	for {
		before = e.state.Load()
		switch {
		case before == late:
			return before, false
		case before == open && took >= e.limit && !e.clientLeft():
			if e.state.CompareAndSwap(open, late) {
				e.recorder.SetCause(&e.t.causes[ReasonDeadline])
				e.t.report(e.r, ReasonDeadline, e.limit, false)
				e.tallyEnd(took, endedTimeout)
				e.overdue(+1)
				return before, false
			}
		case e.state.CompareAndSwap(before, done):
			return before, true
		}
	}
}

// tallyEnd counts how the request ended.
func (e *exchange) tallyEnd(took time.Duration, how ending) {
	if e.long.CompareAndSwap(true, false) {
		e.t.tally.long.Add(-1)
		e.t.tally.longEnded.Add(1)
		e.t.tally.ended[how].Add(1)
		return
	}
	e.t.tally.end(took, how)
	switch {
	case how == endedTimeout, how == endedAborted:
		e.lesson.learn(e.limit, true)
	case how == endedDone && e.status < http.StatusInternalServerError:
		e.lesson.learn(took, false)
	}
}

// book counts a request whose handler was done in time.
func (e *exchange) book(took time.Duration, before uint32, returned bool) {
	how := endedDone
	if before != taken && before != yielded && e.clientLeft() {
		how = endedCanceled
		e.recorder.SetOutcome(httpwrap.Canceled)
		if returned && !e.sent && e.status == 0 {
			e.mu.Lock()
			e.choose(refuse.StatusGone)
			e.mu.Unlock()
		}
	}
	if !returned {
		e.lesson = nil // how long it takes to panic says nothing
	}
	e.tallyEnd(took, how)
}

// overdue counts handlers that run on after their deadline. The deadline comes
// with +1 and the handler's return with -1, in any order.
func (e *exchange) overdue(side int64) {
	if first := e.sides.Add(1) == 1; first == (side > 0) {
		e.t.tally.overdue.Add(side)
	}
}

// clientLeft says that nobody waits for a response any more.
func (e *exchange) clientLeft() bool {
	return e.r.Context().Err() == context.Canceled && !e.clocked.Load()
}

// beganOutside says that somebody outside has begun the response, so that no
// other can be sent.
func (e *exchange) beganOutside() bool {
	if outer := outerOf(e.w); outer != nil {
		return outer.state.Load() == begun
	}
	return e.recorder != nil && e.recorder.Committed()
}

// cut says that a response is out that cannot be replaced.
func (e *exchange) cut() bool {
	return !e.passing && !e.answered && (e.sent || e.beganOutside())
}

// finish sends what the handler chose, and ends what was for it alone.
func (e *exchange) finish(before uint32, returned bool) {
	e.mu.Lock()
	switch {
	case before == taken:
	case returned:
		e.deliver()
	case !e.sent:
		e.restore() // somebody outside may answer for a handler that panicked
	}
	e.free()
	e.mu.Unlock()
	e.ctx.finish()
}

// expire ends the context at the deadline, or as the client's leaving does.
func (e *exchange) expire(why Reason) {
	if e.gone.Load() {
		e.ctx.parentDone()
		return
	}
	e.ctx.expire(e.cause(why))
}

// refusal is what a handler is told that is cut off.
func (e *exchange) refusal() error {
	if e.gone.Load() {
		return context.Canceled
	}
	return http.ErrHandlerTimeout
}

// cause is that of the context at the deadline.
func (e *exchange) cause(why Reason) error {
	after := e.limit
	if why == ReasonIdle {
		after = e.t.set.idleTimeout
	}
	return &Error{Name: e.t.set.name, After: after, t: e.t}
}

// copyBack gives the request that came in what is looked for there: the route
// that a mux further in has matched, and the form whose files the server
// removes. Both are lost with every copy of a request.
func (e *exchange) copyBack(r *http.Request) {
	e.r.Pattern = r.Pattern
	if r.MultipartForm != nil {
		e.r.MultipartForm = r.MultipartForm
	}
}

// await returns when whoever holds mu has let go of it.
func await(mu sync.Locker) {
	mu.Lock()
	defer mu.Unlock()
}

// removeFiles removes what the handler's multipart form left on disk, where the
// server is not going to.
func (e *exchange) removeFiles(r *http.Request) {
	if r.MultipartForm != nil && !e.form {
		r.MultipartForm.RemoveAll()
	}
}

// yield tells a timeout further out that the answer is being given, so that it
// does not give another one. It reports false where that one came first, and
// returns what to do when the answer is given.
func yield(w http.ResponseWriter) (given func(), ok bool) {
	outer := outerOf(w)
	if outer == nil {
		return nothing, true
	}
	if outer.state.CompareAndSwap(open, yielding) {
		return func() { outer.state.CompareAndSwap(yielding, yielded) }, true
	}
	return nothing, outer.state.Load() < done
}
