package health

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"
)

// Goroutines warns and fails from these numbers of goroutines on, 0 for never,
// until there are less than nine tenths of that. Requests are goroutines, so it
// is load: the check is refused for Live.
func Goroutines(warn, fail int) Check {
	c := Check{kind: "system", load: true}
	c.levels("Goroutines", float64(warn), float64(fail))
	t := &thresholds{warn: float64(warn), fail: float64(fail)}
	c.run = func(ctx context.Context) error {
		n := runtime.NumGoroutine()
		Observe(ctx, "goroutines", float64(n), "")
		return t.verdict(float64(n), "there are %d goroutines", n)
	}
	return c
}

// Memory warns and fails from these shares of the memory that may be used, 0 to
// 1 and 0 for never, until less than nine tenths of that are used. usage tells
// the share, and whether it is known; where it is not, the check passes. nil is
// [MemoryUsage]. It is load, and refused for Live.
//
// Package load knows the limits of control groups too:
//
//	health.Memory(func() (float64, bool) {
//		m := sampler.Usage().Memory
//		return m.V, m.Known
//	}, 0.9, 0.95)
func Memory(usage func() (share float64, known bool), warn, fail float64) Check {
	c := Check{kind: "system", load: true}
	c.levels("Memory", warn, fail)
	if warn > 1 || fail > 1 {
		c.fault("Memory", [2]float64{warn, fail}, "thresholds are shares, at most 1")
	}
	if usage == nil {
		usage = MemoryUsage
	}
	t := &thresholds{warn: warn, fail: fail}
	c.run = func(ctx context.Context) error {
		share, known := usage()
		if !known {
			return nil
		}
		Observe(ctx, "utilization", share*100, "percent")
		return t.verdict(share, "%.1f%% of the memory that may be used are in use", share*100)
	}
	return c
}

// MemoryUsage is the share of the memory limit that the Go runtime has taken
// from the system and not given back, the figure that GOMEMLIMIT bounds. It is
// not known where no such limit is set.
func MemoryUsage() (share float64, known bool) {
	m := [...]metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(m[:])
	for _, s := range m {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0, false
		}
	}
	limit := m[2].Value.Uint64()
	if limit == math.MaxInt64 {
		return 0, false
	}
	return float64(m[0].Value.Uint64()-m[1].Value.Uint64()) / float64(max(limit, 1)), true
}

// GCPause warns and fails from these durations on, 0 for never, that 99 % of the
// pauses for garbage collection since the last run were shorter than, until they
// fall below nine tenths of that. It tells durations in steps of about 25 %, and
// passes where there were no pauses. It is load, and refused for Live.
func GCPause(warn, fail time.Duration) Check {
	c := Check{kind: "system", load: true}
	c.levels("GCPause", warn.Seconds(), fail.Seconds())
	t := &thresholds{warn: warn.Seconds(), fail: fail.Seconds()}
	p := &pauses{}
	c.run = func(ctx context.Context) error {
		p99, some := p.since()
		if !some {
			p99 = 0
		}
		Observe(ctx, "gcPause", p99*1e3, "ms")
		return t.verdict(p99, "1 of 100 pauses for garbage collection takes %v or more", time.Duration(p99*float64(time.Second)))
	}
	return c
}

// pauses reads what happened since it was last asked.
type pauses struct {
	mu   sync.Mutex
	seen []uint64
}

func (p *pauses) since() (p99 float64, some bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := [...]metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(m[:])
	if m[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0, false
	}
	h := m[0].Value.Float64Histogram()
	news := slices.Clone(h.Counts)
	for i := range p.seen {
		news[i] -= p.seen[i]
	}
	p.seen = slices.Clone(h.Counts)
	return quantile(news, h.Buckets, 0.99)
}

// quantile is the lower bound of the bucket that holds a quantile.
func quantile(counts []uint64, bounds []float64, q float64) (value float64, some bool) {
	var total uint64
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank := uint64(math.Ceil(q * float64(total)))
	var sum uint64
	for i, n := range counts {
		if sum += n; sum >= rank {
			return max(bounds[i], 0), true // the first bound is -Inf
		}
	}
	return 0, false
}
