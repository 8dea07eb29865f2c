package trace

import (
	"sync/atomic"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// Stats are a Tracer's figures at one moment. Counts are since it was made.
type Stats struct {
	Name string

	// Served is how many spans of served requests were begun, Sent how many of
	// requests that a Transport sent.
	Served, Sent uint64
	// RecordedServed and RecordedSent of these are recorded: the sampler chose
	// them.
	RecordedServed, RecordedSent uint64
	// Continued is how many of the served requests named a trace, which at a
	// public endpoint is linked only.
	Continued uint64
	// Filtered is how many had no span because of WithFilter.
	Filtered uint64
}

type counts struct {
	served, recorded, continued, filtered atomic.Uint64
	sent, recordedSent                    atomic.Uint64
}

var _ handrail.Source = (*Tracer)(nil)

// Stats returns the figures.
func (t *Tracer) Stats() Stats {
	c := &t.counts
	s := Stats{
		Name:           t.set.name,
		RecordedServed: c.recorded.Load(), RecordedSent: c.recordedSent.Load(),
		Continued: c.continued.Load(), Filtered: c.filtered.Load(),
	}
	// Last, so that no part is more than the whole.
	s.Served, s.Sent = c.served.Load(), c.sent.Load()
	return s
}

// Collect implements [handrail.Source].
func (t *Tracer) Collect(emit func(handrail.Metric)) {
	s := t.Stats()
	m := metric.New("handrail_trace_", s.Name, emit)
	server, client := handrail.Label{Name: "kind", Value: "server"}, handrail.Label{Name: "kind", Value: "client"}
	m.Counter("spans", "Spans begun.", s.Served, server)
	m.Counter("spans", "Spans begun.", s.Sent, client)
	m.Counter("recorded_spans", "Spans that the sampler chose.", s.RecordedServed, server)
	m.Counter("recorded_spans", "Spans that the sampler chose.", s.RecordedSent, client)
	m.Counter("continued_requests", "Served requests that named a trace.", s.Continued)
	m.Counter("filtered_requests", "Requests without a span because of the filter.", s.Filtered)
}
