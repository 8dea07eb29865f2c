package observe

import (
	"sync"
	"time"
)

// refusals counts refused requests, and tells how many there were some time
// after the first. There is no goroutine and no timer while there is nothing to
// tell.
type refusals struct {
	every time.Duration
	// write reports false where there was no room for the line.
	write func(c Cause, n uint64) bool

	// telling is full while what was taken out of the map is written, so that
	// who flushes waits also for what the timer has taken.
	telling chan struct{}

	mu sync.Mutex
	of map[Cause]uint64
	// armed says that a timer runs, or that what it found is being written: a
	// handler that stands still must not collect goroutines.
	armed bool
}

// maxCauses is how many causes are told apart: there is one for each reason of
// each instance. Those beyond count for their outcome.
const maxCauses = 1024

func (r *refusals) init(every time.Duration, write func(Cause, uint64) bool) {
	r.every, r.write, r.of = every, write, map[Cause]uint64{}
	r.telling = make(chan struct{}, 1)
}

func (r *refusals) add(c Cause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(c, 1)
	if !r.armed {
		r.armed = true
		time.AfterFunc(r.every, r.due)
	}
}

// count counts n more; the lock is held.
func (r *refusals) count(c Cause, n uint64) {
	if _, known := r.of[c]; !known && len(r.of) >= maxCauses {
		c = Cause{Outcome: c.Outcome}
	}
	r.of[c] += n
}

// due writes what there is, on the timer's goroutine, which a handler may end.
func (r *refusals) due() {
	defer r.rearm()
	r.flush()
}

func (r *refusals) rearm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) > 0 {
		time.AfterFunc(r.every, r.due)
	} else {
		r.armed = false
	}
}

// flush writes what there is, and keeps what there is no room for.
func (r *refusals) flush() {
	r.telling <- struct{}{}
	defer func() { <-r.telling }()
	r.mu.Lock()
	all := r.of
	r.of = make(map[Cause]uint64, len(all))
	r.mu.Unlock()
	defer r.keep(all)
	for c, n := range all {
		delete(all, c)
		if !r.write(c, n) {
			r.keep(map[Cause]uint64{c: n})
		}
	}
}

// keep counts again what could not be told.
func (r *refusals) keep(untold map[Cause]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, n := range untold {
		r.count(c, n)
	}
}
