package load

import (
	"math"
	"time"

	"github.com/handrail-go/handrail/internal/window"
)

// Snapshot is what a [Sampler] knew at one moment. It is a copy.
type Snapshot struct {
	// At is when CPU and memory were last read, zero where they never were.
	At time.Time
	// Stale is true where that is more than three intervals ago and could
	// not be made good, or the sampler is closed: the process was frozen
	// and somebody else is just reading, the source hangs or fails. CPU,
	// HostCPU and Memory are unknown then; the rest is current.
	Stale bool

	// CPU, HostCPU and Memory are the last [Usage].
	CPU, HostCPU, Memory Value
	// Scheduler is the state of the Go scheduler.
	Scheduler Scheduler
	// Pressure is what [Sampler.Pressure] makes of these.
	Pressure float64

	// InFlight is how many requests are in flight, LongLived how many more
	// are hijacked or streaming events.
	InFlight, LongLived int

	// Window is the time that what follows covers, up to now.
	Window time.Duration
	// Samples is how many requests ended as Success or Failure in the
	// window, of which the oldest tenth fades out. Without any, the figures
	// below are 0, which says nothing.
	Samples int
	// Rate is how many of them there were a second.
	Rate float64
	// ErrorRate is which part of them were failures, 0 to 1.
	ErrorRate float64
	// Mean, P50, P95 and P99 are the mean and the quantiles of how long they
	// took. The quantiles are within 1/32 of the exact ones.
	Mean, P50, P95, P99 time.Duration

	// SourceFailures is how many readings of the source and the scheduler
	// failed, all or in part, since the sampler was made.
	SourceFailures uint64
}

// Snapshot returns all that the sampler knows. It goes through the whole
// window, which takes some ten microseconds; for each request ask for
// [Sampler.Pressure], [Sampler.Usage], [Sampler.Scheduler] and
// [Sampler.InFlight] instead.
func (s *Sampler) Snapshot() Snapshot {
	usage, at, stale := s.usage()
	now := s.Now()
	snap := Snapshot{
		At: at, Stale: stale,
		CPU: usage.CPU, HostCPU: usage.HostCPU, Memory: usage.Memory,
		Scheduler: s.SchedulerAt(now),
		InFlight:  s.InFlight(),
		LongLived: int(s.longLived.Load()),
	}
	snap.Pressure = s.set.thresholds.pressure(usage, snap.Scheduler)

	var r window.Reading
	s.latencies.Read(now, &r)
	snap.Window = s.latencies.Window()
	snap.Samples = int(math.Ceil(r.Count()))
	snap.Rate = r.Rate()
	if r.Count() > 0 {
		snap.ErrorRate = min(s.failures.Count(now)/r.Count(), 1)
	}
	snap.Mean, snap.P50, snap.P95, snap.P99 = r.Mean(), r.Quantile(0.50), r.Quantile(0.95), r.Quantile(0.99)
	snap.SourceFailures = s.faults.count.Load()
	return snap
}
