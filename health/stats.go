package health

import (
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// Stats are a Health's figures at one moment. Counts are since a check was
// added.
type Stats struct {
	Name string
	// Live, Ready and Startup are Pass, Warn or Fail, as probes are told.
	Live, Ready, Startup Status
	Draining             bool
	// Checks are in the order they were added.
	Checks []CheckStats
	// DroppedEvents were not handed to a callback or a log that blocked.
	DroppedEvents uint64
}

// CheckStats are the figures of one check.
type CheckStats struct {
	Name   string
	Groups Group
	Status Status
	// Err is what the status is for, nil for Pass, and of a check without a
	// result that it has none.
	Err error
	// Stuck says that a run ignores that its time is over, Stale that the last
	// result is older than MaxAge.
	Stuck, Stale bool

	// Runs have begun. Passes, Warnings and Failures count results; Timeouts and
	// Panics are failures of that kind. A run that is stuck fails again at every
	// interval. Skipped counts runs that did not begin because one was under way
	// and within its time.
	Runs, Passes, Warnings, Failures, Timeouts, Panics, Skipped uint64
	Transitions                                                 uint64

	// LastResult and LastSuccess are zero where there was none; a warning is a
	// success. LastDuration is how long the last run took.
	LastResult, LastSuccess time.Time
	LastDuration            time.Duration
	Observations            []Observation
}

// Stats returns the figures.
func (h *Health) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now() >= h.snapshot.Load().until {
		h.publish()
	}
	s := h.snapshot.Load()
	out := Stats{
		Name: h.set.name, Live: s.views[livez].status, Ready: s.views[readyz].status, Startup: s.views[startupz].status,
		Draining: h.draining.Load(), DroppedEvents: h.set.onChange.Dropped() + h.log.Dropped(),
		Checks: make([]CheckStats, len(h.checks)),
	}
	for i, c := range h.checks {
		e := &s.entries[i] // in the same order
		_, err := c.reason(e.status, e.stale)
		out.Checks[i] = CheckStats{
			Name: c.name, Groups: c.set.groups, Status: e.status, Err: err, Stuck: c.stuck, Stale: e.stale,
			Runs: c.counts.runs, Passes: c.counts.passes, Warnings: c.counts.warnings, Failures: c.counts.failures,
			Timeouts: c.counts.timeouts, Panics: c.counts.panics, Skipped: c.counts.skipped, Transitions: c.counts.transitions,
			LastResult: c.at, LastSuccess: c.lastSuccess, LastDuration: c.took, Observations: append([]Observation(nil), c.measured...),
		}
	}
	return out
}

// Collect implements [handrail.Source]. It runs no check.
func (h *Health) Collect(emit func(handrail.Metric)) {
	s := h.Stats()
	m := metric.New("handrail_health_", s.Name, emit)
	for i, status := range [...]Status{s.Live, s.Ready, s.Startup} {
		group := handrail.Label{Name: "group", Value: viewGroups[livez+i].String()}
		for _, of := range [...]Status{Pass, Warn, Fail} {
			m.Flag("status", "1 for the status that a group has, 0 for the others.", status == of,
				group, handrail.Label{Name: "status", Value: of.String()})
		}
	}
	m.Flag("draining", "1 while readiness fails because the instance goes down.", s.Draining)
	for i := range s.Checks {
		c := &s.Checks[i]
		check := handrail.Label{Name: "check", Value: c.Name}
		for of := Unknown; of < statuses; of++ {
			m.Flag("check_status", "1 for the status that a check has, 0 for the others.", c.Status == of,
				check, handrail.Label{Name: "status", Value: of.String()})
		}
		m.Flag("check_stuck", "1 while a run ignores that its time is over.", c.Stuck, check)
		m.Gauge("check_duration_seconds", "How long the last run took.", c.LastDuration.Seconds(), check)
		if !c.LastSuccess.IsZero() {
			m.Gauge("check_last_success_timestamp_seconds", "When the check last passed or warned.",
				float64(c.LastSuccess.UnixMilli())/1e3, check)
		}
		m.Counter("check_transitions", "Changes of the check's status.", c.Transitions, check)
		m.Counter("check_runs", "Runs that have begun.", c.Runs, check)
		for i, n := range [...]uint64{Pass: c.Passes, Warn: c.Warnings, Fail: c.Failures} {
			if of := Status(i); of != Unknown {
				m.Counter("check_results", "Results, of which one that is stuck gives one at every interval.",
					n, check, handrail.Label{Name: "status", Value: of.String()})
			}
		}
	}
	m.Counter("dropped_events", "Events not handed to a callback or log that blocked.", s.DroppedEvents)
}
