// Package load measures how loaded this process is: CPU, memory, the Go
// scheduler, and the requests it serves. One [Sampler] is shared by all who
// want to know, so that the system is read once and a request is counted once.
//
//	sampler := load.Default()
//	if sampler.Pressure() > 1 {
//		// More work than there is room for.
//	}
//
// Package shed feeds a sampler and reads it. Others take what they need as a
// func() float64, which the method value sampler.Pressure is.
//
// # What the figures mean
//
// Usage.CPU is the share in use of the CPU time that this process may use: its
// own CPU time against the least of GOMAXPROCS, the number of CPUs, and the
// quotas of the control groups it is in (version 1 and 2, on every level). For
// each group with a quota the time of all in that group is held against it
// too, and the greatest share counts, because a sidecar that eats the quota
// throttles this process just as well. It is the mean since the reading
// before, over 100 ms at least.
//
// CPU usage cannot tell a service that is well used from one that drowns: at
// 0.95 of what it can serve it says nearly 1, at 1.5 times that it says 1, and
// at ten times too.
//
// Usage.HostCPU is the share in use of all CPUs of the machine, whoever uses
// them, also outside of a container. It tells a noisy neighbour from one's own
// load and is no part of the pressure.
//
// Usage.Memory is how near the process is to the memory it may use: the
// greatest share among GOMEMLIMIT and the limits of its control groups that
// are below the size of the machine. Against a group counts the working set of
// all in it, which is its usage less file pages that were not used lately.
// Against GOMEMLIMIT counts what the runtime has of the system less what the
// collector would give back: free heap, what did not survive the last
// collection, and what came after it. The runtime lets garbage fill all of
// GOMEMLIMIT before it works hard, so a healthy process is often close to the
// limit by what it has, and far from it by what it needs. What is allocated
// and kept is therefore seen at the next collection, which comes the sooner
// the less room there is. A group whose limit is not below GOMEMLIMIT is
// spared that garbage too, since the collector runs before it is full. Where
// nothing limits the process, its resident set counts against that and what
// the system has available.
//
// Scheduler.Runnable is how many goroutines wait for a CPU, per P. This is
// what grows when CPU usage has come to its end, and it does so at once: a few
// now and then are a burst, 8 on end are a backlog, 32 are an overload. It
// does not see goroutines that wait for anything else, such as a slow
// database, a lock, or a CPU that the machine or a quota withholds from all of
// them alike; the latter shows as more of them waiting. Scheduler.Latency says
// for how long they wait, a tenth of a second later.
//
// Rate, ErrorRate, Mean and the quantiles of a [Snapshot] are taken over a
// sliding window from what ended in it. So they know nothing of requests that
// hang, which InFlight does. The time a request spent before its handler, in
// the accept queue or the run queue, is not in its latency.
//
// What cannot be read is unknown, which [Value] and [Scheduler] can say, and
// never a made-up 0. A value that was good counts until it is three intervals
// old.
//
// # When it is measured
//
// The scheduler is read by whoever asks, at most once a millisecond, because
// a background reading is late when the CPUs are busy, which is when it
// matters. CPU and memory are read once an interval by a goroutine that the
// first call of Usage, Pressure, Snapshot or Collect starts and Close ends.
// That goroutine is late under overload, too, and stands still while a machine
// is frozen, as AWS Lambda does between requests; so a caller who finds the
// last reading older than two intervals takes one itself, which is 0.2 ms of
// work for one of them while the others go on with what there is. What is
// older than three intervals is unknown then, and the snapshot says Stale.
//
// # Counting requests
//
// Whoever serves a request calls Enter and Exit:
//
//	if sampler.Enter(w) {
//		began := sampler.Now()
//		outcome := load.Failure // what it is if next panics
//		defer func() {
//			now := sampler.Now()
//			sampler.ExitAt(now, now-began, outcome)
//		}()
//	}
//
// Enter says no where a package further out has counted this request already.
//
// # Metrics
//
// What [Sampler.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_load_cpu_ratio                     gauge    name
//	handrail_load_host_cpu_ratio                gauge    name
//	handrail_load_memory_ratio                  gauge    name
//	handrail_load_runnable_goroutines_per_proc  gauge    name
//	handrail_load_scheduling_latency_seconds    gauge    name
//	handrail_load_pressure_ratio                gauge    name
//	handrail_load_in_flight_requests            gauge    name
//	handrail_load_long_lived_requests           gauge    name
//	handrail_load_requests_per_second           gauge    name
//	handrail_load_error_ratio                   gauge    name
//	handrail_load_latency_mean_seconds          gauge    name
//	handrail_load_latency_seconds               gauge    name, percentile
//	handrail_load_stale                         gauge    name
//	handrail_load_source_failures_total         counter  name
//
// What is unknown is absent, and so are errors and latencies while the window
// holds no request. percentile is 50, 95 or 99, stale 1 or 0.
//
// # Mistakes to avoid
//
// Taking a value without asking whether it is Known: an unknown CPU reads as
// an idle one.
//
// Making a sampler for each route or each middleware. Every one reads the
// system by itself, and none sees all requests.
//
// Reading a Snapshot for each request. It goes through the whole window;
// Pressure, Usage, Scheduler and InFlight are made for that.
//
// Calling Default in a test with virtual time: it lives as long as the
// process and measures real CPU time. Use New with [WithSource] and
// [WithScheduler] inside the bubble, and Close it there.
package load
