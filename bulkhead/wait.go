package bulkhead

import "time"

// waitBounds are the upper bounds of the buckets that waits are counted in.
var waitBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// waits counts how long requests waited.
type waits struct {
	of    [len(waitBounds) + 1]uint64
	count uint64
	sum   time.Duration
}

func (w *waits) add(d time.Duration) {
	i := 0
	for i < len(waitBounds) && d > waitBounds[i] {
		i++
	}
	w.of[i]++
	w.count++
	w.sum += d
}
