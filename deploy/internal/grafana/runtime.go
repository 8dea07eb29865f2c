package main

import "fmt"

// The metrics are those of the Go and process collectors that client_golang
// registers by default.
func runtime() dashboard {
	by := func(expr string) string { return most("instance", expr) }
	return dashboard{
		uid: "handrail-runtime", title: "handrail / Go runtime",
		description: "Utilization, saturation and faults of the Go runtime and the process.",
		variables:   variables("go_goroutines"),
		panels: []panel{
			row("Now"),
			stat("Instances", "That could be scraped.", count, fmt.Sprintf("count(%s == 1)", series("up", ""))),
			stat("CPU", "Cores used, all instances.", plain, sum("", rate("process_cpu_seconds_total", ""))),
			stat("Memory", "Resident, the largest instance.", amount, most("", series("process_resident_memory_bytes", ""))),
			stat("Goroutines", "The most of any instance.", count, most("", series("go_goroutines", "")), 10000, 100000),
			stat("File descriptors", "Open ones as a share of those allowed.", ratio,
				fmt.Sprintf("max(%s / %s)", series("process_open_fds", ""), series("process_max_fds", "")), 0.6, 0.8),
			stat("Youngest instance", "Time since it began. Small means a restart.", seconds,
				fmt.Sprintf("min(time() - %s)", series("process_start_time_seconds", ""))),

			row("CPU and scheduler"),
			graph("CPU", "Cores used, beside GOMAXPROCS.", plain,
				q(by(rate("process_cpu_seconds_total", "")), "{{instance}}"),
				q(by(series("go_sched_gomaxprocs_threads", "")), "{{instance}} GOMAXPROCS")),
			graph("Goroutines", "A line that only grows is a leak.", count,
				q(by(series("go_goroutines", "")), "{{instance}}")),
			graph("Threads", "Many threads mean many blocking system calls or cgo.", count,
				q(by(series("go_threads", "")), "{{instance}}")),

			row("Memory"),
			graph("Resident memory", "What the kernel counts.", amount,
				q(by(series("process_resident_memory_bytes", "")), "{{instance}}")),
			graph("Heap", "In use, and what the next collection starts at.", amount,
				q(by(series("go_memstats_heap_inuse_bytes", "")), "{{instance}} in use"),
				q(by(series("go_memstats_next_gc_bytes", "")), "{{instance}} next collection")),
			graph("Memory limit", "GOMEMLIMIT, beside what the runtime holds.", amount,
				q(by(fmt.Sprintf("%s < 9e18", series("go_gc_gomemlimit_bytes", ""))), "{{instance}} limit"),
				q(by(fmt.Sprintf("%s - %s", series("go_memstats_sys_bytes", ""), series("go_memstats_heap_released_bytes", ""))), "{{instance}} held")),
			graph("Allocation", "Bytes allocated in a second.", "Bps",
				q(by(rate("go_memstats_alloc_bytes_total", "")), "{{instance}}")),
			graph("Collections", "Per second. More than a few mean that memory is short.", events,
				q(by(rate("go_gc_duration_seconds_count", "")), "{{instance}}")),
			// Prometheus writes the quantile 1.0 since version 3, and before where it
			// scrapes native histograms.
			graph("Collector pauses", "The longest of the last ones.", seconds,
				q(by(series("go_gc_duration_seconds", `quantile=~"1|1.0"`)), "{{instance}}")),

			row("Process"),
			graph("File descriptors", "Open, beside what is allowed.", count,
				q(by(series("process_open_fds", "")), "{{instance}} open"),
				q(by(series("process_max_fds", "")), "{{instance}} allowed")).wide(),
			graph("Network", "Bytes in a second, of the process's network namespace.", "Bps",
				q(by(rate("process_network_receive_bytes_total", "")), "{{instance}} received"),
				q(by(rate("process_network_transmit_bytes_total", "")), "{{instance}} sent")).wide(),
		},
	}
}
