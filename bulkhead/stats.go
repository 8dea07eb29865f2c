package bulkhead

import (
	"cmp"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/keyed"
	"github.com/handrail-go/handrail/internal/metric"
)

// TopKeys is how many tenants and operations [Stats] tells apart at most.
const TopKeys = 20

// Stats are a Bulkhead's figures at one moment, of the requests it served and of
// those its Transports sent. Counts are since it was made.
type Stats struct {
	Name string

	// InUse slots are taken of Limit, which may be Unlimited, and may be less
	// than InUse after an Update. Utilization is InUse ÷ Limit, so 1 is full,
	// and 0 where Limit is Unlimited or 0.
	InUse, Limit int
	Utilization  float64
	// Waiting requests are in the queue; WaitingByPriority is indexed by
	// [handrail.Priority.Rank].
	Waiting           int
	WaitingByPriority [handrail.Priorities]int

	// Admitted requests got a slot, Rejected ones were refused, for Reasons.
	Admitted, Rejected uint64
	Reasons            map[Reason]uint64
	// Canceled is how many clients left while their request waited.
	Canceled uint64

	// Waits are of all that waited, whatever became of them.
	Waits WaitStats

	// Exempt requests are inside without a slot.
	Exempt int

	// ByTenant and ByOperation are the TopKeys busiest of those that are told
	// apart now: by slots in use, then by how many wait, then by rejections,
	// then by admissions, then by key. A Transport's hosts are operations.
	ByTenant, ByOperation []KeyStats
	// Tenants and Operations are how many are told apart; Evicted ones have
	// been forgotten, and Shared counts requests that had to share an account.
	Tenants, Operations               int
	EvictedTenants, EvictedOperations uint64
	SharedTenants, SharedOperations   uint64

	// DroppedEvents were not handed to a callback that blocked.
	DroppedEvents uint64
}

// KeyStats are the figures of one tenant or operation, since it was last
// forgotten.
type KeyStats struct {
	Key string
	// Shared marks the account of those that had to share one.
	Shared                bool
	InUse, Limit, Waiting int
	Admitted, Rejected    uint64
}

// WaitStats tell how long requests waited in the queue.
type WaitStats struct {
	Count uint64
	Sum   time.Duration
	// Buckets are cumulative, in seconds, without the infinite one.
	Buckets []handrail.Bucket
}

// Stats returns the figures. Its cost grows with the number of keys: it is for
// people and for scrapes, not for every request.
func (b *Bulkhead) Stats() Stats {
	set, g := b.set.Load(), b.gate
	out := Stats{
		Name:          set.name,
		Reasons:       map[Reason]uint64{},
		Exempt:        int(b.exempt.Load()),
		DroppedEvents: b.dropped.Load() + set.onReject.Dropped(),
	}

	g.mu.Lock()
	out.InUse, out.Limit = g.inUse(), stated(g.rules.limit)
	out.Waiting, out.WaitingByPriority = g.waiting, g.waitingOf
	out.Admitted, out.Canceled = g.admitted.Load(), g.canceled
	for why := admitted + 1; why < reasons; why++ {
		if n := g.rejected[why]; n > 0 {
			out.Reasons[why] = n
			out.Rejected += n
		}
	}
	waits := g.waits
	g.mu.Unlock()

	if out.Limit > 0 {
		out.Utilization = float64(out.InUse) / float64(out.Limit)
	}
	out.Waits = WaitStats{Count: waits.count, Sum: waits.sum, Buckets: make([]handrail.Bucket, len(waitBounds))}
	var sum uint64
	for i, bound := range waitBounds {
		sum += waits.of[i]
		out.Waits.Buckets[i] = handrail.Bucket{UpperBound: bound.Seconds(), Cumulative: sum}
	}

	tenants, operations := b.tenants.Stats(), b.operations.Stats()
	out.Tenants, out.EvictedTenants, out.SharedTenants = tenants.Len, tenants.Evicted, tenants.Overflowed
	out.Operations, out.EvictedOperations, out.SharedOperations = operations.Len, operations.Evicted, operations.Overflowed
	out.ByTenant = busiest(g, accounts(b.tenants, func(t *tenant) *account { return &t.account }),
		func(a *account) int { return limitOf(a, g.rules.tenantLimit, g.rules.tenantLimits) })
	out.ByOperation = busiest(g, accounts(b.operations, func(o *operation) *account { return &o.account }),
		func(a *account) int { return limitOf(a, g.rules.operationLimit, g.rules.operationLimits) })
	return out
}

// stated is the limit as options say it.
func stated(limit int) int {
	if limit == endless {
		return Unlimited
	}
	return limit
}

func accounts[V any](m *keyed.Map[V], of func(*V) *account) (all []*account) {
	m.Range(func(_ string, v *V) bool {
		all = append(all, of(v))
		return true
	})
	if v := m.Overflow(); v != nil {
		all = append(all, of(v))
	}
	return all
}

// busiest returns the figures of the busiest accounts.
func busiest(g *gate, all []*account, limit func(*account) int) []KeyStats {
	// The lock is not held for all of them at once, as there may be a million.
	const batch = 128
	read := make([]KeyStats, 0, len(all))
	for part := range slices.Chunk(all, batch) {
		g.mu.Lock()
		for _, a := range part {
			if a.era == 0 {
				continue // its first request has not come this far
			}
			read = append(read, KeyStats{
				Key: a.key, Shared: a.shared, InUse: a.inUse, Limit: stated(limit(a)), Waiting: a.waiting,
				Admitted: a.admitted, Rejected: a.rejected,
			})
		}
		g.mu.Unlock()
	}
	slices.SortFunc(read, func(x, y KeyStats) int {
		return cmp.Or(cmp.Compare(y.InUse, x.InUse), cmp.Compare(y.Waiting, x.Waiting),
			cmp.Compare(y.Rejected, x.Rejected), cmp.Compare(y.Admitted, x.Admitted), cmp.Compare(x.Key, y.Key))
	})
	return slices.Clone(read[:min(len(read), TopKeys)])
}

// Collect implements [handrail.Source]. The names of tenants and operations are
// no labels: they may come from outside.
func (b *Bulkhead) Collect(emit func(handrail.Metric)) {
	s := b.Stats()
	m := metric.New("handrail_bulkhead_", s.Name, emit)
	m.Gauge("in_use_slots", "Slots taken.", float64(s.InUse))
	m.Gauge("limit_slots", "Slots there are, -1 for no limit.", float64(s.Limit))
	m.Gauge("utilization_ratio", "Slots taken as a share of those there are, 0 without a limit.", s.Utilization)
	for rank, n := range s.WaitingByPriority {
		m.Gauge("waiting_requests", "Requests in the queue.", float64(n),
			handrail.Label{Name: "priority", Value: handrail.PriorityOfRank(rank).String()})
	}
	m.Gauge("exempt_requests", "Exempt requests inside.", float64(s.Exempt))
	m.Gauge("tenants", "Tenants told apart now.", float64(s.Tenants))
	m.Gauge("operations", "Operations told apart now.", float64(s.Operations))
	m.Counter("admitted_requests", "Requests that got a slot.", s.Admitted)
	for why := admitted + 1; why < reasons; why++ {
		m.Counter("rejected_requests", "Requests refused.", s.Reasons[why], handrail.Label{Name: "reason", Value: why.String()})
	}
	m.Counter("canceled_requests", "Clients that left while their request waited.", s.Canceled)
	m.Counter("dropped_events", "Events not handed to a callback that blocked.", s.DroppedEvents)
	m.Histogram("wait_seconds", "Time in the queue of requests that waited.", s.Waits.Buckets, s.Waits.Count, s.Waits.Sum.Seconds())
}
