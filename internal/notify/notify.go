// Package notify hands events to a callback of the user's so that nothing the
// callback does can hurt who raised the event: it runs on a goroutine of its
// own, outside every lock, in order, and may call back in; a panic is
// contained, and while it blocks, events beyond a bound are dropped and
// counted.
//
// The goroutine lives only while there are events to hand over, so there is
// nothing to start and nothing to close.
package notify

import (
	"sync"
	"sync/atomic"
)

// Pending is how many events wait for a slow callback at most.
const Pending = 1024

// Queue hands events to one callback. The zero value drops them silently.
type Queue[E any] struct {
	callback func(E)

	mu      sync.Mutex
	events  []E
	running bool

	dropped  atomic.Uint64
	panicked atomic.Uint64
}

// New returns a queue in front of callback; a nil callback makes Raise a no-op.
func New[E any](callback func(E)) *Queue[E] { return &Queue[E]{callback: callback} }

// Raise hands over an event and returns at once. It is safe for concurrent
// use and on a nil Queue.
func (q *Queue[E]) Raise(event E) {
	if q == nil || q.callback == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) >= Pending {
		q.dropped.Add(1)
		return
	}
	q.events = append(q.events, event)
	if !q.running {
		q.running = true
		go q.run()
	}
}

// Dropped is how many events a blocked callback has cost.
func (q *Queue[E]) Dropped() uint64 {
	if q == nil {
		return 0
	}
	return q.dropped.Load()
}

// Panicked is how often the callback panicked.
func (q *Queue[E]) Panicked() uint64 {
	if q == nil {
		return 0
	}
	return q.panicked.Load()
}

func (q *Queue[E]) run() {
	for {
		q.mu.Lock()
		if len(q.events) == 0 {
			q.events, q.running = nil, false
			q.mu.Unlock()
			return
		}
		event := q.events[0]
		q.events = q.events[1:]
		q.mu.Unlock()
		q.call(event)
	}
}

func (q *Queue[E]) call(event E) {
	done := false
	defer func() {
		if done {
			return
		}
		q.panicked.Add(1)
		if recover() == nil {
			// runtime.Goexit in a callback ends this goroutine: another one
			// takes the rest.
			go q.run()
		}
	}()
	q.callback(event)
	done = true
}
