package timeout

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadlineContext is the context of one request. It differs from that of
// [context.WithDeadlineCause] in two ways: it has no timer of its own, and its
// deadline can be lifted, which a hijacked connection and a spared stream need.
// Whoever does not ask for Done costs nothing but the struct.
//
// It is never reused, since a handler may have handed it to anybody.
type deadlineContext struct {
	parent   context.Context
	deadline time.Time
	lifted   atomic.Bool
	// caused has the cause, from the deadline on: context.Cause looks for it
	// among the values. It is a child of parent, so all others are there too.
	caused atomic.Pointer[context.Context]

	mu    sync.Mutex
	err   error
	done  chan struct{} // nil until asked for
	hooks *hook
	leave func() bool // unregisters from parent
}

// hook is one function to call at the end, in a list linked both ways.
type hook struct {
	call       func()
	prev, next *hook
}

// Deadline is the earlier one of the parent's and the request's, which is the
// request's, unless that was lifted.
func (c *deadlineContext) Deadline() (time.Time, bool) {
	if c.lifted.Load() {
		return c.parent.Deadline()
	}
	return c.deadline, true
}

func (c *deadlineContext) Done() <-chan struct{} {
	c.mu.Lock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	done := c.done
	c.mu.Unlock()
	c.follow()
	return done
}

func (c *deadlineContext) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if c.parent.Err() == nil {
		return nil
	}
	c.parentDone()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *deadlineContext) Value(key any) any {
	if caused := c.caused.Load(); caused != nil {
		return (*caused).Value(key)
	}
	return c.parent.Value(key)
}

// AfterFunc is how package context attaches children to a context of somebody
// else's without a goroutine. call runs on the goroutine that ends c.
func (c *deadlineContext) AfterFunc(call func()) (stop func() bool) {
	h := &hook{call: call}
	c.mu.Lock()
	over := c.err != nil
	if !over {
		if h.next = c.hooks; h.next != nil {
			h.next.prev = h
		}
		c.hooks = h
	}
	c.mu.Unlock()
	if over {
		go call() // package context holds a lock that call needs
		return func() bool { return false }
	}
	c.follow()
	return func() bool { return c.drop(h) }
}

// drop takes h out of the list. It reports whether it was still there.
func (c *deadlineContext) drop(h *hook) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case h.call == nil:
		return false
	case h.prev != nil:
		h.prev.next = h.next
	default:
		c.hooks = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	}
	h.call = nil
	return true
}

// follow makes the parent's end that of c, from the first time that anybody
// waits for it.
func (c *deadlineContext) follow() {
	c.mu.Lock()
	follows := c.leave != nil || c.err != nil
	if !follows {
		c.leave = func() bool { return true }
	}
	c.mu.Unlock()
	if follows || c.parent.Done() == nil {
		return
	}
	if c.parent.Err() != nil {
		c.parentDone()
		return
	}
	leave := context.AfterFunc(c.parent, c.parentDone)
	c.mu.Lock()
	c.leave = leave
	over := c.err != nil
	c.mu.Unlock()
	if over {
		leave()
	}
}

func (c *deadlineContext) parentDone() { c.end(c.parent.Err(), nil) }

// expire ends c at its deadline.
func (c *deadlineContext) expire(cause error) { c.end(context.DeadlineExceeded, cause) }

// finish ends c when the handler is done.
func (c *deadlineContext) finish() { c.end(context.Canceled, nil) }

// lift takes the deadline away.
func (c *deadlineContext) lift() { c.lifted.Store(true) }

// end ends c with err, the first one only.
func (c *deadlineContext) end(err, cause error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	if cause != nil {
		caused, cancel := context.WithCancelCause(c.parent)
		cancel(cause)
		c.caused.Store(&caused)
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	leave := c.leave
	var calls []func()
	for h := c.hooks; h != nil; h = h.next {
		calls = append(calls, h.call)
		h.call = nil
	}
	c.hooks = nil
	c.mu.Unlock()
	if leave != nil {
		leave()
	}
	for _, call := range calls {
		call()
	}
}

// String tells no more than that, as a fmt of the struct would race.
func (c *deadlineContext) String() string { return "timeout.deadlineContext" }
