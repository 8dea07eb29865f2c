package prom

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail"
)

// page is what one scrape shows. The first metric of a name decides on help,
// kind and labels of the others.
type page struct {
	metrics  []prometheus.Metric
	families map[string]*family
	taken    map[string]bool // names, with those that they imply
	series   map[string]bool
}

type family struct {
	kind   handrail.MetricKind
	help   string
	labels []string
	desc   *prometheus.Desc
}

func newPage() *page {
	return &page{families: map[string]*family{}, taken: map[string]bool{}, series: map[string]bool{}}
}

// implied are the names that a metric takes in one format or another.
func implied(name string, kind handrail.MetricKind) []string {
	switch kind {
	case handrail.Counter:
		if base, ok := strings.CutSuffix(name, "_total"); ok {
			return []string{name, base}
		}
	case handrail.Histogram:
		return []string{name, name + "_count", name + "_sum", name + "_bucket"}
	}
	return []string{name}
}

// claim takes the names of a metric, if none of them is taken.
func (p *page) claim(name string, kind handrail.MetricKind) bool {
	names := implied(name, kind)
	if slices.ContainsFunc(names, func(n string) bool { return p.taken[n] }) {
		return false
	}
	for _, n := range names {
		p.taken[n] = true
	}
	return true
}

func (p *page) has(f figure) bool { return p.series[f.id()] }

// add puts a figure on the page, and says what is wrong with it.
func (p *page) add(f figure) Fault {
	of := p.families[f.Name]
	if of == nil {
		if !p.claim(f.Name, f.Kind) {
			return FaultKind
		}
		of = &family{kind: f.Kind, help: f.Help, labels: f.names, desc: prometheus.NewDesc(f.Name, f.Help, f.names, nil)}
		p.families[f.Name] = of
	}
	if of.kind != f.Kind || !slices.Equal(of.labels, f.names) {
		return FaultKind
	}
	id := f.id()
	if p.series[id] {
		return FaultDuplicate
	}
	metric, err := of.metric(f)
	if err != nil {
		return FaultValue
	}
	p.series[id] = true
	p.metrics = append(p.metrics, metric)
	switch {
	case f.mended:
		return FaultText
	case of.help != f.Help:
		return FaultHelp
	}
	return noFault
}

func (of *family) metric(f figure) (prometheus.Metric, error) {
	switch f.Kind {
	case handrail.Histogram:
		buckets := make(map[float64]uint64, len(f.Buckets))
		for _, b := range f.Buckets {
			buckets[b.UpperBound] = b.Cumulative
		}
		return prometheus.NewConstHistogram(of.desc, f.Count, f.Sum, buckets, f.values...)
	case handrail.Counter:
		return prometheus.NewConstMetric(of.desc, prometheus.CounterValue, f.Value, f.values...)
	default:
		return prometheus.NewConstMetric(of.desc, prometheus.GaugeValue, f.Value, f.values...)
	}
}
