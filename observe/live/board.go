package live

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
)

// maxSeries is how many curves a plot draws at most. Those that appear later
// are not drawn.
const maxSeries = 48

// board turns readings into points. Curves are only ever added, each at the end
// of its plot, so that a viewer who knows the first of them can go on.
type board struct {
	past            past
	plots           [len(plots)]*drawing
	rules, promises map[string][]placed
	// shape is how many curves each plot has. It is replaced, not changed, so
	// that it can be compared and kept.
	shape *shape
}

type shape [len(plots)]int

// drawing is a plot with its curves.
type drawing struct {
	*plot
	curves []*curve
	index  map[curveKey]*curve
}

type placed struct {
	drawing *drawing
	*rule
	order int
}

type curveKey struct {
	source   int
	instance string
	rule     int
	label    string
}

// curve is one series of a plot.
type curve struct {
	curveKey
	text  string
	value float64 // NaN is no point
	seen  []handrail.Bucket
}

func newBoard() *board {
	b := &board{rules: map[string][]placed{}, promises: map[string][]placed{}, shape: new(shape)}
	for i := range plots {
		d := &drawing{plot: &plots[i], index: map[curveKey]*curve{}}
		b.plots[i] = d
		for j := range d.rules {
			r := &d.rules[j]
			b.rules[r.metric] = append(b.rules[r.metric], placed{d, r, j})
			if r.promise != "" {
				b.promises[r.promise] = append(b.promises[r.promise], placed{d, r, j})
			}
		}
	}
	return b
}

// update takes in one collection.
func (b *board) update(now time.Time, readings []reading) {
	b.past.begin(now)
	have := map[string]bool{}
	for i := range readings {
		have[readings[i].Name] = true
	}
	for _, d := range b.plots {
		for _, c := range d.curves {
			c.value, c.seen = math.NaN(), nil
		}
	}
	for i := range readings {
		r := &readings[i]
		for _, to := range b.promises[r.Name] {
			for _, label := range to.promised {
				b.curve(r, to, label)
			}
			if to.by == "" {
				b.curve(r, to, "")
			}
		}
		if rules := b.rules[r.Name]; rules != nil {
			b.take(r, rules, have)
		}
	}
	b.past.end()
	for _, d := range b.plots {
		for _, c := range d.curves {
			switch d.rules[c.rule].mode {
			case median:
				c.value = quantile(0.5, c.seen)
			case p99:
				c.value = quantile(0.99, c.seen)
			}
		}
	}
	b.reshape()
}

// reshape notes curves that were added, and puts them in the order of their
// rules.
func (b *board) reshape() {
	var now shape
	for i, d := range b.plots {
		now[i] = len(d.curves)
		slices.SortStableFunc(d.curves[b.shape[i]:], func(x, y *curve) int { return cmp.Compare(x.rule, y.rule) })
	}
	if now != *b.shape {
		b.shape = &now
	}
}

// take draws one reading wherever it belongs.
func (b *board) take(r *reading, rules []placed, have map[string]bool) {
	var grown float64
	var known bool
	var seen []handrail.Bucket
	switch r.Kind {
	case handrail.Counter:
		grown, known = b.past.increase(r)
	case handrail.Histogram:
		seen = b.past.observed(r)
	}
	for _, to := range rules {
		if to.unless != "" && have[to.unless] {
			continue
		}
		c := b.curve(r, to, r.label(to.by))
		if c == nil {
			continue
		}
		switch to.mode {
		case perSecond:
			if known && b.past.over > 0 {
				c.add(grown / b.past.over)
			}
		case median, p99:
			c.merge(seen)
		case flag:
			if height, ok := to.values[r.label("status")]; ok && r.Value == 1 {
				c.value = height
			}
		default:
			switch {
			case to.percent:
				c.add(100 * r.Value)
			case !to.unlimited || r.Value >= 0:
				c.add(r.Value)
			}
		}
	}
}

// curve returns the one for a source and a label, nil where the plot is full.
func (b *board) curve(r *reading, to placed, label string) *curve {
	key := curveKey{r.source, r.label("name"), to.order, label}
	d := to.drawing
	if c := d.index[key]; c != nil {
		return c
	}
	if len(d.curves) >= maxSeries {
		return nil
	}
	c := &curve{curveKey: key, text: to.as, value: math.NaN()}
	if to.by != "" {
		c.text = to.before + key.label
	}
	d.curves = append(d.curves, c)
	d.index[key] = c
	return c
}

func (c *curve) add(v float64) {
	if math.IsNaN(c.value) {
		c.value = 0
	}
	c.value += v
}

// merge adds what another histogram of the curve took in. Those with other
// bounds cannot be added, and the first one stays.
func (c *curve) merge(seen []handrail.Bucket) {
	if c.seen == nil {
		c.seen = slices.Clone(seen)
		return
	}
	if slices.EqualFunc(c.seen, seen, func(x, y handrail.Bucket) bool { return x.UpperBound == y.UpperBound }) {
		for i := range c.seen {
			c.seen[i].Cumulative += seen[i].Cumulative
		}
	}
}

// names of the curves, as the legend shows them: with the name of the instance
// where there are several, and numbered where that does not tell them apart.
func (d *drawing) names() []string {
	instances := map[string]bool{}
	for _, c := range d.curves {
		if c.instance != "" {
			instances[c.instance] = true
		}
	}
	out := make([]string, len(d.curves))
	times := map[string]int{}
	for i, c := range d.curves {
		out[i] = c.text
		if c.instance != "" && len(instances) > 1 {
			out[i] = c.instance + ": " + c.text
		}
		times[out[i]]++
		if n := times[out[i]]; n > 1 {
			out[i] = fmt.Sprintf("%s #%d", out[i], n)
		}
		out[i] = html.EscapeString(out[i])
	}
	return out
}
