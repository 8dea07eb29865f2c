package prom

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/handrail-go/handrail"
)

// figure is a metric that has been looked at: nothing is wrong with it alone, and
// it shares nothing with its source.
type figure struct {
	handrail.Metric
	// names and values are those of the labels, sorted by name.
	names, values []string
	// base is the value of the label name without a number, name its index, -1
	// without that label.
	base string
	name int
	// mended says that help or a value was no text.
	mended bool
}

// nameLabel is the label that names the instance of a policy.
const nameLabel = "name"

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// look makes a figure of a metric, or says what is wrong with that.
func look(m handrail.Metric) (figure, Fault) {
	f := figure{Metric: m, name: -1}
	if !metricName.MatchString(m.Name) {
		return f, FaultName
	}
	labels := slices.Clone(m.Labels)
	slices.SortFunc(labels, func(a, b handrail.Label) int { return strings.Compare(a.Name, b.Name) })
	f.names, f.values = make([]string, len(labels)), make([]string, len(labels))
	for i, l := range labels {
		switch {
		case !labelName.MatchString(l.Name), strings.HasPrefix(l.Name, "__"), l.Name == "le", l.Name == "quantile",
			i > 0 && l.Name == labels[i-1].Name:
			return f, FaultLabel
		}
		f.names[i], f.values[i] = l.Name, f.text(l.Value)
		if l.Name == nameLabel {
			f.base, f.name = f.values[i], i
		}
	}
	f.Labels, f.Help = nil, f.text(m.Help)
	switch m.Kind {
	case handrail.Gauge:
	case handrail.Counter:
		if !(m.Value >= 0) || math.IsInf(m.Value, 0) {
			return f, FaultValue
		}
	case handrail.Histogram:
		f.Buckets = slices.Clone(m.Buckets)
		if n := len(f.Buckets); n > 0 && math.IsInf(f.Buckets[n-1].UpperBound, 1) {
			f.Buckets = f.Buckets[:n-1] // Prometheus takes the count for it
		}
		if !f.consistent() {
			return f, FaultValue
		}
	default:
		return f, FaultKind
	}
	return f, noFault
}

// text mends what is none.
func (f *figure) text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	f.mended = true
	return strings.ToValidUTF8(s, "\uFFFD")
}

// consistent says that a histogram is one.
func (f *figure) consistent() bool {
	var below uint64
	for i, b := range f.Buckets {
		if math.IsNaN(b.UpperBound) || math.IsInf(b.UpperBound, 0) || b.Cumulative < below ||
			i > 0 && b.UpperBound <= f.Buckets[i-1].UpperBound {
			return false
		}
		below = b.Cumulative
	}
	return below <= f.Count && !math.IsNaN(f.Sum) && !math.IsInf(f.Sum, 0)
}

// number puts the number of its source behind the name, if it has one.
func (f *figure) number(n int) {
	if f.name < 0 {
		return
	}
	f.values[f.name] = f.base
	if n > 1 {
		f.values[f.name] += "#" + strconv.Itoa(n)
	}
}

// id is the same for figures that are one series.
func (f *figure) id() string {
	id := make([]byte, 0, 128)
	id = append(id, f.Name...)
	for i, name := range f.names {
		id = append(append(id, 0xFF), name...)
		id = append(append(id, 0xFF), f.values[i]...)
	}
	return string(id)
}
