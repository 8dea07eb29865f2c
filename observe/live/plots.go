package live

// mode is how a metric becomes a point.
type mode uint8

const (
	asIs      mode = iota // the value of a gauge
	perSecond             // by how much a counter grew
	median                // of what a histogram took in since the last point
	p99
	flag // the entry of values that is 1
)

// rule says which metric is drawn in a plot, and as what.
type rule struct {
	metric string
	mode   mode
	// by is the label whose values are curves of their own; all others are
	// added up. Without one there is one curve, as.
	by string
	as string
	// before stands before the label's value in the curve's name.
	before string
	// unless one of the sources has this metric, which says it better.
	unless string
	// values are the heights of a flag, by its label status.
	values map[string]float64
	// promised curves, by the value of the label, are there from the beginning
	// where the same source has the metric promise: a page that is open gets
	// no further curves, and what is not known yet is not told.
	promise  string
	promised []string
	// percent draws a share of 1 as a percentage.
	percent bool
	// unlimited is a negative value that means there is no limit: no point.
	unlimited bool
}

// plot is one drawing.
type plot struct {
	name, title string
	tag         tag
	unit        string // of the axis, where the suffix does not say it
	suffix      string // of numbers: "s"
	stacked     bool
	info        string
	rules       []rule
}

// tag is a filter of the page, by the name that it has in the library.
type tag string

const (
	requests tag = "cpu"
	policies tag = "gc"
	signals  tag = "scheduler"
	golang   tag = "misc"
)

// sampler is a metric that a load sampler has from the beginning.
const sampler = "handrail_load_pressure_ratio"

// health is at which height a status is drawn.
var health = map[string]float64{"pass": 2, "warn": 1, "fail": 0}

// plots are all drawings there can be, in the order of the page, which has three
// of them in a row: what happens to requests, then what the policies do about
// it, then why.
var plots = [...]plot{
	{
		name: "requests", title: "Requests by outcome", tag: requests, unit: "per second", stacked: true,
		info: "How requests ended: answered by the handler, or by the policy that refused or cut them off. Without an observer: those that the load sampler saw end.",
		rules: []rule{
			{metric: "handrail_observe_requests_total", mode: perSecond, by: "outcome"},
			{metric: "handrail_load_requests_per_second", as: "ended", unless: "handrail_observe_requests_total"},
		},
	},
	{
		name: "latency", title: "Latency, percentiles", tag: requests, suffix: "s",
		info: "How long requests took, as percentiles of the load sampler's window. Long-lived exchanges are left out.",
		rules: []rule{
			{metric: "handrail_load_latency_seconds", by: "percentile", before: "p", promise: sampler, promised: []string{"50", "95", "99"}},
		},
	},
	{
		name: "inflight", title: "In flight against the limit", tag: requests, unit: "requests",
		info: "Slots of the shedder that are taken, how many there are, who waits for one, everything in the service, and handlers that still run after their timeout.",
		rules: []rule{
			{metric: "handrail_observe_in_flight_requests", as: "in the service"},
			{metric: "handrail_load_in_flight_requests", as: "in the service", unless: "handrail_observe_in_flight_requests"},
			{metric: "handrail_shed_limit_requests", as: "shed limit"},
			{metric: "handrail_shed_in_flight_requests", as: "hold a slot"},
			{metric: "handrail_shed_waiting_requests", as: "wait for a slot"},
			{metric: "handrail_timeout_overdue_requests", as: "overdue handlers"},
		},
	},
	{
		name: "shed", title: "Shed by class", tag: policies, unit: "per second", stacked: true,
		info: "Requests that the shedder refused, by their priority; in a dry run those it would have refused.",
		rules: []rule{
			{metric: "handrail_shed_refused_requests_total", mode: perSecond, by: "priority"},
		},
	},
	{
		name: "breaker", title: "Breaker circuits by state", tag: policies, unit: "circuits", stacked: true,
		info: "How many circuits are in each state.",
		rules: []rule{
			{metric: "handrail_breaker_circuits", by: "state"},
		},
	},
	{
		name: "bulkhead", title: "Bulkhead slots and queue", tag: policies, unit: "requests",
		info: "Slots that are taken, how many there are (nothing is drawn where there is no limit), and who is in the queue.",
		rules: []rule{
			{metric: "handrail_bulkhead_limit_slots", as: "limit", unlimited: true},
			{metric: "handrail_bulkhead_in_use_slots", as: "in use"},
			{metric: "handrail_bulkhead_waiting_requests", as: "in the queue"},
		},
	},
	{
		name: "load", title: "Load signals", tag: signals, suffix: "%",
		info: "100 % is full. CPU and memory are shares of what the process may use. The load pressure is the worst signal relative to its threshold and can go above 100 %; the shed pressure is the weighted one, up to 100 %.",
		rules: []rule{
			{metric: "handrail_load_cpu_ratio", as: "CPU", percent: true, promise: sampler},
			{metric: "handrail_load_host_cpu_ratio", as: "host CPU", percent: true, promise: sampler},
			{metric: "handrail_load_memory_ratio", as: "memory", percent: true, promise: sampler},
			{metric: "handrail_load_error_ratio", as: "errors", percent: true, promise: sampler},
			{metric: "handrail_load_pressure_ratio", as: "load pressure", percent: true},
			{metric: "handrail_shed_pressure_ratio", as: "shed pressure", percent: true},
		},
	},
	{
		name: "scheduler", title: "Goroutines that wait for a CPU", tag: signals, unit: "per GOMAXPROCS",
		info: "The signal that tells overload first: how many goroutines could run and have no CPU to run on. 500m is a half.",
		rules: []rule{
			{metric: "handrail_load_runnable_goroutines_per_proc", as: "runnable", promise: sampler},
		},
	},
	{
		name: "schedlatency", title: "Wait for a CPU, 99th percentile", tag: signals, suffix: "s",
		info: "What 99 % of the goroutines did not wait longer for a CPU.",
		rules: []rule{
			{metric: "handrail_load_scheduling_latency_seconds", as: "scheduling latency", promise: sampler},
		},
	},
	{
		name: "timeout", title: "Timeouts", tag: policies, unit: "per second", stacked: true,
		info: "Requests not done in time: answered for their handler, cut off because the answer had begun, and refused before any work; and clients that left first.",
		rules: []rule{
			{metric: "handrail_timeout_exceeded_requests_total", mode: perSecond, by: "answer"},
			{metric: "handrail_timeout_refused_requests_total", mode: perSecond, by: "reason", before: "refused: "},
			{metric: "handrail_timeout_canceled_requests_total", mode: perSecond, as: "client left"},
		},
	},
	{
		name: "retry", title: "Retries", tag: policies, unit: "per second",
		info: "Requests that were repeated, those of them that got a good answer, failures that were not repeated any more, retries that the budget did not allow, and hedges.",
		rules: []rule{
			{metric: "handrail_retry_retried_requests_total", mode: perSecond, as: "retried"},
			{metric: "handrail_retry_recovered_requests_total", mode: perSecond, as: "recovered"},
			{metric: "handrail_retry_given_up_requests_total", mode: perSecond, as: "given up"},
			{metric: "handrail_retry_budget_denied_total", mode: perSecond, as: "denied by budget"},
			{metric: "handrail_retry_hedges_total", mode: perSecond, as: "hedges"},
		},
	},
	{
		name: "results", title: "Breaker results and refusals", tag: policies, unit: "per second",
		info: "What the breakers made of the answers, and what they refused; in the shadow mode what they would have refused.",
		rules: []rule{
			{metric: "handrail_breaker_results_total", mode: perSecond, by: "verdict"},
			{metric: "handrail_breaker_refused_requests_total", mode: perSecond, as: "refused"},
		},
	},
	{
		name: "shedwhy", title: "Shed by reason", tag: policies, unit: "per second", stacked: true,
		info: "Requests that the shedder refused, by the reason.",
		rules: []rule{
			{metric: "handrail_shed_refused_requests_total", mode: perSecond, by: "reason"},
		},
	},
	{
		name: "rejected", title: "Bulkhead rejections", tag: policies, unit: "per second", stacked: true,
		info: "Requests that got no slot, by the reason.",
		rules: []rule{
			{metric: "handrail_bulkhead_rejected_requests_total", mode: perSecond, by: "reason"},
		},
	},
	{
		name: "wait", title: "Wait in the bulkhead's queue, percentiles", tag: policies, suffix: "s",
		info: "How long requests were in the queue, of those that left it since the last point; nothing is drawn where none did.",
		rules: []rule{
			{metric: "handrail_bulkhead_wait_seconds", mode: median, as: "p50"},
			{metric: "handrail_bulkhead_wait_seconds", mode: p99, as: "p99"},
		},
	},
	{
		name: "health", title: "Health", tag: signals, unit: "2 pass, 1 warn, 0 fail",
		info: "What probes are told, and each check by its name.",
		rules: []rule{
			{metric: "handrail_health_status", mode: flag, by: "group", values: health},
			{metric: "handrail_health_check_status", mode: flag, by: "check", before: "check ", values: health},
		},
	},
	{
		name: "longlived", title: "Event streams and connections taken over", tag: requests, unit: "exchanges",
		info: "Exchanges that are long by nature. They are in no limit and no latency. Each browser that shows this page is one, where the page is inside of the chain.",
		rules: []rule{
			{metric: "handrail_observe_long_lived_requests", as: "long-lived"},
			{metric: "handrail_load_long_lived_requests", as: "long-lived", unless: "handrail_observe_long_lived_requests"},
		},
	},
	{
		name: "goroutines", title: "Goroutines", tag: golang, unit: "goroutines",
		info:  "All goroutines of the process.",
		rules: []rule{{metric: goGoroutines, as: "goroutines"}},
	},
	{
		name: "heap", title: "Memory", tag: golang, suffix: "B",
		info:  "Objects on the heap, at how many the garbage collector runs next, and all memory that the runtime has mapped.",
		rules: []rule{{metric: goHeap, by: "what"}},
	},
	{
		name: "pauses", title: "Pauses for garbage collection, percentiles", tag: golang, suffix: "s",
		info: "How long everything stood still, since the last point; nothing is drawn where it did not.",
		rules: []rule{
			{metric: goPauses, mode: median, as: "p50"},
			{metric: goPauses, mode: p99, as: "p99"},
		},
	},
}

// Colours that stay apart for most kinds of colour vision (Okabe and Ito).
const (
	blue, orange, green, purple = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
	sky, red, yellow, grey      = "#56b4e9", "#d55e00", "#f0e442", "#999999"
)

var palette = [...]string{blue, orange, green, purple, sky, red, yellow, grey}

// colors mean the same in every plot.
var colors = map[string]string{
	"answered": green, "shed": orange, "timeout": red, "breaker_open": purple, "bulkhead_full": blue,
	"canceled": grey, "client left": grey, "panic": "#a00000", "aborted": yellow,
	"critical": red, "high": orange, "normal": yellow, "low": sky, "background": grey,
	"closed": green, "half_open": yellow, "open": red,
	"success": green, "failure": red, "excluded": grey, "refused": purple,
	"limit": red, "shed limit": red,
	"recovered": green, "given up": red, "retried": blue,
	"p50": sky, "p95": orange, "p99": red,
}
