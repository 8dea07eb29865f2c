package observe

import (
	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/metric"
)

// ending is how an exchange ended: an outcome, of which None is that of the
// handler's answer.
type ending httpwrap.Outcome

const endings = int(httpwrap.Aborted) + 1

// String is as in [Cause], and "answered" where nothing interfered.
func (e ending) String() string {
	if e == 0 {
		return "answered"
	}
	return httpwrap.Outcome(e).String()
}

// Stats are an Observer's figures at one moment. Counts are since it was made.
type Stats struct {
	Name string
	// InFlight requests are being served, without the LongLived ones.
	InFlight, LongLived int
	// Requests were observed to their end; Outcomes divides them by
	// [Cause].Outcome, "answered" where that is empty.
	Requests uint64
	Outcomes map[string]uint64
	// Skipped requests were left out by WithFilter.
	Skipped uint64
	// Routes are told apart, of at most WithMaxRoutes; OtherRoutes requests had
	// one beyond that.
	Routes      int
	OtherRoutes uint64
	// SinkPanics is how often a sink, or the function of WithRoute, panicked;
	// LostAttrs is how many attributes were beyond WithAttrs.
	SinkPanics, LostAttrs uint64
}

// Stats returns the figures.
func (o *Observer) Stats() Stats {
	t := &o.tally
	long := max(t.longLived.Load(), 0)
	out := Stats{
		Name:        o.set.name,
		InFlight:    int(max(t.inFlight.Load()-long, 0)),
		LongLived:   int(long),
		Outcomes:    map[string]uint64{},
		Skipped:     t.skipped.Load(),
		Routes:      o.routes.len(),
		OtherRoutes: o.routes.lost.Load(),
		SinkPanics:  t.panics.Load(),
		LostAttrs:   t.attrsLost.Load(),
	}
	for e := range t.ended {
		if n := t.ended[e].Load(); n > 0 {
			out.Outcomes[ending(e).String()] = n
			out.Requests += n
		}
	}
	return out
}

// Collect implements [handrail.Source].
func (o *Observer) Collect(emit func(handrail.Metric)) {
	s := o.Stats()
	m := metric.New("handrail_observe_", s.Name, emit)
	m.Gauge("in_flight_requests", "Requests being served, without long-lived ones.", float64(s.InFlight))
	m.Gauge("long_lived_requests", "Event streams and connections taken over.", float64(s.LongLived))
	m.Gauge("routes", "Routes told apart.", float64(s.Routes))
	for e := range endings {
		text := ending(e).String()
		m.Counter("requests", "Requests observed to their end.", s.Outcomes[text], handrail.Label{Name: "outcome", Value: text})
	}
	m.Counter("skipped_requests", "Requests that the filter left out.", s.Skipped)
	m.Counter("other_route_requests", "Requests of routes beyond the bound.", s.OtherRoutes)
	m.Counter("sink_panics", "Panics of sinks.", s.SinkPanics)
	m.Counter("lost_attributes", "Attributes of handlers beyond the bound.", s.LostAttrs)
}
