package window

import (
	"sync/atomic"
	"time"
)

// Counter counts events over a sliding window.
type Counter struct {
	ring ring[atomic.Uint64]
}

// NewCounter returns a counter over that window, cut into so many sub-buckets
// ([DefaultBuckets] for 0). It panics unless a sub-bucket is at least a
// nanosecond.
func NewCounter(window time.Duration, buckets int) *Counter {
	return &Counter{newRing[atomic.Uint64](window, buckets)}
}

// Add counts n events at now.
func (c *Counter) Add(now time.Duration, n uint64) {
	if count := c.ring.at(now); count != nil {
		count.Add(n)
	}
}

// Count returns the events in the window that ends at now. It is a fraction
// because of the oldest sub-bucket, of which only a part counts.
func (c *Counter) Count(now time.Duration) float64 {
	total := 0.0
	c.ring.each(now, func(count *atomic.Uint64, weight float64) {
		total += weight * float64(count.Load())
	})
	return total
}

// Rate returns the events per second in the window that ends at now, or since
// the epoch where that is less long ago, but at least over one sub-bucket.
func (c *Counter) Rate(now time.Duration) float64 {
	return c.Count(now) / c.ring.covered(now).Seconds()
}

// Window returns the length of the window, which is what [NewCounter] was
// given less what its sub-buckets do not divide.
func (c *Counter) Window() time.Duration { return c.ring.span() }
