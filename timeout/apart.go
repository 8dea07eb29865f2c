package timeout

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
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
	value    any // of its panic
	stack    []byte
}

type wake uint8

const (
	handlerReturned wake = iota
	deadlinePassed
)

func (e *exchange) serveApart(next http.Handler) {
	w := e.writer()
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
	a := &e.apart
	returned := false
	defer func() {
		var value any
		var stack []byte
		if !returned {
			if value = recover(); value != nil && value != http.ErrAbortHandler {
				stack = debug.Stack()
			}
		}
		before, inTime := e.end(time.Since(e.start))
		if before == late {
			e.late(r, value, stack)
			return
		}
		a.before, a.overran, a.returned, a.value, a.stack = before, !inTime, returned, value, stack
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
		if a.stack != nil {
			logf(e.r, "timeout: panic after the deadline: %v\n%s", a.value, a.stack)
		}
		if e.beganOutside() {
			panic(http.ErrAbortHandler)
		}
		e.answer(ReasonDeadline)
		return
	}
	e.book(time.Since(e.start), a.before, a.returned)
	e.finish(a.before, a.returned)
	if a.stack != nil {
		logf(e.r, "timeout: panic in the handler, which goes on on the serving goroutine: %v\n%s", a.value, a.stack)
	}
	switch {
	case a.value != nil:
		panic(a.value)
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
func (e *exchange) late(r *http.Request, value any, stack []byte) {
	e.overdue(-1)
	e.removeFiles(r)
	if stack != nil {
		logf(r, "timeout: panic after the deadline: %v\n%s", value, stack)
	}
}
