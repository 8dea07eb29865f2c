package bulkhead

import (
	"time"

	"github.com/handrail-go/handrail"
)

// waiter is one request that waits.
type waiter struct {
	line  *line
	class int
	// turn orders waiters, the least first: the time of arrival, as if it had
	// been one ageing interval later for each class below critical. So a class
	// goes before those below it, and whoever has waited an interval for each
	// class between goes before those that come then. It changes only
	// with the ageing, so waiting costs nothing. Ties go by number.
	turn    int64
	arrived time.Duration
	number  uint64
	// entitled waiters have a claim to a guaranteed slot. They take no place
	// of the queue, and nobody takes theirs.
	entitled bool

	state waiterState
	// crowded says that it was displaced by one of its own tenant, which had
	// all the places it may have.
	crowded bool
	// ready is closed when the state is final.
	ready chan struct{}

	inLine  links // its class in its line
	inClass links // its class in the whole queue, unless it is entitled
}

type waiterState uint8

const (
	waiting waiterState = iota
	granted
	displaced
)

func (w *waiter) before(other *waiter) bool {
	if w.turn != other.turn {
		return w.turn < other.turn
	}
	return w.number < other.number
}

// links are a waiter's neighbours in one fifo.
type links struct{ prev, next *waiter }

// fifo is a list of waiters in the order of their arrival.
type fifo struct {
	first, last *waiter
}

func (f *fifo) push(w *waiter, of func(*waiter) *links) {
	of(w).prev = f.last
	if f.last == nil {
		f.first = w
	} else {
		of(f.last).next = w
	}
	f.last = w
}

func (f *fifo) remove(w *waiter, of func(*waiter) *links) {
	l := of(w)
	if l.prev == nil {
		f.first = l.next
	} else {
		of(l.prev).next = l.next
	}
	if l.next == nil {
		f.last = l.prev
	} else {
		of(l.next).prev = l.prev
	}
	*l = links{}
}

func inLine(w *waiter) *links  { return &w.inLine }
func inClass(w *waiter) *links { return &w.inClass }

// line are the waiters of one tenant for one operation: what lets one of them
// in would let any of them in. It exists as long as somebody is in it.
type line struct {
	tenant    *tenant
	operation *operation
	classes   [handrail.Priorities]fifo
	// first is who goes first; nil in an empty line.
	first *waiter
	// owed says that the tenant has fewer slots than it is guaranteed.
	owed bool
	// at is the line's index in operation.ready, -1 while the tenant is full.
	at int
	// prev and next are the tenant's other lines.
	prev, next *line
}

// before orders lines by who goes first in them, with those before all others
// that are owed a slot.
func (l *line) before(other *line) bool {
	if l.owed != other.owed {
		return l.owed
	}
	return l.first.before(other.first)
}

func (l *line) place() *int { return &l.at }

// find looks up who goes first.
func (l *line) find() {
	l.first = nil
	for i := range l.classes {
		if w := l.classes[i].first; w != nil && (l.first == nil || w.before(l.first)) {
			l.first = w
		}
	}
}

// lastOf is who goes last of two, where nil is nobody.
func lastOf(a, b *waiter) *waiter {
	if a == nil || b != nil && a.before(b) {
		return b
	}
	return a
}

// last is who goes last of those without a claim, nil if there are none.
func (l *line) last() *waiter {
	var last *waiter
	for i := range l.classes {
		w := l.classes[i].last
		for w != nil && w.entitled {
			w = w.inLine.prev
		}
		last = lastOf(last, w)
	}
	return last
}
