package load

import (
	"fmt"
	"math"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Scheduler is how far the Go scheduler is behind. Unlike CPU usage, which
// says 1 just below and far beyond capacity, it grows with the overload.
type Scheduler struct {
	// Runnable is how many goroutines wait for a CPU, per P (GOMAXPROCS),
	// at the moment of the reading. Idle it is 0; bursts reach a few.
	Runnable float64
	// Latency is what 99 % of the goroutines did not wait longer for a CPU,
	// lately: between the last two readings, which are at least 100 ms
	// apart. It is the upper end of one of the runtime's buckets, which are
	// up to a quarter wide. It is 0 where none waited.
	Latency time.Duration
	// Known is false where there is no recent reading.
	Known bool
}

const (
	schedulerEvery   = time.Millisecond
	latencyEvery     = 100 * time.Millisecond
	schedulerExpires = time.Second
)

// Scheduler returns the state of the scheduler, read by this very call where
// the last reading is a millisecond old. It needs no goroutine, since one
// would be late exactly when it matters, allocates nothing, and is meant to
// be called for every request. Of several callers at once one reads and the
// others get the reading before, or an unknown one if that is older than a
// second. It goes on working after Close.
func (s *Sampler) Scheduler() Scheduler { return s.SchedulerAt(s.Now()) }

// SchedulerAt is Scheduler for a caller that has just called [Sampler.Now],
// and saves reading the clock again.
func (s *Sampler) SchedulerAt(now time.Duration) Scheduler {
	c := &s.scheduler
	due := c.due.Load()
	if int64(now) >= due && c.busy.CompareAndSwap(false, true) {
		s.readScheduler(now)
		due = c.due.Load()
	}
	if !c.known.Load() || int64(now)-due > int64(schedulerExpires) {
		return Scheduler{}
	}
	return Scheduler{
		Runnable: math.Float64frombits(c.runnable.Load()),
		Latency:  time.Duration(c.latency.Load()),
		Known:    true,
	}
}

// scheduler holds the last reading.
type scheduler struct {
	read func() Scheduler
	busy atomic.Bool // somebody is reading

	due      atomic.Int64 // when to read again, by Sampler.Now
	runnable atomic.Uint64
	latency  atomic.Int64
	known    atomic.Bool
}

// readScheduler does one reading; the caller has set busy.
func (s *Sampler) readScheduler(now time.Duration) {
	c := &s.scheduler
	defer c.busy.Store(false)
	if int64(now) < c.due.Load() {
		return // somebody has read between the caller's look and now
	}
	got, err := c.call()
	if err == nil && got.Known && !(got.Runnable >= 0 && !math.IsInf(got.Runnable, 1) && got.Latency >= 0) {
		err = &SignalError{"scheduler", fmt.Errorf("%v runnable and %v are no state", got.Runnable, got.Latency)}
	}
	failed := signals(0)
	if err != nil {
		got, failed = Scheduler{}, schedulerSignal
	}
	c.runnable.Store(math.Float64bits(got.Runnable))
	c.latency.Store(int64(got.Latency))
	c.known.Store(got.Known)
	c.due.Store(int64(now + schedulerEvery))
	s.faults.note(schedulerSignal, failed, err)
}

func (c *scheduler) call() (got Scheduler, err error) {
	defer contain("scheduler", &err)
	return c.read(), nil
}

// runtimeScheduler reads the Go runtime. It must not be used concurrently.
type runtimeScheduler struct {
	state   []metrics.Sample
	latency []metrics.Sample
	before  []uint64
	due     time.Time
	last    time.Duration
}

func newRuntimeScheduler() *runtimeScheduler {
	r := &runtimeScheduler{
		state: []metrics.Sample{
			{Name: "/sched/goroutines/runnable:goroutines"},
			{Name: "/sched/gomaxprocs:threads"},
		},
		latency: []metrics.Sample{{Name: "/sched/latencies:seconds"}},
	}
	r.readLatency()
	return r
}

func (r *runtimeScheduler) read() Scheduler {
	metrics.Read(r.state)
	if r.state[0].Value.Kind() != metrics.KindUint64 || r.state[1].Value.Kind() != metrics.KindUint64 {
		return Scheduler{}
	}
	if now := time.Now(); !now.Before(r.due) {
		r.due = now.Add(latencyEvery)
		r.last = r.readLatency()
	}
	return Scheduler{
		Runnable: float64(r.state[0].Value.Uint64()) / float64(max(r.state[1].Value.Uint64(), 1)),
		Latency:  r.last,
		Known:    true,
	}
}

// readLatency returns the 99 % quantile of what was counted since the last
// call.
func (r *runtimeScheduler) readLatency() time.Duration {
	metrics.Read(r.latency)
	if r.latency[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	h := r.latency[0].Value.Float64Histogram()
	if len(r.before) != len(h.Counts) {
		r.before = append([]uint64(nil), h.Counts...)
		return 0
	}
	q := quantileSince(h, r.before, 0.99)
	copy(r.before, h.Counts)
	return time.Duration(q * float64(time.Second))
}

// quantileSince returns the upper bound of the bucket that holds the quantile
// q of what h counted beyond before, and 0 where that is nothing. The last
// bucket has no upper bound, so there it is the lower one.
func quantileSince(h *metrics.Float64Histogram, before []uint64, q float64) float64 {
	var total uint64
	for i, n := range h.Counts {
		total += n - before[i]
	}
	rank := uint64(math.Ceil(q * float64(total)))
	var below uint64
	for i, n := range h.Counts {
		if below += n - before[i]; below >= rank && total > 0 {
			if high := h.Buckets[i+1]; !math.IsInf(high, 1) {
				return max(high, 0)
			}
			return max(h.Buckets[i], 0)
		}
	}
	return 0
}
