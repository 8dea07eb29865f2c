package prom

import (
	"encoding/hex"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail/observe"
)

const (
	unmatched  = "unmatched"
	otherRoute = "_other"
)

// series are what one combination of labels is counted in. A long-lived one has
// no histograms, and others no counter where the histogram's count does.
type series struct {
	requests                            prometheus.Counter
	duration, requestSize, responseSize prometheus.Observer

	// bounds divide durations into those that may have an exemplar each, and
	// last says when one had, 0 for never.
	bounds []float64
	last   []atomic.Int64
}

// exemplarEvery is how long a bucket keeps its exemplar at least. More often than
// it is scraped nobody sees them.
const exemplarEvery = time.Second

// due says that the bucket of a duration may have an exemplar at this moment. It
// says so once.
func (s *series) due(seconds float64, at time.Duration) bool {
	i := 0
	for i < len(s.bounds) && seconds > s.bounds[i] {
		i++
	}
	was := s.last[i].Load()
	if was != 0 && at-time.Duration(was) < exemplarEvery {
		return false
	}
	return s.last[i].CompareAndSwap(was, int64(at))
}

func (s *series) exemplify(seconds float64, trace observe.TraceIDs) {
	s.duration.(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{
		"trace_id": hex.EncodeToString(trace.TraceID[:]),
		"span_id":  hex.EncodeToString(trace.SpanID[:]),
	})
}

// table finds series. It is read without a lock: maps are replaced, not changed.
type table struct {
	routes atomic.Pointer[map[string]*route]
	full   atomic.Bool
	// spare are those of coarse keys.
	spare atomic.Pointer[map[key]*series]

	mu sync.Mutex
	n  int
}

type route struct {
	of atomic.Pointer[map[key]*series]
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// series finds the series of a key.
func (m *Metrics) series(name string, k key) *series {
	t := &m.table
	if routes := t.routes.Load(); routes != nil {
		if r := (*routes)[name]; r != nil {
			if s := (*r.of.Load())[k]; s != nil {
				return s
			}
		}
	}
	if !t.full.Load() {
		if s := m.add(name, k); s != nil {
			return s
		}
	}
	m.shared.Add(1)
	k = m.naming.only(k.coarse())
	if spare := t.spare.Load(); spare != nil {
		if s := (*spare)[k]; s != nil {
			return s
		}
	}
	return m.addSpare(k)
}

// add makes series, or nil where there are as many as there may be.
func (m *Metrics) add(name string, k key) *series {
	t := &m.table
	t.mu.Lock()
	defer t.mu.Unlock()
	routes := t.routes.Load()
	var r *route
	if routes != nil {
		r = (*routes)[name]
	}
	if r != nil {
		if s := (*r.of.Load())[k]; s != nil {
			return s
		}
	}
	if t.n >= m.set.maxSeries {
		t.full.Store(true)
		return nil
	}
	t.n++
	if r == nil {
		// The name may be a small part of something big.
		name = strings.Clone(name)
	}
	s := m.make(label(name), k)
	if r != nil {
		put(&r.of, k, s)
		return s
	}
	r = &route{}
	put(&r.of, k, s)
	put(&t.routes, name, r)
	return s
}

func (m *Metrics) addSpare(k key) *series {
	t := &m.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if spare := t.spare.Load(); spare != nil {
		if s := (*spare)[k]; s != nil {
			return s
		}
	}
	s := m.make(otherRoute, k)
	put(&t.spare, k, s)
	return s
}

// put replaces a map by one that has an entry more.
func put[K comparable, V any](to *atomic.Pointer[map[K]V], k K, v V) {
	next := map[K]V{}
	if old := to.Load(); old != nil {
		next = maps.Clone(*old)
	}
	next[k] = v
	to.Store(&next)
}

// label is a route as the value of a label.
func label(route string) string {
	if route == "" {
		return unmatched
	}
	return strings.ToValidUTF8(route, "\uFFFD")
}

func (m *Metrics) make(route string, k key) *series {
	values := m.naming.values(route, k)
	s := &series{}
	if k.longLived() || m.naming.requests != "" {
		s.requests = m.requests.WithLabelValues(values...)
	}
	if k.longLived() {
		return s
	}
	s.duration = m.duration.WithLabelValues(values...)
	if m.set.sizes {
		s.requestSize = m.requestSize.WithLabelValues(values...)
		s.responseSize = m.responseSize.WithLabelValues(values...)
	}
	s.bounds = m.set.buckets
	s.last = make([]atomic.Int64, len(s.bounds)+1)
	return s
}
