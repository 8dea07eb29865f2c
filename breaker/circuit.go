package breaker

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/handrail-go/handrail/internal/window"
)

// circuit is the breaker of one key. gobreaker keeps the counts of the rolling
// window and the state, and decides every transition. What stands around it:
//
//   - A result is handed to gobreaker when it is there, as a call that is over
//     at once. So a call that never ends holds nothing in gobreaker, a failure
//     counts in the window in which it shows, however long it took, and a
//     request that is excluded never gets there.
//   - gobreaker's own open time is next to nothing. It is not called before
//     ours is over, so how long that is may differ from one time to the next.
//   - gen is one more with each transition. A result counts only in the
//     generation in which its request was let in.
type circuit struct {
	b      *Breaker
	key    string
	shared bool

	// gate is what a request looks at: gen, and in the last bit whether it has
	// to ask under the lock.
	gate     atomic.Uint64
	rejected [reasons]atomic.Uint64
	spared   atomic.Uint64

	mu    sync.Mutex
	cb    *gobreaker.CircuitBreaker[struct{}]
	gen   uint64
	state State
	since time.Duration

	openFor, openUntil time.Duration
	trips              int           // in a row
	asked              time.Duration // when a request last found the gate guarded
	inflight           int           // probes
	succeeded          int           // probes
	credit             time.Duration // of the ramp: what is less than one request

	answered, slowed *window.Counter // nil unless slow calls have a share
	row              [verdicts]uint64
	counts           [verdicts]uint64
	late, opened     uint64
	last             [verdicts]time.Duration // -1: never

	// What the hooks of gobreaker need to know of the result it is just given.
	now      time.Duration
	cause    Cause
	upstream time.Duration
	tooSlow  bool
}

func newCircuit(b *Breaker, key string, shared bool) *circuit {
	c := &circuit{b: b, key: key, shared: shared, since: b.now(), last: [verdicts]time.Duration{-1, -1, -1}}
	c.restart()
	return c
}

// restart gives the circuit a new state machine, which is closed.
func (c *circuit) restart() {
	set := &c.b.set
	st := gobreaker.Settings{
		MaxRequests:   uint32(set.successes),
		Timeout:       1,
		ReadyToTrip:   c.ready,
		OnStateChange: func(_ string, _, to gobreaker.State) { c.enter(stateOf(to)) },
	}
	if set.share > 0 {
		st.Interval = set.window
		st.BucketPeriod = (set.window + time.Duration(set.buckets) - 1) / time.Duration(set.buckets)
	}
	c.cb = gobreaker.NewCircuitBreaker[struct{}](st)
	c.row = [verdicts]uint64{}
	c.watchSlow()
	c.generation(false)
}

func (c *circuit) watchSlow() {
	if set := &c.b.set; set.slowCall > 0 && set.slowShare > 0 {
		c.answered, c.slowed = window.NewCounter(set.window, set.buckets), window.NewCounter(set.window, set.buckets)
	}
}

// generation begins the next one. Guarded says that requests have to ask.
func (c *circuit) generation(guarded bool) {
	c.gen++
	c.inflight, c.succeeded = 0, 0
	c.guard(guarded)
}

func (c *circuit) guard(guarded bool) {
	gate := c.gen << 1
	if guarded {
		gate |= 1
	}
	c.gate.Store(gate)
}

// ready is asked by gobreaker, after a failure in the closed state.
func (c *circuit) ready(n gobreaker.Counts) bool {
	set := &c.b.set
	if set.consecutive > 0 && c.row[Failure] >= uint64(set.consecutive) {
		return true
	}
	total := uint64(n.TotalFailures) + uint64(n.TotalSuccesses)
	if set.share > 0 && total >= uint64(set.least) && float64(n.TotalFailures)/float64(total) >= set.share {
		return true
	}
	if c.tooSlow {
		c.cause = CauseSlow
	}
	return c.tooSlow
}

// enter is called by gobreaker, when the state has changed.
func (c *circuit) enter(to State) {
	set := &c.b.set
	switch to {
	case Open:
		if c.state == Closed && c.now-c.since >= c.openFor {
			c.trips = 0
		}
		c.openFor = set.openTime(c.trips)
		if set.upstream > 0 && c.upstream > 0 {
			c.openFor = min(max(c.upstream, leastUpstream), set.upstream)
		}
		c.trips++
		c.openUntil = c.now + c.openFor
		c.opened++
		c.b.tally.opened.Add(1)
	case Closed:
		c.row = [verdicts]uint64{}
		c.credit = set.ramp // so the first request is let in
		c.watchSlow()
	}
	c.generation(to != Closed || set.ramp > 0)
	c.turn(to, c.cause)
}

// turn notes the state and tells of it. Raise only appends to a queue, so that
// the events come in the order of the transitions.
func (c *circuit) turn(to State, cause Cause) {
	e := Event{Name: c.b.set.name, Key: c.key, Shared: c.shared, From: c.state, To: to, Cause: cause, At: c.b.at(c.now)}
	if to == Open {
		e.OpenFor = c.openFor
	}
	c.state, c.since, c.asked = to, c.now, c.now
	c.b.set.onStateChange.Raise(e)
}

// openTime is how long a circuit stays open that has been opened so many times
// in a row before.
func (s *settings) openTime(before int) time.Duration {
	d := float64(s.openFor) * math.Pow(s.growth, float64(before))
	if d >= float64(s.maxOpenFor) {
		return s.maxOpenFor
	}
	return time.Duration(d)
}

// ticket is what an admitted request is given: where its result belongs.
type ticket struct {
	gen    uint64
	judged bool // its result goes to the state machine
	probe  bool
}

// admit decides about one request. retry is when it may try again, 0 where
// that is not known.
func (c *circuit) admit(mode Mode) (t ticket, why Reason, retry time.Duration) {
	switch mode {
	case ForcedOpen:
		c.reject(ReasonForced)
		return ticket{}, ReasonForced, 0
	case ForcedClosed:
		return ticket{}, admitted, 0
	}
	gate := c.gate.Load()
	if gate&1 == 0 {
		return ticket{gen: gate >> 1, judged: true}, admitted, 0
	}
	t, why, retry = c.ask()
	if why == admitted {
		return t, admitted, 0
	}
	if mode == Shadow {
		c.reject(why)
		c.spared.Add(1)
		c.b.tally.spared.Add(1)
		return ticket{}, admitted, 0
	}
	c.reject(why)
	return t, why, retry
}

func (c *circuit) reject(why Reason) {
	c.rejected[why].Add(1)
	c.b.tally.rejected[why].Add(1)
}

// ask is admit where the gate is guarded.
func (c *circuit) ask() (ticket, Reason, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := &c.b.set
	now := c.b.now()
	c.asked = now
	if c.state == Open {
		if now >= c.openUntil {
			c.now, c.cause = now, CauseDue
			c.cb.State() // which looks at the time
		}
		if c.state == Open {
			return ticket{}, ReasonOpen, max(c.openUntil-now, 1)
		}
	}
	if c.state == HalfOpen {
		// No more than are needed, so that none is for nothing.
		if c.inflight >= set.probes || c.inflight+c.succeeded >= set.successes {
			return ticket{}, ReasonProbing, 0
		}
		c.inflight++
		return ticket{gen: c.gen, judged: true, probe: true}, admitted, 0
	}
	switch since := now - c.since; {
	case since >= set.ramp:
		c.guard(false)
	case c.credit+since >= set.ramp:
		c.credit += since - set.ramp
	default:
		c.credit += since
		return ticket{}, ReasonRamping, 0
	}
	return ticket{gen: c.gen, judged: true}, admitted, 0
}

// watch bounds how long x, a probe, may be under way.
func (c *circuit) watch(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x.timer = time.AfterFunc(c.b.set.probeTimeout, func() { c.hung(x) })
}

// hung reports a failure on behalf of x, whose own result is then late.
func (c *circuit) hung(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.reported || x.gen != c.gen {
		return
	}
	c.b.tally.hung.Add(1)
	now := c.b.now()
	c.last[Failure] = now
	c.hand(now, Failure, CauseProbeHung, 0)
}

// report is the result of x, at most once for each. took is below 0 where
// nobody measured it or it says nothing.
func (c *circuit) report(x *exchange, v Verdict, took, upstream time.Duration) {
	set := &c.b.set
	now := c.b.now()
	slow := set.slowCall > 0 && took >= set.slowCall && v != Excluded
	if slow && set.slowShare == 0 {
		v = Failure
	}
	c.b.tally.results[v].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	x.reported = true
	if x.timer != nil {
		x.timer.Stop()
	}
	c.counts[v]++
	c.last[v] = now
	if !x.judged {
		return
	}
	if x.gen != c.gen {
		c.late++
		c.b.tally.late.Add(1)
		return
	}
	if x.probe {
		c.inflight--
	}
	if v == Excluded {
		return
	}
	cause := CauseFailures
	if c.state == HalfOpen {
		cause = CauseProbeFailed
		if v == Success && !slow {
			cause = CauseRecovered
			c.succeeded++
		}
	}
	if c.answered != nil && took >= 0 {
		c.slower(now, slow)
		if c.tooSlow || slow && c.state == HalfOpen {
			v = Failure
		}
	}
	c.hand(now, v, cause, upstream)
}

// slower counts one call of the closed state by whether it was slow.
func (c *circuit) slower(now time.Duration, slow bool) {
	c.answered.Add(now, 1)
	if !slow {
		return
	}
	c.slowed.Add(now, 1)
	all := c.answered.Count(now)
	c.tooSlow = all >= float64(c.b.set.least) && c.slowed.Count(now)/all >= c.b.set.slowShare
}

var errFailed = errors.New("failed")

func succeed() (struct{}, error) { return struct{}{}, nil }
func fail() (struct{}, error)    { return struct{}{}, errFailed }

// hand gives a result of this generation to gobreaker, which may change the
// state over it.
func (c *circuit) hand(now time.Duration, v Verdict, cause Cause, upstream time.Duration) {
	c.now, c.cause, c.upstream = now, cause, upstream
	c.row[v]++
	if v == Failure {
		c.row[Success] = 0
		c.cb.Execute(fail)
	} else {
		c.row[Failure] = 0
		c.cb.Execute(succeed)
	}
	c.tooSlow = false
}

// reset closes the circuit and forgets what it has counted for its decisions.
func (c *circuit) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.b.now()
	c.trips, c.openFor = 0, 0
	c.restart()
	if c.state != Closed {
		c.turn(Closed, CauseReset)
	}
}

// stateNow is the state that a request would find.
func (c *circuit) stateNow() State {
	if c.gate.Load()&1 == 0 {
		return Closed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Open && c.b.now() >= c.openUntil {
		return HalfOpen
	}
	return c.state
}

// stale says whether nobody has asked for a circuit that is not closed for so
// long that it may be forgotten. The caller holds the lock.
func (c *circuit) stale(now time.Duration) bool {
	return now-max(c.asked, c.openUntil) >= c.b.set.longestOpen()
}

// idle says whether nothing is lost with the circuit.
func (c *circuit) idle() bool {
	if c.gate.Load()&1 == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.b.now()
	if c.state == Closed {
		return now-c.since >= c.b.set.ramp
	}
	return c.stale(now)
}

// forgotten is told that the circuit is no longer found by its key.
func (c *circuit) forgotten() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Closed {
		c.now = c.b.now()
		c.b.tally.forgotten.Add(1)
		c.generation(false)
		c.turn(Closed, CauseForgotten)
	}
}
