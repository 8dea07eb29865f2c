package cloudwatch

import (
	"maps"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
)

// mostFigures bounds how many figures are taken of one source, and how many of
// its counters and histograms are remembered. Where that are too many, those that
// it told no more make room: they are of label sets that have gone.
const mostFigures = 10_000

// reading is what is known of a source.
type reading struct {
	source handrail.Source
	last   map[string]total // by name and label set
}

// total is what a counter or a histogram had reached when it was last read.
type total struct {
	value   float64 // of a counter; the sum of a histogram
	count   uint64
	buckets []handrail.Bucket
}

// figure is one metric to be written.
type figure struct {
	definition
	values []float64
}

// group is one label set, with its figures of all sources.
type group struct {
	dimensions []constant
	figures    []figure
	at         map[definition]int // where a figure is
}

// groups are in the order in which the sources named them.
type groups struct {
	order []*group
	by    map[string]*group
}

// gather returns copies of what a source tells, also of one that panics halfway.
func (m *Metrics) gather(source handrail.Source) (all []handrail.Metric, ended bool) {
	defer func() {
		if !ended {
			m.panics.Add(1)
			recover()
		}
	}()
	source.Collect(func(f handrail.Metric) {
		switch why := m.judge(&f); {
		case ended: // a source that kept emit
		case why < drops:
			m.dropped.add(why)
		case len(all) >= mostFigures:
			m.dropped.add(DropLimit)
		default:
			f.Labels, f.Buckets = slices.Clone(f.Labels), slices.Clone(f.Buckets)
			all = append(all, f)
		}
	})
	return all, true
}

// judge returns why a figure cannot be written, or drops if it can.
func (m *Metrics) judge(f *handrail.Metric) Drop {
	name := f.Name
	if f.Kind == handrail.Histogram {
		name += "_count"
	}
	if !validName(name) || m.isField(f.Name) {
		return DropName
	}
	if len(f.Labels)+len(m.common) > MaxDimensions {
		return DropDimension
	}
	for i, l := range f.Labels {
		if !validDimensionName(l.Name) || m.isField(l.Name) || l.Name == f.Name ||
			f.Kind == handrail.Histogram && (l.Name == f.Name+"_count" || l.Name == f.Name+"_sum") ||
			slices.ContainsFunc(f.Labels[:i], func(o handrail.Label) bool { return o.Name == l.Name }) {
			return DropName
		}
	}
	switch f.Kind {
	case handrail.Histogram:
		var last handrail.Bucket
		for i, b := range f.Buckets {
			if b.Cumulative < last.Cumulative || i > 0 && !(b.UpperBound > last.UpperBound) || !finite(b.UpperBound) {
				return DropValue
			}
			last = b
		}
		if f.Count < last.Cumulative || !finite(f.Sum) {
			return DropValue
		}
	case handrail.Counter:
		if !finite(f.Value) || f.Value < 0 {
			return DropValue
		}
	default:
		if !finite(f.Value) {
			return DropValue
		}
	}
	return drops
}

// isField says that every line has a field of that name.
func (m *Metrics) isField(name string) bool {
	return name == fieldLevel && m.set.level != "" || m.set.isConstant(name)
}

// read asks a source for its figures. Without groups it only remembers where
// counters and histograms stand.
func (m *Metrics) read(r *reading, all *groups) {
	// Counters of one name and label set add up, as where several instances
	// without a name are one source; gauges are several values.
	seen := map[string]int{}
	var merged []handrail.Metric
	var keys []string
	told, complete := m.gather(r.source)
	for _, f := range told {
		key := labelSet(f)
		if i, again := seen[key]; again && f.Kind != handrail.Gauge {
			if f.Kind == handrail.Counter && merged[i].Kind == handrail.Counter && finite(merged[i].Value+f.Value) {
				merged[i].Value += f.Value
			} else {
				m.dropped.add(DropName)
			}
			continue
		}
		seen[key] = len(merged)
		merged, keys = append(merged, f), append(keys, key)
	}
	for i, f := range merged {
		figures := []figure{{definition{f.Name, unitOf(f.Name)}, []float64{f.Value}}}
		if f.Kind != handrail.Gauge {
			before, known := r.last[keys[i]]
			if !known && complete && len(r.last) >= mostFigures {
				complete = false // once is enough
				maps.DeleteFunc(r.last, func(key string, _ total) bool {
					_, told := seen[key]
					return !told
				})
			}
			if !known && len(r.last) >= mostFigures {
				m.dropped.add(DropLimit)
				continue
			}
			if f.Kind == handrail.Counter {
				r.last[keys[i]] = total{value: f.Value}
				figures = counted(f, before)
			} else {
				r.last[keys[i]] = total{f.Sum, f.Count, f.Buckets}
				figures = observed(f, before)
			}
		}
		if all != nil && len(figures) > 0 {
			all.add(m.common, f.Labels, figures)
		}
	}
}

func labelSet(f handrail.Metric) string {
	b := appendString(nil, f.Name)
	for _, l := range f.Labels {
		b = appendString(appendString(b, l.Name), l.Value)
	}
	return string(b)
}

// counted is what a counter grew by, and nothing where it did not. One that
// shrank has begun anew.
func counted(f handrail.Metric, before total) []figure {
	grown := f.Value - before.value
	if grown < 0 {
		grown = f.Value
	}
	if grown == 0 {
		return nil
	}
	return []figure{{definition{f.Name, Count}, []float64{grown}}}
}

// observed expresses what a histogram has observed since it was last read: exact
// count and sum under names of their own, for rates and means, and up to 100
// values with the same quantiles under its own name. The format has no buckets,
// and no way to say that a value occurred often.
func observed(f handrail.Metric, before total) []figure {
	if !sameBuckets(f.Buckets, before.buckets) || f.Count < before.count {
		before = total{}
	}
	grown := f.Count - before.count
	if grown == 0 {
		return nil
	}
	unit := unitOf(f.Name)
	out := []figure{{definition{f.Name + "_count", Count}, []float64{float64(grown)}}}
	if sum := f.Sum - before.value; finite(sum) {
		out = append(out, figure{definition{f.Name + "_sum", unit}, []float64{sum}})
	}
	if values := quantiles(f.Buckets, before.buckets, grown); len(values) > 0 {
		out = append(out, figure{definition{f.Name, unit}, values})
	}
	return out
}

// sameBuckets says that a histogram has only grown.
func sameBuckets(now, before []handrail.Bucket) bool {
	if len(now) != len(before) {
		return false
	}
	last := uint64(0)
	for i, b := range now {
		if b.UpperBound != before[i].UpperBound || b.Cumulative < before[i].Cumulative ||
			b.Cumulative-before[i].Cumulative < last {
			return false
		}
		last = b.Cumulative - before[i].Cumulative
	}
	return true
}

// quantiles returns up to 100 values spread evenly over a distribution, linear
// within a bucket, whose first begins at 0 unless it ends below. What is above
// all buckets is at the last bound.
func quantiles(now, before []handrail.Bucket, count uint64) []float64 {
	if len(now) == 0 {
		return nil
	}
	n := int(min(count, MaxValues))
	values := make([]float64, 0, n)
	i := 0
	for k := range n {
		rank := (float64(k) + 0.5) / float64(n) * float64(count)
		for i < len(now) && float64(grownBy(now, before, i)) < rank {
			i++
		}
		if i == len(now) {
			values = append(values, now[len(now)-1].UpperBound)
			continue
		}
		high, low, below := now[i].UpperBound, min(0, now[0].UpperBound), uint64(0)
		if i > 0 {
			low, below = now[i-1].UpperBound, grownBy(now, before, i-1)
		}
		share := (rank - float64(below)) / float64(grownBy(now, before, i)-below)
		values = append(values, low+(high-low)*share)
	}
	return values
}

func grownBy(now, before []handrail.Bucket, i int) uint64 {
	if len(before) == 0 {
		return now[i].Cumulative
	}
	return now[i].Cumulative - before[i].Cumulative
}

// add files figures under their label set. A label without a value is none.
func (g *groups) add(common []constant, labels []handrail.Label, figures []figure) {
	dimensions := slices.Clone(common)
	for _, l := range labels {
		if l.Value != "" {
			dimensions = append(dimensions, constant{l.Name, dimensionValue(l.Value)})
		}
	}
	var key []byte
	for _, d := range dimensions {
		key = appendField(key, d.name, d.value)
	}
	into := g.by[string(key)]
	if into == nil {
		into = &group{dimensions: dimensions[len(common):], at: map[definition]int{}}
		if g.by == nil {
			g.by = map[string]*group{}
		}
		g.by[string(key)] = into
		g.order = append(g.order, into)
	}
	for _, f := range figures {
		i, ok := into.at[f.definition]
		if ok {
			into.figures[i].values = append(into.figures[i].values, f.values...)
			continue
		}
		into.at[f.definition] = len(into.figures)
		into.figures = append(into.figures, f)
	}
}

// write writes the figures, in as few lines as they fit in.
func (g *groups) write(m *Metrics, at time.Time, keep func(error)) {
	for _, group := range g.order {
		left := group.figures
		for len(left) > 0 {
			line := m.Line().At(at)
			line.dimensions = append(line.dimensions, group.dimensions...)
			var later []figure
			for _, f := range left {
				if len(line.metrics) == MaxMetrics || line.has(f.name) {
					later = append(later, f) // one name with two units, too
					continue
				}
				n := min(len(f.values), MaxValues)
				line.Metric(f.name, f.unit, f.values[:n]...)
				if f.values = f.values[n:]; len(f.values) > 0 {
					later = append(later, f)
				}
			}
			keep(line.write())
			left = later
		}
	}
}

func (l *Line) has(name string) bool {
	return slices.ContainsFunc(l.metrics, func(m lineMetric) bool { return m.name == name })
}
