package shed

import (
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
	"github.com/handrail-go/handrail/load"
)

// tally counts what a Shedder decided.
type tally struct {
	arrived  [levels]atomic.Uint64
	admitted [handrail.Priorities]atomic.Uint64
	refused  [handrail.Priorities][reasons]atomic.Uint64
	spared   atomic.Uint64 // refused in a dry run, so admitted all the same
	long     atomic.Int64
}

// Stats are a Shedder's figures at one moment. Counts are since it was made.
type Stats struct {
	Name     string
	Strategy Strategy
	DryRun   bool

	// Load is the shared sampler's snapshot: CPU, memory, rate, latency and
	// errors, unknown where they are.
	Load load.Snapshot
	// Pressure is the weighted pressure, 0 to 1.
	Pressure float64
	// Circuit is the state of the circuit strategy, and CircuitFor for how
	// long it has been in it.
	Circuit    CircuitState
	CircuitFor time.Duration

	// InFlight requests hold a slot of the adaptive strategy, Waiting ones are
	// in its room, LongLived ones were admitted by any strategy and hold none.
	InFlight, Waiting, LongLived int
	// Limit is how many slots there are now.
	Limit int
	// Base is the latency without a queue as far as it is known, Throughput
	// the completions per second.
	Base       time.Duration
	Throughput float64

	// ByPriority is indexed by [handrail.Priority.Rank].
	ByPriority [handrail.Priorities]PriorityStats
	// Admitted and Shed are their sums; ShedRate is Shed as a share of all that
	// was decided.
	Admitted, Shed uint64
	ShedRate       float64
	// Reasons counts what was shed by reason. In a dry run it is what would
	// have been shed, and those requests count as admitted too.
	Reasons map[Reason]uint64
	// Gone counts clients that left while their request waited.
	Gone uint64

	// Tenants are told apart now; EvictedTenants have been forgotten, and
	// SharedTenants counts requests that had to share an account.
	Tenants        int
	EvictedTenants uint64
	SharedTenants  uint64

	// DroppedEvents were not handed to a callback that blocked.
	DroppedEvents uint64
}

// PriorityStats count one class.
type PriorityStats struct {
	Priority       handrail.Priority
	Admitted, Shed uint64
	Reasons        map[Reason]uint64
}

// Stats returns the figures. It costs some microseconds: it is for people and
// for scrapes, not for every request.
func (s *Shedder) Stats() Stats {
	set := s.set.Load()
	now := s.now()
	view := s.outlook.at(now, set, &s.tally)
	out := Stats{
		Name: set.name, Strategy: set.strategy, DryRun: set.dryRun,
		Load:      set.sampler.Snapshot(),
		Pressure:  view.pressure,
		InFlight:  int(s.gate.inside.Load()),
		LongLived: int(s.tally.long.Load()),
		Reasons:   map[Reason]uint64{},
	}
	out.Circuit, out.CircuitFor = s.circuit.current(now)
	s.gate.report(&out)
	for rank := range out.ByPriority {
		c := PriorityStats{Priority: handrail.PriorityOfRank(rank), Reasons: map[Reason]uint64{}}
		c.Admitted = s.tally.admitted[rank].Load()
		out.Gone += s.tally.refused[rank][ReasonGone].Load()
		for why := admitted + 1; why < ReasonGone; why++ {
			if n := s.tally.refused[rank][why].Load(); n > 0 {
				c.Reasons[why] = n
				out.Reasons[why] += n
				c.Shed += n
			}
		}
		out.ByPriority[rank] = c
		out.Admitted += c.Admitted
		out.Shed += c.Shed
	}
	if all := out.Admitted + out.Shed - min(s.tally.spared.Load(), out.Shed); all > 0 {
		out.ShedRate = float64(out.Shed) / float64(all)
	}
	tenants := s.tenants.Stats()
	out.Tenants, out.EvictedTenants, out.SharedTenants = tenants.Len, tenants.Evicted, tenants.Overflowed
	out.DroppedEvents = s.dropped.Load() + set.onShed.Dropped() + set.onStateChange.Dropped()
	return out
}

// report fills in the gate's part.
func (g *gate) report(out *Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out.Limit = int(g.limit.Load())
	out.Base = seconds(g.law.base)
	out.Throughput = g.law.rate
	out.Waiting = g.room.n
}

// Collect implements [handrail.Source].
func (s *Shedder) Collect(emit func(handrail.Metric)) {
	st := s.Stats()
	m := metric.New("handrail_shed_", st.Name, emit)
	m.Gauge("in_flight_requests", "Requests that hold a slot.", float64(st.InFlight))
	m.Gauge("waiting_requests", "Requests in the waiting room.", float64(st.Waiting))
	m.Gauge("long_lived_requests", "Admitted exchanges that are long by nature and hold no slot.", float64(st.LongLived))
	m.Gauge("limit_requests", "Slots there are now.", float64(st.Limit))
	m.Gauge("base_latency_seconds", "Latency in the handler without a queue.", st.Base.Seconds())
	m.Gauge("throughput_requests_per_second", "Completions per second as the control law sees them.", st.Throughput)
	m.Gauge("pressure_ratio", "Weighted pressure, 0 to 1.", st.Pressure)
	m.Gauge("circuit_state", "State of the circuit strategy: 0 closed, 1 open, 2 probing.", float64(st.Circuit))
	m.Gauge("tenants", "Tenants told apart now.", float64(st.Tenants))
	for _, c := range st.ByPriority {
		class := handrail.Label{Name: "priority", Value: c.Priority.String()}
		m.Counter("admitted_requests", "Requests let in.", c.Admitted, class)
		for why := admitted + 1; why < ReasonGone; why++ {
			m.Counter("refused_requests", "Requests shed, or in a dry run what would have been.", c.Reasons[why],
				class, handrail.Label{Name: "reason", Value: why.String()})
		}
	}
	m.Counter("gone_requests", "Clients that left while their request waited.", st.Gone)
	m.Counter("dropped_events", "Events not handed to a callback that blocked.", st.DroppedEvents)
}
