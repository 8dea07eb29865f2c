package cloudwatch

import (
	"fmt"
	"slices"
	"time"
)

// InvalidError says why a line was dropped. It is a fault of the program, and
// nothing was written.
type InvalidError struct {
	Why Drop
	// Name of the metric, dimension or field, "" where it is the line.
	Name   string
	Reason string
}

// Error returns the reason, and what it is about.
func (e *InvalidError) Error() string {
	if e.Name == "" {
		return "cloudwatch: line dropped: " + e.Reason
	}
	return fmt.Sprintf("cloudwatch: line dropped: %.300q %s", e.Name, e.Reason)
}

// Line is a line of your own, with one set of dimensions: those constants that
// are in every set of WithDimensions, [Service] as a rule, and what Dimension
// adds. It is not safe for concurrent use. Nothing is checked before Write.
type Line struct {
	m          *Metrics
	at         time.Time
	dimensions []constant
	metrics    []lineMetric
	values     []float64
	fields     []field
}

type lineMetric struct {
	definition
	from, to int
}

type field struct {
	name, text string
	number     float64
	isNumber   bool
}

// Line begins a line.
func (m *Metrics) Line() *Line { return &Line{m: m} }

// Reset empties the line, so that it can be used again.
func (l *Line) Reset() {
	*l = Line{m: l.m, dimensions: l.dimensions[:0], metrics: l.metrics[:0], values: l.values[:0], fields: l.fields[:0]}
}

// At sets the time of the line; it is that of Write without it. It must not be
// more than 14 days ago or 2 hours ahead.
func (l *Line) At(t time.Time) *Line {
	l.at = t
	return l
}

// Dimension adds a dimension, of at most 30 with the constants. Every value that
// occurs is billed: take it from a small set, never from a request.
func (l *Line) Dimension(name, value string) *Line {
	l.dimensions = append(l.dimensions, constant{name, value})
	return l
}

// Metric adds a metric, of at most 100, with 1 to 100 values.
func (l *Line) Metric(name string, unit Unit, values ...float64) *Line {
	from := len(l.values)
	l.values = append(l.values, values...)
	l.metrics = append(l.metrics, lineMetric{definition{name, unit}, from, len(l.values)})
	return l
}

// Text adds a field that is no metric, to be found in the logs. At most 256
// fields.
func (l *Line) Text(name, value string) *Line {
	l.fields = append(l.fields, field{name: name, text: value})
	return l
}

// Number adds a field that is no metric.
func (l *Line) Number(name string, value float64) *Line {
	l.fields = append(l.fields, field{name: name, number: value, isNumber: true})
	return l
}

// Write writes the line, at once and as one line. What is not valid is not
// written: the error is an [*InvalidError] then, else the writer's. The line
// stays as it is.
func (l *Line) Write() error {
	if l.m.closed.Load() {
		l.m.dropped.add(DropClosed)
		return &InvalidError{DropClosed, "", "Metrics are closed"}
	}
	return l.write()
}

func (l *Line) write() error {
	buf := getBuffer()
	defer putBuffer(buf)
	fault := l.encode(buf)
	if fault != nil {
		l.m.dropped.add(fault.Why)
		return fault
	}
	return l.m.out.write(*buf)
}

const mostFields = 256

func (l *Line) encode(buf *[]byte) *InvalidError {
	set := &l.m.set
	now := time.Now()
	at := l.at
	if at.IsZero() {
		at = now
	}
	dimensions := slices.Concat(l.m.common, l.dimensions)
	switch {
	case !inTime(at, now):
		return &InvalidError{DropTime, "", "its time is more than 14 days ago or 2 hours ahead"}
	case len(l.metrics) == 0:
		return &InvalidError{DropValue, "", "it has no metric"}
	case len(l.metrics) > MaxMetrics:
		return &InvalidError{DropLimit, "", "it has more than 100 metrics"}
	case len(dimensions) > MaxDimensions:
		return &InvalidError{DropDimension, "", "it has more than 30 dimensions"}
	case len(l.fields) > mostFields:
		return &InvalidError{DropLimit, "", "it has more than 256 fields"}
	}
	names := make(map[string]struct{}, len(dimensions)+len(l.metrics)+len(l.fields)+len(set.constants)+2)
	for _, c := range set.all() {
		names[c.name] = struct{}{}
	}
	if set.level != "" {
		names[fieldLevel] = struct{}{}
	}
	unique := func(name string) *InvalidError {
		if _, ok := names[name]; ok {
			return &InvalidError{DropName, name, "is there already"}
		}
		names[name] = struct{}{}
		return nil
	}
	for _, d := range l.dimensions {
		if fault := checkDimension(d); fault != nil {
			return fault
		}
		if fault := unique(d.name); fault != nil {
			return fault
		}
	}
	definitions := make([]definition, 0, len(l.metrics))
	for _, m := range l.metrics {
		if fault := checkMetric(m.definition, l.values[m.from:m.to]); fault != nil {
			return fault
		}
		if fault := unique(m.name); fault != nil {
			return fault
		}
		definitions = append(definitions, m.definition)
	}
	for _, f := range l.fields {
		if !validName(f.name) {
			return &InvalidError{DropName, f.name, "must be 1 to 255 characters of printable ASCII"}
		}
		if f.isNumber && !finite(f.number) {
			return &InvalidError{DropValue, f.name, "must be a finite number within ±2^360"}
		}
		if fault := unique(f.name); fault != nil {
			return fault
		}
	}

	sets := [1][]string{make([]string, len(dimensions))}
	for i, d := range dimensions {
		sets[0][i] = d.name
	}
	b := appendDirective(appendTimestamp((*buf)[:1], at), set, sets[:], definitions...)
	for _, c := range set.all() {
		b = appendField(b, c.name, c.value)
	}
	for _, d := range l.dimensions {
		b = appendField(b, d.name, d.value)
	}
	for _, m := range l.metrics {
		b = append(appendString(b, m.name), ':')
		values := l.values[m.from:m.to]
		if len(values) > 1 {
			b = append(b, '[')
		}
		for _, v := range values {
			b = append(appendNumber(b, v), ',')
		}
		if len(values) > 1 {
			b[len(b)-1] = ']'
			b = append(b, ',')
		}
	}
	for _, f := range l.fields {
		if f.isNumber {
			b = append(appendNumber(append(appendString(b, f.name), ':'), f.number), ',')
		} else if len(f.text) <= MaxLine {
			b = appendField(b, f.name, f.text)
		} else {
			return tooLong
		}
	}
	b[len(b)-1] = '}'
	b = append(b, '\n')
	*buf = b
	if len(b)-1 > MaxLine {
		return tooLong
	}
	return nil
}

var tooLong = &InvalidError{DropSize, "", "it is longer than 1 MB"}

func checkDimension(d constant) *InvalidError {
	if !validDimensionName(d.name) {
		return &InvalidError{DropName, d.name, "must be 1 to 250 characters of printable ASCII and not begin with a colon"}
	}
	if !validDimensionValue(d.value) {
		return &InvalidError{DropDimension, d.name, "must have a value of 1 to 1024 characters of printable ASCII"}
	}
	return nil
}

func checkMetric(m definition, values []float64) *InvalidError {
	switch {
	case !validName(m.name):
		return &InvalidError{DropName, m.name, "must be 1 to 255 characters of printable ASCII"}
	case !m.unit.Valid():
		return &InvalidError{DropUnit, m.name, fmt.Sprintf("has a unit that CloudWatch does not know: %.100q", m.unit)}
	case len(values) == 0:
		return &InvalidError{DropValue, m.name, "has no value"}
	case len(values) > MaxValues:
		return &InvalidError{DropLimit, m.name, "has more than 100 values"}
	}
	for _, v := range values {
		if !finite(v) {
			return &InvalidError{DropValue, m.name, "must be a finite number within ±2^360"}
		}
	}
	return nil
}
