package handrail

// MetricKind says how a metric is to be read.
type MetricKind uint8

const (
	// Gauge goes up and down: requests in flight, a limit.
	Gauge MetricKind = iota
	// Counter only grows while the process lives; its name ends in _total.
	Counter
	// Histogram has Buckets, Count and Sum instead of a Value.
	Histogram
)

// String returns "gauge", "counter" or "histogram".
func (k MetricKind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Histogram:
		return "histogram"
	default:
		return "gauge"
	}
}

// Label is one dimension of a metric. Names are lower-case with underscores;
// values come from bounded sets only, never from a request as it is.
type Label struct{ Name, Value string }

// Bucket counts the observations at or below UpperBound.
type Bucket struct {
	UpperBound float64
	Cumulative uint64
}

// Metric is one figure of a policy at one moment, in base units (seconds,
// bytes, ratios of 1) and named as Prometheus does.
type Metric struct {
	Name   string
	Help   string
	Kind   MetricKind
	Labels []Label
	// Value of a gauge or counter.
	Value float64
	// Buckets, in ascending order and without the infinite one, Count and
	// Sum are those of a histogram.
	Buckets []Bucket
	Count   uint64
	Sum     float64
}

// Source is a component that can tell its figures. Every policy is one; what
// exports metrics reads them when it is asked to, so that a policy imports no
// metrics library and pays nothing for being observed.
//
// Collect calls emit for each figure on the calling goroutine, keeps nothing,
// and is safe for concurrent use. Metrics of one name have the same help,
// kind and label names.
type Source interface {
	Collect(emit func(Metric))
}
