package httpwrap

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

// Recorder holds what is known of one response. All methods but Release may
// be called concurrently, and are valid until Release.
type Recorder struct {
	facts
	cause atomic.Pointer[Cause]

	// outer is the recorder of the same exchange further out, behind a
	// foreign wrapper. It is set before the recorder is shared.
	outer *Recorder
	home  *plain // nil for that of an attempt

	mu        sync.Mutex
	claims    few
	listeners few
}

// facts are apart so that one plain assignment resets them.
type facts struct {
	status atomic.Uint32
	flags  atomic.Uint32
	bytes  atomic.Int64
}

const (
	flagHijacked = 1 << iota
	flagLongLived
	flagRetained
	flagReleased
	flagWriteFailed
	// flagApart keeps the outcome from the outer one, see AttemptOf.
	flagApart
)

// Status is the first final status of the response, and 0 while there is
// none. Informational statuses (1xx) are not final, except 101 (RFC 9110,
// section 15.2.2), which over HTTP/2 is one like the others. Whatever commits a response without WriteHeader records
// the 200 that the server sends: a Write, even an empty one, a Flush, and a
// ReadFrom once its source delivered a byte. A hijacked connection without a
// status counts as 101. A handler that returns without any of these has
// status 0 here and the server sends 200.
func (r *Recorder) Status() int { return int(r.status.Load()) }

// Bytes is how much of the body was accepted by the writer within, before
// any framing. For HEAD that is what would have been sent. What ReadFrom
// copies is added when it returns.
func (r *Recorder) Bytes() int64 { return r.bytes.Load() }

// Committed reports whether a final status was chosen, after which no other
// response can be sent. It turns true just before the writer within is told,
// so that whoever sees false concurrently needs a lock of its own to act on
// it.
func (r *Recorder) Committed() bool { return r.status.Load() != 0 }

// Hijacked reports whether the connection was taken over; the writer must
// not be touched after that.
func (r *Recorder) Hijacked() bool { return r.flags.Load()&flagHijacked != 0 }

// WriteFailed reports whether the writer within could not take something of the
// response, which is how a client that left is noticed while one is sent. What
// net/http refuses by its rules (a body where none is allowed, more of it than
// was declared, a hijacked connection) is no such failure.
func (r *Recorder) WriteFailed() bool { return r.flags.Load()&flagWriteFailed != 0 }

// Cause is what SetCause or SetOutcome was first called with, nil before that.
func (r *Recorder) Cause() *Cause { return r.cause.Load() }

// Outcome is that of Cause, None before there is one.
func (r *Recorder) Outcome() Outcome {
	if c := r.cause.Load(); c != nil {
		return c.Outcome
	}
	return None
}

// SetCause records why the request ended as it did. The first call wins,
// because the package nearest to the cause speaks first; nil, and a cause whose
// outcome is None, are ignored. A recorder further out learns it too. It may be
// called on nil, which is what Find returns where nobody looks.
func (r *Recorder) SetCause(c *Cause) {
	if c == nil || c.Outcome == None {
		return
	}
	for ; r != nil; r = r.outer {
		r.cause.CompareAndSwap(nil, c)
		if r.flags.Load()&flagApart != 0 {
			return
		}
	}
}

// SetOutcome is SetCause where no more is known than the outcome.
func (r *Recorder) SetOutcome(o Outcome) {
	if o < outcomes {
		r.SetCause(&unnamed[o])
	}
}

// Claim reports whether this is the first call with that owner for this
// exchange, however many wrappers it passes, or inside of a retry for this
// attempt, see AttemptOf. A package that stands twice in
// a chain uses it to count a request once: the owner is what counts, such as
// a *load.Sampler. The owner must be a pointer.
func (r *Recorder) Claim(owner any) bool {
	for r.outer != nil && r.flags.Load()&flagApart == 0 {
		r = r.outer
	}
	if r.outer.claimed(owner) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claim(owner)
}

// claimed says whether owner has been here, or further out.
func (r *Recorder) claimed(owner any) bool {
	for ; r != nil; r = r.outer {
		r.mu.Lock()
		found := r.claims.has(owner)
		r.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

// claim is Claim at the outermost recorder of the exchange or of the attempt,
// whose lock is held.
func (r *Recorder) claim(owner any) bool {
	if r.claims.has(owner) {
		return false
	}
	r.claims.add(owner)
	return true
}

// Retain says that something may hold the writer after the handler returned,
// such as a handler that outlived its timeout: neither it nor a wrapper
// further out is ever reused then. Calls that come after Release are refused
// with ErrReleased, and may come from any goroutine.
func (r *Recorder) Retain() {
	for ; r != nil; r = r.outer {
		r.flags.Or(flagRetained)
	}
}

// AttemptOf makes a zero Recorder, which no Wrap has returned, that of one of
// several attempts at outer's exchange, for a [Barrier] to show. What is claimed
// further out stays claimed, and what is claimed here is so for this attempt:
// who stands outside of the attempts counts the request, who stands inside each
// of them. An outcome stays here until whoever chose the attempt hands it on.
// outer may be nil. Such a recorder is never released.
func (r *Recorder) AttemptOf(outer *Recorder) {
	r.outer = outer
	r.flags.Store(flagApart)
}

// Release ends the use of the writer and makes both reusable, unless it was
// retained or its connection hijacked. Only who got owner = true from Wrap
// calls it, once, in a defer; nothing of the recorder may be used afterwards.
func (r *Recorder) Release() {
	if r.flags.Load()&(flagRetained|flagHijacked) != 0 {
		r.flags.Or(flagReleased)
		return
	}
	p := r.home
	if p.w == nil {
		return // released before
	}
	p.w, p.asked = nil, false
	r.facts = facts{}
	if r.cause.Load() != nil {
		r.cause.Store(nil)
	}
	if r.outer != nil {
		r.outer = nil
	}
	r.claims.empty()
	r.listeners.empty()
	pool.Put(p)
}

// commit records a final status, the first one only.
func (r *Recorder) commit(status int) bool {
	return r.status.Load() == 0 && r.status.CompareAndSwap(0, uint32(status))
}

// failed notes an error of the writer within, or of the source of a ReadFrom,
// which cannot be told apart.
func (r *Recorder) failed(err error) {
	switch {
	case err == http.ErrBodyNotAllowed, err == http.ErrContentLength, err == http.ErrHijacked,
		err == http.ErrHandlerTimeout, errors.Is(err, errors.ErrUnsupported):
	default:
		r.flags.Or(flagWriteFailed)
	}
}

func (r *Recorder) released() bool { return r.flags.Load()&flagReleased != 0 }

// final reports whether a status ends the header, see RFC 9110, section 15.2.
// What net/http panics over is not final: nothing is sent then.
func final(status int) bool {
	return status >= 200 && status <= 999 || status == http.StatusSwitchingProtocols
}
