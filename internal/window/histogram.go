package window

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The cells of a histogram are linear up to 1024 ns, 32 ns each, and from
// there 32 to an octave, so that no cell is wider than 1/32 of its value.
const (
	unitBits   = 5 // 32 ns
	octaveBits = 5 // 32 cells
	maxBits    = 42
	cells      = (maxBits - unitBits - octaveBits + 1) << octaveBits
)

// MaxLatency is the longest latency a [Histogram] tells apart, about 73
// minutes; longer ones count as this.
const MaxLatency = time.Duration(1<<maxBits - 1)

// cell returns the index of the cell for a latency in 0 … MaxLatency.
func cell(d time.Duration) int {
	units := uint64(d) >> unitBits
	octave := max(bits.Len64(units)-octaveBits-1, 0)
	return octave<<octaveBits + int(units>>octave)
}

// bounds returns the latencies [low, high) that have that cell.
func bounds(i int) (low, high time.Duration) {
	octave := max(i>>octaveBits-1, 0)
	units := uint64(i - octave<<octaveBits)
	return time.Duration(units << octave << unitBits), time.Duration((units + 1) << octave << unitBits)
}

// Histogram holds the distribution of latencies over a sliding window, to
// 1/32 of a value at worst, in about 4 KiB a sub-bucket. Count and mean are
// exact.
type Histogram struct {
	ring ring[latencies]
}

type latencies struct {
	count, sum atomic.Uint64
	cells      [cells]atomic.Uint32
}

// NewHistogram returns a histogram over that window, cut into so many
// sub-buckets ([DefaultBuckets] for 0). It panics unless a sub-bucket is at
// least a nanosecond.
func NewHistogram(window time.Duration, buckets int) *Histogram {
	return &Histogram{newRing[latencies](window, buckets)}
}

// Record counts one latency at now. A negative one counts as 0.
func (h *Histogram) Record(now, latency time.Duration) {
	l := h.ring.at(now)
	if l == nil {
		return
	}
	latency = min(max(latency, 0), MaxLatency)
	l.count.Add(1)
	l.sum.Add(uint64(latency))
	l.cells[cell(latency)].Add(1)
}

// Totals returns how many latencies the window that ends at now holds, a
// fraction because of the oldest sub-bucket, and their mean, 0 where there
// are none. It is a cheap [Histogram.Read].
func (h *Histogram) Totals(now time.Duration) (count float64, mean time.Duration) {
	var sum float64
	h.ring.each(now, func(l *latencies, weight float64) {
		count += weight * float64(l.count.Load())
		sum += weight * float64(l.sum.Load())
	})
	return count, meanOf(sum, count)
}

// Rate returns the latencies recorded per second in the window that ends at
// now, or since the epoch where that is less long ago, but at least over one
// sub-bucket.
func (h *Histogram) Rate(now time.Duration) float64 {
	count, _ := h.Totals(now)
	return count / h.ring.covered(now).Seconds()
}

// Window returns the length of the window, which is what [NewHistogram] was
// given less what its sub-buckets do not divide.
func (h *Histogram) Window() time.Duration { return h.ring.span() }

// Reading is what a [Histogram] held at one moment. The zero Reading holds
// nothing. It takes about 8 KiB.
type Reading struct {
	count, sum float64
	rate       float64
	in         float64 // in cells; differs from count while others record
	cells      [cells]float64
}

// Read replaces what is in r with the window that ends at now.
func (h *Histogram) Read(now time.Duration, r *Reading) {
	*r = Reading{}
	h.ring.each(now, func(l *latencies, weight float64) {
		r.count += weight * float64(l.count.Load())
		r.sum += weight * float64(l.sum.Load())
		for i := range l.cells {
			if n := l.cells[i].Load(); n != 0 {
				r.cells[i] += weight * float64(n)
				r.in += weight * float64(n)
			}
		}
	})
	r.rate = r.count / h.ring.covered(now).Seconds()
}

// Count returns how many latencies there are, a fraction because of the
// oldest sub-bucket.
func (r *Reading) Count() float64 { return r.count }

// Rate returns what [Histogram.Rate] does.
func (r *Reading) Rate() float64 { return r.rate }

// Mean returns the mean latency, 0 where there are none.
func (r *Reading) Mean() time.Duration { return meanOf(r.sum, r.count) }

// Quantile returns the latency that the part q of all does not exceed, and 0
// where there are none. It is within 1/32 of the exact one. A q outside 0 … 1
// counts as the nearer end, NaN as 0.
func (r *Reading) Quantile(q float64) time.Duration {
	if r.in <= 0 {
		return 0
	}
	if !(q > 0) {
		q = 0
	}
	rank := min(q, 1) * r.in
	var below float64
	last := 0
	for i, n := range r.cells {
		if n == 0 {
			continue
		}
		last = i
		if below+n >= rank {
			low, high := bounds(i)
			return low + time.Duration(float64(high-low)*(rank-below)/n)
		}
		below += n
	}
	// The sum of the cells in another order may differ in the last digit.
	_, high := bounds(last)
	return high
}

func meanOf(sum, count float64) time.Duration {
	if count <= 0 {
		return 0
	}
	return time.Duration(sum / count)
}
