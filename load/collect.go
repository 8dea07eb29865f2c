package load

import (
	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// Collect implements [handrail.Source]. Every metric has the label "name"
// (see [WithName]). What is unknown is absent.
func (s *Sampler) Collect(emit func(handrail.Metric)) {
	snap := s.Snapshot()
	m := metric.New("handrail_load_", s.set.name, emit)
	share := func(name, help string, v Value) {
		if v.Known {
			m.Gauge(name, help, v.V)
		}
	}
	share("cpu_ratio", "CPU time used of what this process may use, 0 to 1.", snap.CPU)
	share("host_cpu_ratio", "CPU time used of the whole machine, 0 to 1.", snap.HostCPU)
	share("memory_ratio", "Memory used of what this process may use, 0 to 1.", snap.Memory)
	if snap.Scheduler.Known {
		m.Gauge("runnable_goroutines_per_proc", "Goroutines that wait for a CPU, per GOMAXPROCS.", snap.Scheduler.Runnable)
		m.Gauge("scheduling_latency_seconds", "What 99 % of the goroutines did not wait longer for a CPU.", snap.Scheduler.Latency.Seconds())
	}
	m.Gauge("pressure_ratio", "The worst signal relative to its threshold: 0 idle, 1 at the threshold.", snap.Pressure)
	m.Gauge("in_flight_requests", "Requests in flight, long-lived ones not included.", float64(snap.InFlight))
	m.Gauge("long_lived_requests", "Hijacked connections and event streams.", float64(snap.LongLived))
	m.Gauge("requests_per_second", "Requests that ended, averaged over the window.", snap.Rate)
	if snap.Samples > 0 {
		m.Gauge("error_ratio", "Failures among the requests of the window, 0 to 1.", snap.ErrorRate)
		m.Gauge("latency_mean_seconds", "Mean duration of the requests of the window.", snap.Mean.Seconds())
		for _, q := range [...]struct {
			percentile string
			seconds    float64
		}{{"50", snap.P50.Seconds()}, {"95", snap.P95.Seconds()}, {"99", snap.P99.Seconds()}} {
			m.Gauge("latency_seconds", "Percentiles of the duration of the requests of the window.", q.seconds,
				handrail.Label{Name: "percentile", Value: q.percentile})
		}
	}
	m.Flag("stale", "1 where CPU and memory could not be read lately.", snap.Stale)
	m.Counter("source_failures", "Readings of CPU, memory or scheduler that failed.", snap.SourceFailures)
}
