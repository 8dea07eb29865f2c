package timeout

import (
	"net/http"
	"runtime"
	"runtime/debug"
)

// The other way: the handler runs on a goroutine of its own, so that the
// serving one can return at the deadline. HTTP/2 needs it, because there a
// stream ends when the handler does; and so does every writer of which it is
// not known whether what is written to it goes out before the handler returns.

// apart is what the two goroutines tell each other.
type apart struct {
	wake chan wake
	// cut is the deadline's word: the response had begun.
	cut bool
	// The rest is the handler's.
	before   uint32 // the state it left
	overran  bool   // it came back after the deadline, and before the timer
	returned bool
	panicked *panicked
}

// panicked is the panic of a handler, with its stack unless that is nobody's
// business.
type panicked struct {
	value any
	stack []byte
}

type wake uint8

const (
	handlerReturned wake = iota
	deadlinePassed
)

func (p *plain) serveApart(next http.Handler) {
	e, w := &p.exchange, p.writer()
	r := e.r.WithContext(&e.ctx)
	e.guardBody(r)
	e.apart.wake = make(chan wake, 1)
	e.arm()
	go e.run(next, w, r)
	if <-e.apart.wake == deadlinePassed {
		e.abandon()
		return
	}
	e.leaveApart(r)
}

// run is the handler's goroutine.
func (e *exchange) run(next http.Handler, w http.ResponseWriter, r *http.Request) {
	a := e.apart
	returned := false
	defer func() {
		var p *panicked
		if !returned {
			if value := recover(); value != nil {
				p = &panicked{value: value}
				if value != http.ErrAbortHandler {
					p.stack = debug.Stack()
				}
			}
		}
		before, inTime := e.end(e.took())
		if before == late {
			e.late(r, p)
			return
		}
		a.before, a.overran, a.returned, a.panicked = before, !inTime, returned, p
		a.wake <- handlerReturned
	}()
	next.ServeHTTP(w, r)
	returned = true
}

// leaveApart ends the exchange when its handler came back.
func (e *exchange) leaveApart(r *http.Request) {
	a := e.apart
	e.timer.Stop()
	e.copyBack(r)
	e.body.forget()
	if a.overran {
		e.expire(ReasonDeadline)
		e.overdue(-1)
		a.panicked.log(e.r, "after the deadline")
		if e.beganOutside() {
			panic(http.ErrAbortHandler)
		}
		e.answer(ReasonDeadline)
		return
	}
	e.book(e.took(), a.before, a.returned)
	e.finish(a.before, a.returned)
	a.panicked.log(e.r, "in the handler, which goes on on the serving goroutine")
	switch {
	case a.panicked != nil:
		panic(a.panicked.value)
	case !a.returned:
		runtime.Goexit()
	}
}

// abandon ends the exchange while its handler is running.
func (e *exchange) abandon() {
	e.body.end(e.w, e.r)
	if e.recorder != nil {
		e.recorder.Retain()
	}
	await(&e.gate) // where somebody is setting a deadline
	if e.apart.cut {
		e.mu.Lock() // waits for a write, which the deadline has ended
		if e.unframed.Load() {
			closeUnder(e.w, true)
		}
		e.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	e.answer(ReasonDeadline)
}

// late is the return of a handler that was abandoned.
func (e *exchange) late(r *http.Request, p *panicked) {
	e.removeFiles(r)
	p.log(r, "after the deadline")
	e.overdue(-1) // who sees that nothing is left finds everything done
}

func (p *panicked) log(r *http.Request, where string) {
	if p != nil && p.stack != nil {
		logf(r, "timeout: panic %s: %v\n%s", where, p.value, p.stack)
	}
}
