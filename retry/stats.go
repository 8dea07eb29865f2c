package retry

import (
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// tally counts what became of requests.
type tally struct {
	requests  atomic.Uint64
	retries   atomic.Uint64 // attempts beyond the first, hedges not among them
	retried   atomic.Uint64
	recovered atomic.Uint64
	delay     atomic.Int64
	gaveUp    [reasons]atomic.Uint64
	hedges    atomic.Uint64
	hedgesWon atomic.Uint64
}

// arrive counts a request that may be repeated. A budget that nobody shares
// counts the same ones, and a counter is the dearest part of a good first
// attempt where processors share it, so one is enough then.
func (p *Retrier) arrive() {
	if !p.set.ownBudget {
		p.tally.requests.Add(1)
	}
	p.set.budget.deposit()
}

func (p *Retrier) requests() uint64 {
	if p.set.ownBudget {
		return uint64(p.set.budget.requests.Load())
	}
	return p.tally.requests.Load()
}

// Stats are a Retrier's figures at one moment, of the requests it served and
// of those its Transports sent. Counts are since it was made.
type Stats struct {
	Name string
	// Requests may be repeated: exempt ones and those of other methods are not
	// among them.
	Requests uint64
	// Attempts there were, the first ones and hedges among them.
	Attempts uint64
	// Retried requests had more than one attempt, and Recovered ones of them an
	// answer that is no failure in the end.
	Retried, Recovered uint64
	// GaveUp counts failures that were not, or not any more, repeated, by
	// reason; Exhausted and BudgetDenied are two of them.
	GaveUp                  map[Reason]uint64
	Exhausted, BudgetDenied uint64
	// Delay is how long requests waited between attempts, all together.
	Delay time.Duration
	// Hedges were sent while there was no answer yet, and HedgesWon brought it.
	Hedges, HedgesWon uint64
	// Budget is that of this instance, zero without one.
	Budget BudgetStats
	// DroppedEvents were not handed to a callback that blocked.
	DroppedEvents uint64
}

// Stats returns the figures.
func (p *Retrier) Stats() Stats {
	c := &p.tally
	s := Stats{
		Name:          p.set.name,
		Requests:      p.requests(),
		Retried:       c.retried.Load(),
		Recovered:     c.recovered.Load(),
		GaveUp:        map[Reason]uint64{},
		Delay:         time.Duration(c.delay.Load()),
		Hedges:        c.hedges.Load(),
		HedgesWon:     c.hedgesWon.Load(),
		DroppedEvents: p.set.onRetry.Dropped() + p.set.onGiveUp.Dropped(),
	}
	s.Attempts = s.Requests + c.retries.Load() + s.Hedges
	for why := range Reason(reasons) {
		if n := c.gaveUp[why].Load(); n > 0 {
			s.GaveUp[why] = n
		}
	}
	s.Exhausted, s.BudgetDenied = s.GaveUp[ReasonExhausted], s.GaveUp[ReasonBudget]
	if p.set.budget != nil {
		s.Budget = p.set.budget.Stats()
	}
	return s
}

// Collect implements [handrail.Source].
func (p *Retrier) Collect(emit func(handrail.Metric)) {
	s := p.Stats()
	m := metric.New("handrail_retry_", s.Name, emit)
	m.Counter("requests", "Requests that may be repeated.", s.Requests)
	m.Counter("attempts", "Attempts, the first ones among them.", s.Attempts)
	m.Counter("retried_requests", "Requests with more than one attempt.", s.Retried)
	m.Counter("recovered_requests", "Retried requests that got a good answer.", s.Recovered)
	for why := range Reason(reasons) {
		m.Counter("given_up_requests", "Failures that were not, or not any more, repeated.", s.GaveUp[why],
			handrail.Label{Name: "reason", Value: why.String()})
	}
	m.Duration("delay", "Time waited between attempts.", s.Delay)
	m.Counter("hedges", "Requests sent again while there was no answer.", s.Hedges)
	m.Counter("hedges_won", "Hedges that brought the answer.", s.HedgesWon)
	m.Counter("dropped_events", "Events not handed to a callback that blocked.", s.DroppedEvents)
	if p.set.budget != nil {
		m.Gauge("budget_tokens", "Retries there is credit for.", s.Budget.Tokens)
		m.Counter("budget_denied", "Retries that the budget did not allow, of all that share it.", s.Budget.Denied)
	}
}

// repeat books a further attempt, which follows this one.
func (p *Retrier) repeat(attempt int) {
	p.tally.retries.Add(1)
	if attempt == 1 {
		p.tally.retried.Add(1)
	}
}

// retry reports an attempt that is going to be repeated.
func (p *Retrier) retry(e Event) {
	if p.set.onRetry != nil {
		e.Name, e.At = p.set.name, time.Now()
		p.set.onRetry.Raise(e)
	}
}

// giveUp books and reports a failure that is not repeated.
func (p *Retrier) giveUp(e GiveUp) {
	p.tally.gaveUp[e.Reason].Add(1)
	if p.set.onGiveUp != nil {
		e.Name, e.At = p.set.name, time.Now()
		p.set.onGiveUp.Raise(e)
	}
}
