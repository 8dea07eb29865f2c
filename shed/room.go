package shed

import (
	"time"

	"github.com/handrail-go/handrail"
)

// levels is the number of places in the order: each class has first attempts
// before repeated ones.
const levels = 2 * handrail.Priorities

func levelOf(rank int, retry bool) int {
	if retry {
		return 2*rank + 1
	}
	return 2 * rank
}

// verdict is what became of a waiter. It changes once, under the gate's lock.
type verdict uint8

const (
	pending verdict = iota
	granted
	refused
)

// waiter is one request in the waiting room.
type waiter struct {
	decided    chan struct{} // holds one token once the verdict has changed
	timer      *time.Timer
	verdict    verdict
	reason     Reason
	level      int
	tenant     *tenant
	since      time.Duration
	prev, next *waiter
}

// line is the FIFO queue of one tenant at one level.
type line struct {
	first, last *waiter
	n           int
}

func (q *line) push(w *waiter) {
	w.prev, w.next = q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.n++
}

func (q *line) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next = nil, nil
	q.n--
}

// floor holds the tenants that wait at one level.
type floor struct {
	tenants []*tenant
	n       int // waiters
}

// room is the waiting room in front of the handler: ordered by level, inside a
// level by tenant with the least recent use first, inside a tenant by arrival.
// The gate's lock guards it.
type room struct {
	floors [levels]floor
	n      int
}

func (r *room) add(w *waiter) {
	f := &r.floors[w.level]
	q := &w.tenant.lines[w.level]
	if q.n == 0 {
		w.tenant.place[w.level] = len(f.tenants)
		f.tenants = append(f.tenants, w.tenant)
	}
	q.push(w)
	f.n++
	r.n++
}

func (r *room) remove(w *waiter) {
	f := &r.floors[w.level]
	q := &w.tenant.lines[w.level]
	q.remove(w)
	f.n--
	r.n--
	if q.n > 0 {
		return
	}
	last := len(f.tenants) - 1
	at := w.tenant.place[w.level]
	f.tenants[at] = f.tenants[last]
	f.tenants[at].place[w.level] = at
	f.tenants[last] = nil
	f.tenants = f.tenants[:last]
}

// next is who is admitted next of the levels before end, or nil if none waits.
func (r *room) next(end int, now time.Duration) *waiter {
	for level := range end {
		f := &r.floors[level]
		if f.n == 0 {
			continue
		}
		best := f.tenants[0]
		for _, t := range f.tenants[1:] {
			if t.recent(now) < best.recent(now) {
				best = t
			}
		}
		return best.lines[level].first
	}
	return nil
}

// ahead is how many wait at this level and better ones.
func (r *room) ahead(level int) int {
	n := 0
	for i := range level + 1 {
		n += r.floors[i].n
	}
	return n
}

// victim is who has to make way for a newcomer: the oldest of the worst level,
// of its greediest tenant, where that is worse than the newcomer; else nil.
func (r *room) victim(level int, t *tenant, now time.Duration) *waiter {
	for i := levels - 1; i >= level; i-- {
		f := &r.floors[i]
		if f.n == 0 {
			continue
		}
		worst, most := f.tenants[0], f.tenants[0].claim(i, now)
		for _, other := range f.tenants[1:] {
			if c := other.claim(i, now); c > most {
				worst, most = other, c
			}
		}
		if i > level || worst != t && most > t.claim(i, now)+1 {
			return worst.lines[i].first
		}
		return nil
	}
	return nil
}
