package breaker

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// tally counts for all circuits together, also those that were forgotten.
type tally struct {
	results    [verdicts]atomic.Uint64
	rejected   [reasons]atomic.Uint64
	spared     atomic.Uint64
	late       atomic.Uint64
	opened     atomic.Uint64
	hung       atomic.Uint64
	forgotten  atomic.Uint64
	fallbacks  atomic.Uint64
	classifier atomic.Uint64
}

// Stats are a Breaker's figures at one moment. Counts are since it was made,
// and of all circuits together, also those that were forgotten.
type Stats struct {
	Name string
	Mode Mode

	// Circuits holds those in use, sorted by key, the shared one last. A Breaker
	// without keys has one with the key "", and one for each host that a
	// Transport of it has sent to.
	Circuits []CircuitStats

	// Successes, Failures and Excluded count results by their verdict. Late ones
	// of them came from an earlier state and changed nothing.
	Successes, Failures, Excluded, Late uint64
	// Rejected counts refused requests, by reason in Reasons. In the mode Shadow
	// it is what would have been refused, and Spared says how many.
	Rejected, Spared uint64
	Reasons          map[Reason]uint64
	// Fallbacks were served by the fallback handler.
	Fallbacks uint64
	// Opened counts transitions to Open, HungProbes probes that took too long.
	Opened, HungProbes uint64

	// EvictedKeys have been forgotten to make room, ForgottenOpen of them long
	// after their open time but not closed. SharedKeys counts requests that had
	// to share a circuit.
	EvictedKeys, ForgottenOpen, SharedKeys uint64

	// ClassifierPanics counts calls of a classifier that did not return.
	ClassifierPanics uint64
	// DroppedEvents were not handed to a callback that blocked.
	DroppedEvents uint64
}

// CircuitStats are the figures of one circuit. Counts are since the circuit was
// made.
type CircuitStats struct {
	Key    string
	Shared bool
	Mode   Mode
	State  State
	// Since is when it entered the state.
	Since time.Time

	Successes, Failures, Excluded, Late uint64
	// ConsecutiveSuccesses and ConsecutiveFailures are those that changed or
	// could have changed the state; one of them is 0.
	ConsecutiveSuccesses, ConsecutiveFailures uint64
	// FailureRate is the share of failures among Requests, the results that the
	// window holds now; 0 where it holds none, and while the circuit is not
	// closed or WithFailureRate is off.
	FailureRate float64
	Requests    uint64
	// LastSuccess and LastFailure are zero where there was none.
	LastSuccess, LastFailure time.Time

	// Probes are under way now.
	Probes int
	// NextProbe is when an open circuit lets a request through again, and
	// OpenFor how long it was to stay open; both are zero while it is not open.
	NextProbe time.Time
	OpenFor   time.Duration
	Opened    uint64

	Rejected, Spared uint64
	Reasons          map[Reason]uint64
}

// Stats returns the figures. With many keys it costs as many microseconds: it
// is for people and for scrapes, not for every request.
func (b *Breaker) Stats() Stats {
	out := Stats{
		Name: b.set.name, Mode: b.Mode(),
		Successes: b.tally.results[Success].Load(), Failures: b.tally.results[Failure].Load(),
		Excluded: b.tally.results[Excluded].Load(), Late: b.tally.late.Load(),
		Spared: b.tally.spared.Load(), Fallbacks: b.tally.fallbacks.Load(),
		Opened: b.tally.opened.Load(), HungProbes: b.tally.hung.Load(),
		ForgottenOpen:    b.tally.forgotten.Load(),
		ClassifierPanics: b.tally.classifier.Load(),
		DroppedEvents:    b.set.onStateChange.Dropped(),
	}
	out.Rejected, out.Reasons = refused(&b.tally.rejected)
	keys := b.keyed.Stats()
	out.EvictedKeys, out.SharedKeys = keys.Evicted, keys.Overflowed
	b.each(func(c *circuit) { out.Circuits = append(out.Circuits, c.stats()) })
	slices.SortFunc(out.Circuits, func(x, y CircuitStats) int {
		if x.Shared != y.Shared {
			if y.Shared {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.Key, y.Key)
	})
	return out
}

func (c *circuit) stats() CircuitStats {
	out := CircuitStats{Key: c.key, Shared: c.shared, Mode: c.mode(), Spared: c.spared.Load()}
	out.Rejected, out.Reasons = refused(&c.rejected)
	c.mu.Lock()
	defer c.mu.Unlock()
	out.State, out.Since = c.state, c.b.at(c.since)
	out.Successes, out.Failures, out.Excluded, out.Late = c.counts[Success], c.counts[Failure], c.counts[Excluded], c.late
	out.ConsecutiveSuccesses, out.ConsecutiveFailures = c.row[Success], c.row[Failure]
	out.Opened, out.Probes = c.opened, c.inflight
	if t := c.last[Success]; t >= 0 {
		out.LastSuccess = c.b.at(t)
	}
	if t := c.last[Failure]; t >= 0 {
		out.LastFailure = c.b.at(t)
	}
	switch {
	case c.state == Open:
		out.NextProbe, out.OpenFor = c.b.at(c.openUntil), c.openFor
	case c.state == Closed && c.b.set.share > 0:
		c.cb.State() // moves the window on; only an open circuit minds being asked
		n := c.cb.Counts()
		out.Requests = uint64(n.TotalSuccesses) + uint64(n.TotalFailures)
		if out.Requests > 0 {
			out.FailureRate = float64(n.TotalFailures) / float64(out.Requests)
		}
	}
	return out
}

func refused(by *[reasons]atomic.Uint64) (total uint64, why map[Reason]uint64) {
	why = map[Reason]uint64{}
	for r := admitted + 1; r < reasons; r++ {
		if n := by[r].Load(); n > 0 {
			why[r] = n
			total += n
		}
	}
	return total, why
}

// Collect implements [handrail.Source]. It tells sums over the circuits and
// how many there are in each state: keys come from outside, and are no labels.
func (b *Breaker) Collect(emit func(handrail.Metric)) {
	s := b.Stats()
	m := metric.New("handrail_breaker_", s.Name, emit)
	var in [states]int
	probes := 0
	for _, c := range s.Circuits {
		in[c.State]++
		probes += c.Probes
	}
	for state, n := range in {
		m.Gauge("circuits", "Circuits by state.", float64(n), handrail.Label{Name: "state", Value: State(state).String()})
	}
	for mode := range Mode(modes) {
		m.Flag("mode", "1 for the mode that holds, 0 for the others.", mode == s.Mode, handrail.Label{Name: "mode", Value: mode.String()})
	}
	m.Gauge("probes", "Probes under way.", float64(probes))
	for v, n := range [verdicts]uint64{s.Successes, s.Failures, s.Excluded} {
		m.Counter("results", "Results by what they mean.", n, handrail.Label{Name: "verdict", Value: Verdict(v).String()})
	}
	m.Counter("late_results", "Results that came from an earlier state and changed nothing.", s.Late)
	for why := admitted + 1; why < reasons; why++ {
		m.Counter("refused_requests", "Requests refused, or in the shadow what would have been.", s.Reasons[why],
			handrail.Label{Name: "reason", Value: why.String()})
	}
	m.Counter("spared_requests", "Requests let through in the shadow that would have been refused.", s.Spared)
	m.Counter("fallbacks", "Requests served by the fallback handler.", s.Fallbacks)
	m.Counter("opened", "Transitions to open.", s.Opened)
	m.Counter("hung_probes", "Probes that took longer than the probe timeout.", s.HungProbes)
	m.Counter("evicted_keys", "Keys forgotten to make room.", s.EvictedKeys)
	m.Counter("forgotten_open", "Circuits forgotten that were not closed, long after their open time.", s.ForgottenOpen)
	m.Counter("shared_keys", "Requests that had to share a circuit because there was no room.", s.SharedKeys)
	m.Counter("classifier_panics", "Calls of a classifier that did not return.", s.ClassifierPanics)
	m.Counter("dropped_events", "Events not handed to a callback that blocked.", s.DroppedEvents)
}
