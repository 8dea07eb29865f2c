package sim

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// attemptKey finds the attempt in any context derived from it.
type attemptKey struct{}

// attempt is one request on its way. It is the request's context too: a
// context.WithDeadline each would cost more than all the rest.
type attempt struct {
	deadline time.Time // zero: the client waits for ever
	hidden   bool      // the context does not tell the deadline
	need     time.Duration
	handled  atomic.Int64 // when the handler was called first, -1 before

	end atomic.Int32 // how it ended for the client; the first way is the one

	mu    sync.Mutex
	done  chan struct{} // made when somebody asks for it
	err   error
	after []*func()

	g        *goroutine // of a Process
	handling bool

	call *call // of its own, where a client that leaves may try again
	w    answer
}

const (
	waits int32 = iota
	answered
	left
)

func (a *attempt) Deadline() (time.Time, bool) {
	if a.hidden || a.deadline.IsZero() {
		return time.Time{}, false
	}
	return a.deadline, true
}

func (a *attempt) Done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.done == nil {
		a.done = make(chan struct{})
		if a.err != nil {
			close(a.done)
		}
	}
	return a.done
}

func (a *attempt) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *attempt) Value(key any) any {
	if key == (attemptKey{}) {
		return a
	}
	return nil
}

// AfterFunc spares package context a goroutine for each context derived from
// this one.
func (a *attempt) AfterFunc(f func()) (stop func() bool) {
	a.mu.Lock()
	if a.err != nil {
		a.mu.Unlock()
		go f()
		return func() bool { return false }
	}
	a.after = append(a.after, &f)
	a.mu.Unlock()
	return func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for i := range a.after {
			if a.after[i] == &f {
				a.after[i] = a.after[len(a.after)-1]
				a.after = a.after[:len(a.after)-1]
				return true
			}
		}
		return false
	}
}

// cancel ends the context; only the first call has an effect.
func (a *attempt) cancel(err error) {
	a.mu.Lock()
	if a.err != nil {
		a.mu.Unlock()
		return
	}
	a.err = err
	if a.done != nil {
		close(a.done)
	}
	after := a.after
	a.after = nil
	a.mu.Unlock()
	for _, f := range after {
		(*f)()
	}
}

// answer tells that there is an answer, and returns whether the client is
// there to read it.
func (a *attempt) answer() bool {
	there := a.end.CompareAndSwap(waits, answered)
	a.cancel(context.Canceled) // as net/http does
	return there
}

// leave makes the client leave, unless it has its answer.
func (a *attempt) leave() bool {
	if !a.end.CompareAndSwap(waits, left) {
		return false
	}
	if a.hidden {
		a.cancel(context.Canceled)
	} else {
		a.cancel(context.DeadlineExceeded)
	}
	return true
}

// patience makes clients leave at their deadlines. It has one timer, which
// fires only while somebody waits in vain.
type patience struct {
	began time.Time
	left  func(*attempt) // called for each client that leaves

	mu    sync.Mutex
	heap  leaving
	timer *time.Timer
	armed time.Duration
}

func newPatience(began time.Time, left func(*attempt)) *patience {
	p := &patience{began: began, left: left, armed: -1}
	p.timer = time.AfterFunc(longest, p.fire)
	p.timer.Stop()
	return p
}

// watch makes a's client leave at that time unless it has been answered.
func (p *patience) watch(a *attempt, now, at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heap.push(departure{at, a})
	if p.armed < 0 || at < p.armed {
		p.armed = at
		p.timer.Reset(at - now)
	}
}

func (p *patience) fire() {
	now := time.Since(p.began)
	var due []*attempt
	p.mu.Lock()
	p.armed = -1
	for len(p.heap) > 0 {
		top := p.heap[0]
		if top.a.end.Load() == waits {
			if top.at > now {
				p.armed = top.at
				p.timer.Reset(top.at - now)
				break
			}
			due = append(due, top.a)
		}
		p.heap.pop()
	}
	p.mu.Unlock()
	for _, a := range due {
		p.left(a)
	}
}

type departure struct {
	at time.Duration
	a  *attempt
}

// leaving is a heap, the first to leave on top.
type leaving []departure

func (h *leaving) push(d departure) {
	q := append(*h, d)
	*h = q
	i := len(q) - 1
	for i > 0 {
		up := (i - 1) / 2
		if q[up].at <= d.at {
			break
		}
		q[i] = q[up]
		i = up
	}
	q[i] = d
}

func (h *leaving) pop() {
	q := *h
	last := len(q) - 1
	d := q[last]
	q[last] = departure{}
	q = q[:last]
	*h = q
	i := 0
	for {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && q[down+1].at < q[down].at {
			down++
		}
		if q[down].at >= d.at {
			break
		}
		q[i] = q[down]
		i = down
	}
	if last > 0 {
		q[i] = d
	}
}
