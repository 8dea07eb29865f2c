package window

import (
	"fmt"
	"sync/atomic"
	"time"
)

// DefaultBuckets is how many sub-buckets a window has where 0 is given.
const DefaultBuckets = 10

// ring is the sub-buckets of one window.
type ring[T any] struct {
	width int64 // of a sub-bucket, in nanoseconds
	slots []atomic.Pointer[bucket[T]]
}

// bucket holds what was recorded in the interval [tick, tick+1) × width.
type bucket[T any] struct {
	tick int64
	data T
}

func newRing[T any](window time.Duration, buckets int) ring[T] {
	if buckets == 0 {
		buckets = DefaultBuckets
	}
	if buckets < 0 || window < time.Duration(buckets) {
		panic(fmt.Sprintf("window: a window of %v cannot have %d sub-buckets", window, buckets))
	}
	return ring[T]{
		width: int64(window) / int64(buckets),
		slots: make([]atomic.Pointer[bucket[T]], buckets+1),
	}
}

// at returns where to record at now, and nil when now is so long ago that its
// place is taken.
func (r *ring[T]) at(now time.Duration) *T {
	tick := int64(max(now, 0)) / r.width
	slot := &r.slots[tick%int64(len(r.slots))]
	if b := slot.Load(); b != nil && b.tick == tick {
		return &b.data
	}
	return turn(slot, tick)
}

// turn puts an empty bucket in the place of a stale one.
func turn[T any](slot *atomic.Pointer[bucket[T]], tick int64) *T {
	fresh := &bucket[T]{tick: tick}
	for {
		stale := slot.Load()
		switch {
		case stale != nil && stale.tick == tick:
			return &stale.data
		case stale != nil && stale.tick > tick:
			return nil
		case slot.CompareAndSwap(stale, fresh):
			return &fresh.data
		}
	}
}

// each visits what lies in the window that ends at now, with the part of it
// that does.
func (r *ring[T]) each(now time.Duration, visit func(data *T, weight float64)) {
	now = max(now, 0)
	newest := int64(now) / r.width
	oldest := newest - int64(len(r.slots)) + 1
	for i := range r.slots {
		b := r.slots[i].Load()
		switch {
		case b == nil || b.tick < oldest || b.tick > newest:
		case b.tick == oldest:
			visit(&b.data, 1-float64(int64(now)%r.width)/float64(r.width))
		default:
			visit(&b.data, 1)
		}
	}
}

// span is the length of the window.
func (r *ring[T]) span() time.Duration {
	return time.Duration(r.width * int64(len(r.slots)-1))
}

// covered is how much of the window that ends at now lies after the epoch.
// It is at least a sub-bucket, lest the very first sample be a huge rate.
func (r *ring[T]) covered(now time.Duration) time.Duration {
	return min(max(now, time.Duration(r.width)), r.span())
}
