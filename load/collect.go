package load

import "github.com/handrail-go/handrail"

// Collect implements [handrail.Source]. Every metric has the label "name"
// (see [WithName]). What is unknown is absent.
func (s *Sampler) Collect(emit func(handrail.Metric)) {
	snap := s.Snapshot()
	named := []handrail.Label{{Name: "name", Value: s.set.name}}
	gauge := func(name, help string, value float64) {
		emit(handrail.Metric{Name: "handrail_load_" + name, Help: help, Kind: handrail.Gauge, Labels: named, Value: value})
	}
	share := func(name, help string, v Value) {
		if v.Known {
			gauge(name, help, v.V)
		}
	}
	share("cpu_ratio", "CPU time used of what this process may use, 0 to 1.", snap.CPU)
	share("host_cpu_ratio", "CPU time used of the whole machine, 0 to 1.", snap.HostCPU)
	share("memory_ratio", "Memory used of what this process may use, 0 to 1.", snap.Memory)
	if snap.Scheduler.Known {
		gauge("runnable_goroutines_per_proc", "Goroutines that wait for a CPU, per GOMAXPROCS.", snap.Scheduler.Runnable)
		gauge("scheduling_latency_seconds", "What 99 % of the goroutines did not wait longer for a CPU.", snap.Scheduler.Latency.Seconds())
	}
	gauge("pressure_ratio", "The worst signal relative to its threshold: 0 idle, 1 at the threshold.", snap.Pressure)
	gauge("in_flight_requests", "Requests in flight, long-lived ones not included.", float64(snap.InFlight))
	gauge("long_lived_requests", "Hijacked connections and event streams.", float64(snap.LongLived))
	gauge("requests_per_second", "Requests that ended, averaged over the window.", snap.Rate)
	if snap.Samples > 0 {
		gauge("error_ratio", "Failures among the requests of the window, 0 to 1.", snap.ErrorRate)
		gauge("latency_mean_seconds", "Mean duration of the requests of the window.", snap.Mean.Seconds())
		for _, q := range [...]struct {
			percentile string
			seconds    float64
		}{{"50", snap.P50.Seconds()}, {"95", snap.P95.Seconds()}, {"99", snap.P99.Seconds()}} {
			emit(handrail.Metric{Name: "handrail_load_latency_seconds", Help: "Percentiles of the duration of the requests of the window.",
				Kind: handrail.Gauge, Labels: []handrail.Label{named[0], {Name: "percentile", Value: q.percentile}}, Value: q.seconds})
		}
	}
	stale := 0.0
	if snap.Stale {
		stale = 1
	}
	gauge("stale", "1 where CPU and memory could not be read lately.", stale)
	emit(handrail.Metric{Name: "handrail_load_source_failures_total", Help: "Readings of CPU, memory or scheduler that failed.",
		Kind: handrail.Counter, Labels: named, Value: float64(snap.SourceFailures)})
}
