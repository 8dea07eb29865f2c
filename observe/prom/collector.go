package prom

import (
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail"
)

// Collector exposes the figures of every [handrail.Source] it is given, read
// when it is scraped. One for a registry is enough, and more are refused when
// they are registered. Its methods are safe for concurrent use.
//
// Whatever is wrong with one source or metric does not break the scrape of the
// others: it is left out and counted, see [Fault].
type Collector struct {
	mu      sync.Mutex
	sources []*source

	faults    [faults]atomic.Uint64
	faultDesc *prometheus.Desc

	describe  sync.Once
	described []*prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// source is a handrail.Source and the number that its name was given to tell it
// from others, 1 for none and 0 for one that never told anything. The number is
// kept once it is given.
type source struct {
	handrail.Source
	number int
}

// NewCollector returns a Collector of these sources, which is in no registry
// yet. Sources whose metrics are the same but for their figures, as two of a
// package that have the same name or none, are told apart: the label name of the
// second is "checkout#2" and so on, in the order in which they are given here,
// and behind them those that had nothing to tell at first. A source that is given
// twice is exposed once.
func NewCollector(sources ...handrail.Source) *Collector {
	c := &Collector{faultDesc: prometheus.NewDesc("handrail_prom_faults_total",
		"Metrics of policies that were left out or mended, and sources that panicked.", []string{"fault"}, nil)}
	c.Add(sources...)
	return c
}

// Add adds sources behind those there are. In a registry that is pedantic
// ([prometheus.NewPedanticRegistry]) add before registering: it refuses metrics
// of a name that nothing had then.
func (c *Collector) Add(sources ...handrail.Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range sources {
		if !slices.ContainsFunc(c.sources, func(have *source) bool { return same(have.Source, s) }) {
			c.sources = append(c.sources, &source{Source: s})
		}
	}
}

// same says that two sources are one.
func same(a, b handrail.Source) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Describe implements [prometheus.Collector]. It describes what there is when it
// is called first, so that metrics of that name in other collectors are found
// when they are registered.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.describe.Do(func() {
		seen := map[string]bool{}
		for _, m := range c.gather() {
			if d := m.Desc(); !seen[d.String()] {
				seen[d.String()] = true
				c.described = append(c.described, d)
			}
		}
	})
	for _, d := range c.described {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.gather() {
		ch <- m
	}
}

// gather reads all sources. They are called without the lock; what they told is
// put together under it, as they are numbered then.
func (c *Collector) gather() []prometheus.Metric {
	c.mu.Lock()
	sources := slices.Clone(c.sources)
	c.mu.Unlock()
	told := make([][]figure, len(sources))
	for i, s := range sources {
		told[i] = c.read(s.Source)
	}

	page := newPage()
	page.claim("handrail_prom_faults_total", handrail.Counter)
	c.mu.Lock()
	// Those that have a number come first: one that tells something for the
	// first time takes none away.
	for _, first := range []bool{false, true} {
		for i, s := range sources {
			if (s.number == 0) == first {
				c.place(page, s, told[i])
			}
		}
	}
	c.mu.Unlock()
	for f := range Fault(faults) {
		page.metrics = append(page.metrics, prometheus.MustNewConstMetric(c.faultDesc, prometheus.CounterValue,
			float64(c.faults[f].Load()), f.String()))
	}
	return page.metrics
}

// read asks a source, and keeps what it told before it panicked.
func (c *Collector) read(s handrail.Source) (told []figure) {
	defer func() {
		if recover() != nil {
			c.faults[FaultPanic].Add(1)
		}
	}()
	s.Collect(func(m handrail.Metric) {
		f, fault := look(m)
		if fault != noFault {
			c.faults[fault].Add(1)
			return
		}
		told = append(told, f)
	})
	return told
}

// place puts what a source told on the page. Once a series is there already from
// another source, this one needs a number.
func (c *Collector) place(page *page, s *source, told []figure) {
	told, again := distinct(told)
	c.faults[FaultDuplicate].Add(again)
	if len(told) == 0 {
		return
	}
	for s.number = max(s.number, 1); ; s.number++ {
		for i := range told {
			told[i].number(s.number)
		}
		if !slices.ContainsFunc(told, func(f figure) bool { return f.name >= 0 && page.has(f) }) {
			break
		}
	}
	for _, f := range told {
		if fault := page.add(f); fault != noFault {
			c.faults[fault].Add(1)
		}
	}
}

// distinct leaves out series that a source told before.
func distinct(told []figure) (once []figure, again uint64) {
	seen := make(map[string]bool, len(told))
	for _, f := range told {
		if id := f.id(); seen[id] {
			again++
		} else {
			seen[id] = true
			once = append(once, f)
		}
	}
	return once, again
}

// Faults are how often each fault was found since the Collector was made, by
// [Fault]. A metric that is wrong is counted at every scrape.
func (c *Collector) Faults() map[Fault]uint64 {
	found := map[Fault]uint64{}
	for f := range Fault(faults) {
		if n := c.faults[f].Load(); n > 0 {
			found[f] = n
		}
	}
	return found
}
