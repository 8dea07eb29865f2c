package sim

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/handrail-go/handrail"
)

// Result is what came of a simulation. It is not changed any more and may be
// read concurrently. It holds 40 bytes for every request that was sent.
type Result struct {
	// Name and Seed are the scenario's.
	Name string
	Seed uint64
	// Capacity is how many requests a second the service can finish, without
	// its slowdowns. It is infinite for a [Delay].
	Capacity float64
	// Total is everything after the warm-up until the end of the shape.
	Total Stats
	// Phases are those of the shape, warm-up included.
	Phases []Stats
	// Windows are slices of equal length from the beginning to the end of the
	// shape.
	Windows []Window
	// Gauges are the figures asked for by [Env.Gauge], by name, one value for
	// the end of each window.
	Gauges map[string][]float64
	// Took is the real time of the simulation.
	Took time.Duration

	samples []sample        // by the time they were sent
	useful  []time.Duration // when each answer that came in time did, in order
	tenants []string
	slow    []Slowdown
	window  time.Duration
}

// Count counts requests. An answer at the very moment of the client's deadline
// is in time, unless it is the client's leaving that caused it.
type Count struct {
	// Calls are what clients wanted, whatever number of attempts they made,
	// counted when the first one was sent, and Succeeded those that were
	// answered in time in the end. Without retries, Calls is Offered and
	// Succeeded is InTime.
	Calls, Succeeded int
	// Offered are the attempts sent. Each is exactly one of InTime, Refused,
	// Expired and Wasted.
	Offered int
	// InTime were answered with a status below 400 by the client's deadline.
	InTime int
	// Refused were answered otherwise by then, and never reached the handler.
	Refused int
	// Expired never reached the handler and were not answered in time either.
	Expired int
	// Wasted reached the handler in vain: the answer came too late, or was not
	// the handler's.
	Wasted int

	// Mean, P50, P95, P99 and Max are latencies of requests that reached the
	// handler, from sending to the answer, also if nobody waited for it any
	// more; 0 if there is none.
	Mean, P50, P95, P99, Max time.Duration
}

// Admitted are the requests that reached the handler, or that the middleware
// answered well in its place.
func (c Count) Admitted() int { return c.InTime + c.Wasted }

// Success is the share of calls that succeeded, 1 if there is none.
func (c Count) Success() float64 { return share(c.Succeeded, c.Calls, 1) }

// Shed is the share of attempts that did not reach the handler, 0 if there is
// none.
func (c Count) Shed() float64 { return share(c.Refused+c.Expired, c.Offered, 0) }

// Waste is the share of admitted requests that were admitted in vain, 0 if
// there is none.
func (c Count) Waste() float64 { return share(c.Wasted, c.Admitted(), 0) }

func share(part, of int, none float64) float64 {
	if of == 0 {
		return none
	}
	return float64(part) / float64(of)
}

// Stats is what happened in a period: what became of the requests that were
// sent in it.
type Stats struct {
	// Name is the phase's.
	Name string
	// From and To are when the period began and ended, since the beginning.
	From, To time.Duration
	// Possible is how many requests the service could finish in the period,
	// slowdowns considered; infinite for a [Delay].
	Possible float64
	// Useful is how many answers came in time and in the period, whenever their
	// requests were sent. In the steady state it is about InTime; only Useful
	// cannot exceed Possible by more than chance.
	Useful int

	Count
	// Classes are the same by rank, critical first, as
	// [handrail.Priority.Rank] counts.
	Classes [handrail.Priorities]Count
	// Tenants are the same by tenant, in the order of the mix.
	Tenants []TenantCount
}

// TenantCount is the count of one tenant.
type TenantCount struct {
	Name string
	Count
}

// Class returns the count of a priority.
func (s Stats) Class(p handrail.Priority) Count { return s.Classes[p.Rank()] }

// Tenant returns the count of a tenant, all 0 if there is none of that name.
func (s Stats) Tenant(name string) Count {
	for _, t := range s.Tenants {
		if t.Name == name {
			return t.Count
		}
	}
	return Count{}
}

// Goodput is Useful as share of what could have been served: Possible, or what
// was offered if that is less. It is 1 if nothing was offered. Over a short
// period it may be above 1, by what was sent before the period and answered in
// it.
func (s Stats) Goodput() float64 {
	could := min(s.Possible, float64(s.Offered))
	if could == 0 {
		return 1
	}
	return float64(s.Useful) / could
}

// Utilization is Useful as share of Possible, 0 for a [Delay].
func (s Stats) Utilization() float64 { return float64(s.Useful) / s.Possible }

// Window is a slice of time.
type Window struct {
	From time.Duration
	// Offered, InTime, Refused, Expired and Wasted are what became of the
	// requests that were sent in the window.
	Offered, InTime, Refused, Expired, Wasted int
	// Useful is how many answers came in time and in the window.
	Useful int
	// InFlight is how many requests were in the handler at the end.
	InFlight int
	// Waiting is how many requests were held back by the middleware, or on
	// their way to it, at the end.
	Waiting int
	// P50 and P99 are latencies of admitted requests sent in the window.
	P50, P99 time.Duration
}

// result evaluates the samples.
func (e *Env) result() *Result {
	r := &Result{
		Name: e.sc.Name, Seed: e.sc.Seed, Capacity: e.capacity, slow: e.sc.Slowdowns, window: e.sc.Window,
	}
	n := 0
	for _, c := range e.record.chunks {
		n += len(c)
	}
	r.samples = make([]sample, 0, n)
	for i, c := range e.record.chunks {
		r.samples = append(r.samples, c...)
		e.record.chunks[i] = nil
	}
	// Only retries are out of order.
	slices.SortStableFunc(r.samples, func(a, b sample) int { return cmp.Compare(a.sent, b.sent) })
	for i := range r.samples {
		if s := &r.samples[i]; s.outcome == InTime {
			r.useful = append(r.useful, s.ended)
		}
	}
	slices.Sort(r.useful)
	for _, t := range e.sc.Mix.Tenants {
		r.tenants = append(r.tenants, t.Name)
	}

	var at time.Duration
	for _, p := range e.sc.Shape {
		s := r.Between(at, at+p.Duration)
		s.Name = p.Name
		r.Phases = append(r.Phases, s)
		at += p.Duration
	}
	r.Total = r.Between(e.sc.Warmup, e.end)
	r.Total.Name = "total"
	r.windows(e.end)
	for _, g := range e.gauges {
		if r.Gauges == nil {
			r.Gauges = make(map[string][]float64)
		}
		r.Gauges[g.name] = g.values
	}
	return r
}

// sent returns the samples sent from and before these times.
func (r *Result) sent(from, to time.Duration) []sample {
	first := sort.Search(len(r.samples), func(i int) bool { return r.samples[i].sent >= from })
	after := sort.Search(len(r.samples), func(i int) bool { return r.samples[i].sent >= to })
	return r.samples[first:max(first, after)]
}

// Between returns what happened from one time since the beginning until just
// before another.
func (r *Result) Between(from, to time.Duration) Stats {
	s := Stats{From: from, To: to, Possible: r.possible(from, to)}
	first, _ := slices.BinarySearch(r.useful, from)
	after, _ := slices.BinarySearch(r.useful, to)
	s.Useful = max(0, after-first)

	all := r.sent(from, to)
	var total tally
	var classes [handrail.Priorities]tally
	tenants := make([]tally, len(r.tenants))
	for i := range all {
		x := &all[i]
		classes[x.class].add(x)
		if len(tenants) > 0 {
			tenants[x.tenant].add(x)
		}
	}
	for i := range classes {
		s.Classes[i] = classes[i].count()
		total.merge(&classes[i])
	}
	s.Count = total.count()
	for i := range tenants {
		s.Tenants = append(s.Tenants, TenantCount{r.tenants[i], tenants[i].count()})
	}
	return s
}

// possible is the integral of the capacity.
func (r *Result) possible(from, to time.Duration) float64 {
	if math.IsInf(r.Capacity, 1) {
		return r.Capacity
	}
	cuts := []time.Duration{from, to}
	for _, s := range r.slow {
		for _, c := range []time.Duration{s.From, s.To} {
			if c > from && c < to {
				cuts = append(cuts, c)
			}
		}
	}
	slices.Sort(cuts)
	sum := 0.0
	for i := 1; i < len(cuts); i++ {
		sum += (cuts[i] - cuts[i-1]).Seconds() / slowness(r.slow, cuts[i-1])
	}
	return sum * r.Capacity
}

// tally is a Count in the making.
type tally struct {
	Count
	latencies []time.Duration
}

func (t *tally) add(s *sample) {
	if s.attempt == 0 {
		t.Calls++
		if s.success {
			t.Succeeded++
		}
	}
	t.Offered++
	switch s.outcome {
	case InTime:
		t.InTime++
	case Refused:
		t.Refused++
	case Expired:
		t.Expired++
	default:
		t.Wasted++
	}
	if s.handled >= 0 {
		t.latencies = append(t.latencies, s.ended-s.sent)
	}
}

func (t *tally) merge(o *tally) {
	t.Calls += o.Calls
	t.Succeeded += o.Succeeded
	t.Offered += o.Offered
	t.InTime += o.InTime
	t.Refused += o.Refused
	t.Expired += o.Expired
	t.Wasted += o.Wasted
	t.latencies = append(t.latencies, o.latencies...)
}

func (t *tally) count() Count {
	c := t.Count
	slices.Sort(t.latencies)
	c.P50, c.P95, c.P99, c.Max = quantile(t.latencies, .5), quantile(t.latencies, .95), quantile(t.latencies, .99), quantile(t.latencies, 1)
	sum := 0.0
	for _, d := range t.latencies {
		sum += float64(d)
	}
	if n := len(t.latencies); n > 0 {
		c.Mean = time.Duration(sum / float64(n))
	}
	return c
}

// quantile is the nearest rank: the smallest value that at least the share q
// of all is not above.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func (r *Result) windows(end time.Duration) {
	width := r.window
	n := int((end + width - 1) / width) // the last one may be shorter
	r.Windows = make([]Window, n)
	entered := make([]int, n+1) // changes of InFlight, then of Waiting
	waiting := make([]int, n+1)
	at := func(d time.Duration) int { return int(min(d/width, time.Duration(n))) }
	for i := range r.samples {
		s := &r.samples[i]
		waiting[at(s.sent)]++
		if s.handled >= 0 {
			waiting[at(s.handled)]--
			entered[at(s.handled)]++
			entered[at(s.ended)]--
		} else {
			waiting[at(s.ended)]--
		}
	}
	var latencies []time.Duration
	inside, outside := 0, 0
	for i := range r.Windows {
		from := time.Duration(i) * width
		w := &r.Windows[i]
		w.From = from
		latencies = latencies[:0]
		all := r.sent(from, from+width)
		for j := range all {
			s := &all[j]
			w.Offered++
			switch s.outcome {
			case InTime:
				w.InTime++
			case Refused:
				w.Refused++
			case Expired:
				w.Expired++
			default:
				w.Wasted++
			}
			if s.handled >= 0 {
				latencies = append(latencies, s.ended-s.sent)
			}
		}
		slices.Sort(latencies)
		w.P50, w.P99 = quantile(latencies, .5), quantile(latencies, .99)
		first, _ := slices.BinarySearch(r.useful, from)
		after, _ := slices.BinarySearch(r.useful, from+width)
		w.Useful = after - first
		inside += entered[i]
		outside += waiting[i]
		w.InFlight, w.Waiting = inside, outside
	}
}

// Recovery returns how long after from the service was well for good: the
// least time, in steps of a window, such that from then until to every stretch
// of the given length passes ok. It is to-from if the last stretch does not
// pass, or is longer than all there is.
func (r *Result) Recovery(from, to, stretch time.Duration, ok func(Stats) bool) time.Duration {
	well := to
	steps := (to - stretch - from) / r.window
	for at := from + steps*r.window; at >= from; at -= r.window {
		if !ok(r.Between(at, at+stretch)) {
			break
		}
		well = at
	}
	return well - from
}
