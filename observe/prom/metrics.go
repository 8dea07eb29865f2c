package prom

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail/observe"
)

// Metrics are the request metrics of a service: a sink of package observe, and a
// [prometheus.Collector] to register. Its methods are safe for concurrent use.
type Metrics struct {
	set    settings
	naming *naming
	epoch  time.Time

	duration                  *prometheus.HistogramVec
	requestSize, responseSize *prometheus.HistogramVec // nil without WithSizes
	requests                  *prometheus.CounterVec   // of all, or of long-lived ones

	active, longLived [gauges]gauge
	gaugeDesc         [2]*prometheus.Desc
	ownDesc           [2]*prometheus.Desc

	table     table
	shared    atomic.Uint64
	exemplars atomic.Uint64
}

var (
	_ observe.Starter      = (*Metrics)(nil)
	_ observe.Follower     = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// gauge is told once it has been anything but 0. Each has a cache line of its
// own, as all of them change with every request.
type gauge struct {
	n    atomic.Int64
	used atomic.Bool
	_    [64 - 16]byte
}

func (g *gauge) add() {
	g.n.Add(1)
	if !g.used.Load() {
		g.used.Store(true)
	}
}

// New returns Metrics that are in no registry yet. All faults of the options are
// returned at once, joined, each a *[handrail.OptionError].
func New(opts ...Option) (*Metrics, error) {
	set := defaults()
	if err := set.apply(opts); err != nil {
		return nil, err
	}
	n := &semantic
	if set.classicNames {
		n = &classic
	}
	m := &Metrics{set: set, naming: n, epoch: time.Now()}
	m.duration = m.histogram(n.duration, "Duration of HTTP server requests.", set.buckets)
	if set.sizes {
		m.requestSize = m.histogram(n.requestSize, "Size of HTTP server request bodies, where it is known.", set.sizeBuckets)
		m.responseSize = m.histogram(n.responseSize, "Size of HTTP server response bodies.", set.sizeBuckets)
	}
	requests := prometheus.CounterOpts{Name: n.longLived, Help: "Event streams and hijacked connections that ended.", ConstLabels: set.constLabels}
	if n.requests != "" {
		requests.Name, requests.Help = n.requests, "HTTP server requests that ended."
	}
	m.requests = prometheus.NewCounterVec(requests, n.labels)

	desc := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, set.constLabels)
	}
	m.gaugeDesc[0] = desc(n.active, "HTTP server requests being served, long-lived ones not included.", n.gaugeLabels)
	m.gaugeDesc[1] = desc(n.longLivedActive, "Event streams and hijacked connections being served.", n.gaugeLabels)
	m.ownDesc[0] = desc(n.series, "Combinations of route, method, status and error that have series of their own.", nil)
	m.ownDesc[1] = desc(n.shared, "Requests that had to share a series because there were too many.", nil)
	return m, nil
}

// histogram follows the advice of Prometheus for native ones: buckets that grow
// by at most 10 %, 160 of them, and the full resolution anew after an hour.
func (m *Metrics) histogram(name, help string, bounds []float64) *prometheus.HistogramVec {
	opts := prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: m.set.constLabels, Buckets: bounds}
	if m.set.native {
		opts.NativeHistogramBucketFactor = 1.1
		opts.NativeHistogramMaxBucketNumber = 160
		opts.NativeHistogramMinResetDuration = time.Hour
	}
	return prometheus.NewHistogramVec(opts, m.naming.labels)
}

// Start implements [observe.Starter].
func (m *Metrics) Start(x *observe.Exchange) { m.active[methodAndScheme(x)].add() }

// LongLived implements [observe.Follower].
func (m *Metrics) LongLived(x *observe.Exchange) {
	k := methodAndScheme(x)
	m.active[k].n.Add(-1)
	m.longLived[k].add()
}

// Observe implements [observe.Sink].
func (m *Metrics) Observe(x *observe.Exchange) {
	k := keyOf(x)
	if k.longLived() {
		m.longLived[int(k)%gauges].n.Add(-1)
	} else {
		m.active[int(k)%gauges].n.Add(-1)
	}
	s := m.series(x.Route, m.naming.only(k))
	if s.requests != nil {
		s.requests.Inc()
	}
	if s.duration == nil {
		return
	}
	took := max(x.Duration, 0)
	if m.set.exemplars && x.Trace.Sampled() && x.Trace.Valid() && s.due(took.Seconds(), x.Began.Sub(m.epoch)+took) {
		m.exemplars.Add(1)
		s.exemplify(took.Seconds(), x.Trace)
	} else {
		s.duration.Observe(took.Seconds())
	}
	if s.responseSize != nil {
		if x.RequestBytes >= 0 {
			s.requestSize.Observe(float64(x.RequestBytes))
		}
		s.responseSize.Observe(float64(max(x.ResponseBytes, 0)))
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(ch)
	}
	for _, d := range m.gaugeDesc {
		ch <- d
	}
	for _, d := range m.ownDesc {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(ch)
	}
	for i, of := range [...]*[gauges]gauge{&m.active, &m.longLived} {
		m.collectGauges(ch, m.gaugeDesc[i], of)
	}
	s := m.Stats()
	ch <- prometheus.MustNewConstMetric(m.ownDesc[0], prometheus.GaugeValue, float64(s.Series))
	ch <- prometheus.MustNewConstMetric(m.ownDesc[1], prometheus.CounterValue, float64(s.Shared))
}

func (m *Metrics) vectors() []prometheus.Collector {
	v := []prometheus.Collector{m.duration, m.requests}
	if m.set.sizes {
		v = append(v, m.requestSize, m.responseSize)
	}
	return v
}

// collectGauges tells those that were ever used. The schemes are one where they
// are no label.
func (m *Metrics) collectGauges(ch chan<- prometheus.Metric, desc *prometheus.Desc, of *[gauges]gauge) {
	sums, used := map[key]int64{}, map[key]bool{}
	for i := range of {
		k := m.naming.only(key(i))
		sums[k] += of[i].n.Load()
		used[k] = used[k] || of[i].used.Load()
	}
	for k, n := range sums {
		if used[k] {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n), m.naming.gaugeValues(int(k))...)
		}
	}
}

// Stats are the figures of Metrics about themselves, since they were made.
type Stats struct {
	// Series are the combinations of route, method, status and error that have
	// series of their own, at most as many as WithMaxSeries says.
	Series int
	// Shared counts requests that had to share a series because there were too
	// many.
	Shared uint64
	// Exemplars have been attached.
	Exemplars uint64
}

// Stats returns the figures.
func (m *Metrics) Stats() Stats {
	return Stats{Series: m.table.len(), Shared: m.shared.Load(), Exemplars: m.exemplars.Load()}
}
