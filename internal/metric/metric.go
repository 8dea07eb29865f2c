// Package metric names figures as every [handrail.Source] of this toolkit does:
// with a prefix of the package's, and with the label "name", the instance's,
// before all others.
package metric

import (
	"time"

	"github.com/handrail-go/handrail"
)

// Emitter hands the figures of one instance to who collects them. A metric is
// named without the prefix and in base units: "in_flight_requests",
// "wait_seconds". Of one name, help and label names are to be the same. It keeps
// nothing, and what it emits shares no memory with what comes next; it is as
// safe for concurrent use as emit.
type Emitter struct {
	prefix string
	name   handrail.Label
	emit   func(handrail.Metric)
}

// New returns the emitter of the instance called name, which may be empty. The
// prefix ends in an underscore: "handrail_shed_".
func New(prefix, name string, emit func(handrail.Metric)) Emitter {
	return Emitter{prefix, handrail.Label{Name: "name", Value: name}, emit}
}

// Gauge emits a figure that goes up and down.
func (e Emitter) Gauge(metric, help string, value float64, labels ...handrail.Label) {
	e.send(handrail.Metric{Name: metric, Help: help, Kind: handrail.Gauge, Value: value}, labels)
}

// Flag emits a gauge that is 1 for true and 0 for false.
func (e Emitter) Flag(metric, help string, on bool, labels ...handrail.Label) {
	value := 0.0
	if on {
		value = 1
	}
	e.Gauge(metric, help, value, labels...)
}

// Counter emits a count that only grows; "_total" is added to its name.
func (e Emitter) Counter(metric, help string, count uint64, labels ...handrail.Label) {
	e.send(handrail.Metric{Name: metric + "_total", Help: help, Kind: handrail.Counter, Value: float64(count)}, labels)
}

// Duration emits a time that only grows, in seconds; "_seconds_total" is added
// to its name.
func (e Emitter) Duration(metric, help string, sum time.Duration, labels ...handrail.Label) {
	e.send(handrail.Metric{Name: metric + "_seconds_total", Help: help, Kind: handrail.Counter, Value: sum.Seconds()}, labels)
}

// Histogram emits a distribution: cumulative buckets in ascending order without
// the infinite one, which are handed on as they are, and the count and the sum
// of all observations.
func (e Emitter) Histogram(metric, help string, buckets []handrail.Bucket, count uint64, sum float64, labels ...handrail.Label) {
	e.send(handrail.Metric{Name: metric, Help: help, Kind: handrail.Histogram, Buckets: buckets, Count: count, Sum: sum}, labels)
}

func (e Emitter) send(m handrail.Metric, labels []handrail.Label) {
	m.Name = e.prefix + m.Name
	m.Labels = append([]handrail.Label{e.name}, labels...)
	e.emit(m)
}
