package cloudwatch

import (
	"sync/atomic"

	"github.com/handrail-go/handrail"
)

// Drop is why something was not written.
type Drop uint8

const (
	// DropName is a name, of a metric, a dimension or a field, that is invalid,
	// too long or taken twice.
	DropName Drop = iota
	// DropValue is a value that is no finite number within ±2^360, or none at
	// all.
	DropValue
	// DropUnit is a unit that CloudWatch does not know.
	DropUnit
	// DropDimension is a dimension's value that is invalid, or a dimension too
	// many.
	DropDimension
	// DropLimit is a metric, value, field or figure too many.
	DropLimit
	// DropTime is a time more than 14 days ago or 2 hours ahead.
	DropTime
	// DropSize is a line that is too long.
	DropSize
	// DropClosed came after Close.
	DropClosed
	drops
)

var dropNames = [drops]string{"name", "value", "unit", "dimension", "limit", "time", "size", "closed"}

// String returns "name", "value", "unit", "dimension", "limit", "time", "size"
// or "closed".
func (d Drop) String() string {
	if d < drops {
		return dropNames[d]
	}
	return "unknown"
}

// Stats are the figures of Metrics since they were made.
type Stats struct {
	Name string

	// Lines were written, Bytes are theirs. FailedLines were not, because the
	// writer failed, wrote less, or panicked.
	Lines, Bytes, FailedLines uint64

	// Dropped is what would have been invalid, and for that was not written: a
	// figure of a source, a line of [Metrics.Line], a request.
	Dropped uint64
	Reasons map[Drop]uint64

	// LabelSets of requests are told apart; Overflowed requests were filed
	// under "_other" because that were too many.
	LabelSets  int
	Overflowed uint64
	// SourcePanics is how often a source panicked.
	SourcePanics uint64
}

// tally counts drops.
type tally [drops]atomic.Uint64

func (t *tally) add(why Drop) { t[why].Add(1) }

// Stats returns the figures.
func (m *Metrics) Stats() Stats {
	s := Stats{
		Name:  m.set.name,
		Lines: m.out.lines.Load(), Bytes: m.out.bytes.Load(), FailedLines: m.out.failed.Load(),
		Reasons:   map[Drop]uint64{},
		LabelSets: len(*m.series.known.Load()), Overflowed: m.series.overflowed.Load(),
		SourcePanics: m.panics.Load(),
	}
	for why := range m.dropped {
		if n := m.dropped[why].Load(); n > 0 {
			s.Reasons[Drop(why)] = n
			s.Dropped += n
		}
	}
	return s
}

// Collect implements [handrail.Source].
func (m *Metrics) Collect(emit func(handrail.Metric)) {
	s := m.Stats()
	name := handrail.Label{Name: "name", Value: s.Name}
	counter := func(metric, help string, value uint64, labels ...handrail.Label) {
		emit(handrail.Metric{Name: "handrail_cloudwatch_" + metric + "_total", Help: help, Kind: handrail.Counter,
			Labels: append([]handrail.Label{name}, labels...), Value: float64(value)})
	}
	counter("lines", "Lines written.", s.Lines)
	counter("written_bytes", "Bytes of the lines written.", s.Bytes)
	counter("failed_lines", "Lines that the writer did not take.", s.FailedLines)
	for why := range drops {
		counter("dropped", "What was not written because it would have been invalid.", s.Reasons[why],
			handrail.Label{Name: "reason", Value: why.String()})
	}
	emit(handrail.Metric{Name: "handrail_cloudwatch_label_sets", Help: "Label sets of requests told apart.",
		Kind: handrail.Gauge, Labels: []handrail.Label{name}, Value: float64(s.LabelSets)})
	counter("overflowed_requests", "Requests filed under _other.", s.Overflowed)
	counter("source_panics", "Panics of sources.", s.SourcePanics)
}
