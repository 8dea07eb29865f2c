package main

import (
	"sync/atomic"
	"time"
)

// watch counts what is happening now, for the line of progress. A nil watch
// counts nothing.
type watch struct {
	counts [outcomes]atomic.Int64
	slower [40]atomic.Int64 // good answers by latency, four buckets to an octave of milliseconds
}

func (w *watch) count(r *request) {
	if w == nil {
		return
	}
	w.counts[r.outcome].Add(1)
	if r.outcome == good {
		w.slower[bucketOf(r.took)].Add(1)
	}
}

// bucketOf has bounds of 1 ms × 2^(i/4).
func bucketOf(d time.Duration) int {
	bound, i := time.Millisecond, 0
	for ; d >= bound && i < 39; i++ {
		bound = bound * 11892 / 10000
	}
	return i
}

func boundOf(i int) time.Duration {
	bound := time.Millisecond
	for range i {
		bound = bound * 11892 / 10000
	}
	return bound
}

// reading is what was counted since the last take.
type reading struct {
	counts [outcomes]int64
	p99    time.Duration // of good answers, within a fifth; 0 without any
}

func (w *watch) take() reading {
	var r reading
	for i := range w.counts {
		r.counts[i] = w.counts[i].Swap(0)
	}
	var slower [40]int64
	var total, sum int64
	for i := range w.slower {
		slower[i] = w.slower[i].Swap(0)
		total += slower[i]
	}
	for i, n := range slower {
		sum += n
		if n > 0 && sum*100 >= total*99 {
			r.p99 = boundOf(i)
			break
		}
	}
	return r
}
