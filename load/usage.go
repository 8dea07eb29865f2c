package load

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Value is a reading that may be missing. The zero Value is unknown, which is
// not the same as a known 0.
type Value struct {
	// V is 0 to 1, and 0 where it is not known.
	V float64
	// Known is false where the signal is unavailable, failed, or is too old.
	Known bool
}

// Usage is what is read once an interval.
type Usage struct {
	// CPU is the share in use of the CPU time that this process may use.
	CPU Value
	// HostCPU is the share in use of all CPUs of the machine, by anybody.
	HostCPU Value
	// Memory is the share in use of the memory that this process may use.
	Memory Value
}

// Usage returns the last reading of CPU and memory. It takes one itself where
// there is none or where the last is older than two intervals, unless somebody
// is already at it; what is older than three intervals is unknown, and
// everything is once the sampler is closed.
func (s *Sampler) Usage() Usage {
	usage, _, _ := s.usage()
	return usage
}

func (s *Sampler) usage() (usage Usage, at time.Time, stale bool) {
	if s.state.Load() == stopped {
		if last := s.slow.last.Load(); last != nil {
			at = last.at
		}
		return Usage{}, at, true
	}
	s.start()
	now := time.Now()
	last := s.slow.last.Load()
	if last == nil || age(last.tried, now) > 2*s.set.interval {
		s.sample(2 * s.set.interval)
		if last = s.slow.last.Load(); last == nil {
			return Usage{}, time.Time{}, true
		}
		now = time.Now()
	}
	limit := 3 * s.set.interval
	return last.usage(now, limit), last.at, last.at.IsZero() || age(last.at, now) > limit
}

// age is how long ago t was. The monotonic clock of a frozen machine may have
// stood still and the wall clock may be set back, so the later of them counts.
func age(t, now time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// slow is the part of a sampler that is read once an interval.
type slow struct {
	source   func() (Usage, error)
	sampling sync.Mutex // held while the source runs; only ever tried
	last     atomic.Pointer[sample]
}

// sample is what is known after one reading.
type sample struct {
	tried                time.Time // when the last reading began
	at                   time.Time // when the last reading began that was of any use
	cpu, hostCPU, memory dated
}

// dated is a value and when it was good.
type dated struct {
	Value
	at time.Time
}

func (d dated) within(now time.Time, limit time.Duration) Value {
	if !d.Known || age(d.at, now) > limit {
		return Value{}
	}
	return d.Value
}

func (m *sample) usage(now time.Time, limit time.Duration) Usage {
	return Usage{
		CPU:     m.cpu.within(now, limit),
		HostCPU: m.hostCPU.within(now, limit),
		Memory:  m.memory.within(now, limit),
	}
}

// sample reads the source, unless somebody is at it or the last reading began
// no longer ago than that.
func (s *Sampler) sample(unless time.Duration) {
	if !s.slow.sampling.TryLock() {
		return
	}
	defer s.slow.sampling.Unlock()
	last := s.slow.last.Load()
	began := time.Now()
	next := &sample{}
	if last != nil {
		if age(last.tried, began) <= unless {
			return
		}
		*next = *last
	}

	usage, err := s.slow.read()
	next.tried = time.Now()
	all := []error{err}
	var failed, good signals
	take := func(signal signals, name string, to *dated, v Value) {
		switch {
		case v.Known && v.V >= 0 && !math.IsInf(v.V, 1):
			*to = dated{Value{min(v.V, 1), true}, began}
			good |= signal
		case v.Known:
			failed |= signal
			all = append(all, &SignalError{name, fmt.Errorf("%v is no share", v.V)})
		case err != nil:
			failed |= signal
		default:
			*to = dated{}
		}
	}
	take(cpuSignal, "cpu", &next.cpu, usage.CPU)
	take(hostSignal, "host_cpu", &next.hostCPU, usage.HostCPU)
	take(memorySignal, "memory", &next.memory, usage.Memory)
	if good != 0 || failed == 0 {
		next.at = began
	}
	s.slow.last.Store(next)
	s.faults.note(slowSignals, failed, errors.Join(all...))
}

func (l *slow) read() (usage Usage, err error) {
	defer contain("source", &err)
	return l.source()
}
