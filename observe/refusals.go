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
	write func(c Cause, n uint64)

	mu sync.Mutex
	of map[Cause]uint64
	// armed says that a timer runs, or that what it found is being written: a
	// handler that stands still must not collect goroutines.
	armed bool
}

// maxCauses is how many causes are told apart: there is one for each reason of
// each instance. Those beyond count for their outcome.
const maxCauses = 1024

func (r *refusals) init(every time.Duration, write func(Cause, uint64)) {
	r.every, r.write, r.of = every, write, map[Cause]uint64{}
}

func (r *refusals) add(c Cause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.of[c]; !known && len(r.of) >= maxCauses {
		c = Cause{Outcome: c.Outcome}
	}
	r.of[c]++
	if !r.armed {
		r.armed = true
		time.AfterFunc(r.every, r.due)
	}
}

// due writes what there is, on the timer's goroutine.
func (r *refusals) due() {
	r.flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) > 0 {
		time.AfterFunc(r.every, r.due)
	} else {
		r.armed = false
	}
}

// flush writes what there is.
func (r *refusals) flush() {
	r.mu.Lock()
	all := r.of
	r.of = make(map[Cause]uint64, len(all))
	r.mu.Unlock()
	for c, n := range all {
		r.write(c, n)
	}
}
