package cloudwatch

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// entry is a record that is pending. seq is its place among all that were
// logged, the first being 1.
type entry struct {
	seq     uint64
	at      int64 // in milliseconds since 1970
	came    time.Time
	message string
}

func (e entry) size() int { return len(e.message) + EventOverhead }

// queue holds what is pending, and keeps the account of all that was logged. All
// of it is under one lock, so that the account is true at every moment.
type queue struct {
	set *logSettings
	// wake has room for one signal to the sender that there is news.
	wake chan struct{}

	mu      sync.Mutex
	entries []entry // in the order of seq; the first head ones are gone
	head    int
	bytes   int // of those that wait
	// flight is the batch on its way, in the order of seq.
	flight      []entry
	flightBytes int
	closed      bool
	// flushTo is up to which seq nothing waits for more.
	flushTo uint64
	waiters []*waiter

	stats LogStats // Logged, Delivered, Dropped and what the sender counts
	lost  [losses]uint64
	told  uint64 // how many of the lost a FlushError told of
}

// waiter waits until everything up to target is delivered or lost. told is how
// many of the lost were told of before.
type waiter struct {
	target, lost, told uint64
	done               chan struct{}
}

func newQueue(set *logSettings) *queue { return &queue{set: set, wake: make(chan struct{}, 1)} }

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) waiting() []entry { return q.entries[q.head:] }
func (q *queue) pending() int     { return len(q.waiting()) + len(q.flight) }

// offer logs a record, and never waits.
func (q *queue) offer(at time.Time, message string, shortened bool) {
	now := time.Now()
	e := entry{at: at.UnixMilli(), came: now, message: message}
	q.mu.Lock()
	defer q.mu.Unlock()
	e.seq = q.log()
	if shortened {
		q.stats.Shortened++
	}
	if q.closed {
		q.lose(LossClosed, e)
		return
	}
	// Where what is on its way leaves no room, the oldest would go in vain.
	if q.set.overflow == DropOldest && len(q.flight) < q.set.bufferEvents && q.flightBytes+e.size() <= q.set.bufferBytes {
		for !q.fits(e) {
			q.lose(LossOverflow, q.pop())
		}
		q.resolve()
	}
	if !q.fits(e) {
		q.lose(LossOverflow, e)
		return
	}
	if q.head > 1024 && q.head > len(q.entries)/2 {
		rest := copy(q.entries, q.waiting())
		clear(q.entries[rest:])
		q.entries, q.head = q.entries[:rest], 0
	}
	q.entries = append(q.entries, e)
	q.bytes += e.size()
	if len(q.waiting()) == 1 || q.full() {
		q.signal()
	}
}

// refuse logs a record that could not be formatted.
func (q *queue) refuse(why Loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lose(why, entry{seq: q.log()})
}

func (q *queue) log() uint64 {
	q.stats.Logged++
	return q.stats.Logged
}

func (q *queue) fits(e entry) bool {
	return q.pending() < q.set.bufferEvents && q.bytes+q.flightBytes+e.size() <= q.set.bufferBytes
}

// full says that there is enough for a batch, or that half of the buffer is full:
// the other half is for what comes meanwhile.
func (q *queue) full() bool {
	return len(q.waiting()) >= min(q.set.batchEvents, (q.set.bufferEvents+1)/2) ||
		q.bytes >= min(q.set.batchBytes, q.set.bufferBytes/2)
}

func (q *queue) pop() entry {
	e := q.entries[q.head]
	q.entries[q.head] = entry{}
	q.head++
	q.bytes -= e.size()
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
		if cap(q.entries) > 4*MaxBatchEvents {
			q.entries = nil // a flood must not be paid for ever after
		}
	}
	return e
}

// lose counts records as lost.
func (q *queue) lose(why Loss, entries ...entry) {
	q.stats.Dropped += uint64(len(entries))
	q.lost[why] += uint64(len(entries))
	for _, w := range q.waiters {
		for _, e := range entries {
			if e.seq <= w.target {
				w.lost++
			}
		}
	}
}

// take makes a batch of what is due and sets it under way. Without one it
// returns how long there is none, negative where that is not known, and whether
// there will never be another.
func (q *queue) take(now time.Time, abort bool) (batch []entry, wait time.Duration, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.resolve()
	if abort {
		for len(q.waiting()) > 0 {
			q.lose(LossClosed, q.pop())
		}
	}
	q.expire(now)
	if len(q.waiting()) == 0 {
		return nil, -1, q.closed
	}
	first := q.entries[q.head]
	if age := now.Sub(first.came); !q.full() && !q.closed && first.seq > q.flushTo && age < q.set.interval {
		return nil, q.set.interval - age, false
	}
	earliest, latest := first.at, first.at
	for len(q.waiting()) > 0 && len(q.flight) < q.set.batchEvents {
		e := q.entries[q.head]
		if !inTime(time.UnixMilli(e.at), now) {
			q.lose(LossTime, q.pop())
			continue
		}
		earliest, latest = min(earliest, e.at), max(latest, e.at)
		if q.flightBytes+e.size() > q.set.batchBytes || latest-earliest >= MaxBatchSpan.Milliseconds() {
			break
		}
		q.flight = append(q.flight, q.pop())
		q.flightBytes += e.size()
	}
	return q.flight, 0, false
}

// expire loses what is first and has no valid time, so that the batch begins
// with one that has.
func (q *queue) expire(now time.Time) {
	for len(q.waiting()) > 0 && !inTime(time.UnixMilli(q.entries[q.head].at), now) {
		q.lose(LossTime, q.pop())
	}
}

// events are a batch in chronological order, in a slice of its own, and the
// entries in the same order.
func events(batch []entry) ([]Event, []entry) {
	sorted := slices.Clone(batch)
	slices.SortStableFunc(sorted, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	out := make([]Event, len(sorted))
	for i, e := range sorted {
		out[i] = Event{time.UnixMilli(e.at), e.message}
	}
	return out, sorted
}

// settle ends the flight of a batch: all of it is lost, or, with LossRejected,
// those entries are and the others are delivered.
func (q *queue) settle(why Loss, lost []entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lose(why, lost...)
	q.stats.Delivered += uint64(len(q.flight) - len(lost))
	q.flight, q.flightBytes = nil, 0
	q.resolve()
}

// count changes what the sender counts.
func (q *queue) count(change func(*LogStats)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(&q.stats)
}

// resolve wakes those whose records are all settled.
func (q *queue) resolve() {
	if len(q.waiters) == 0 {
		return
	}
	next := q.next()
	q.waiters = slices.DeleteFunc(q.waiters, func(w *waiter) bool {
		if w.target < next {
			close(w.done)
		}
		return w.target < next
	})
}

// next is the first seq that is not settled.
func (q *queue) next() uint64 {
	switch {
	case len(q.flight) > 0:
		return q.flight[0].seq
	case len(q.waiting()) > 0:
		return q.entries[q.head].seq
	}
	return q.stats.Logged + 1
}
