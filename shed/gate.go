package shed

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
)

// The constants of the waiting room.
const (
	roomBurst      = 100 * time.Millisecond // wait allowed while hardly anything is shed, at least
	roomBurstBases = 10                     // … and at least so many base latencies
	roomTarget     = 10 * time.Millisecond  // wait allowed to what does not fit, at least
	roomTargetBase = .5                     // … and at least this share of base latency
	roomLeast      = 4                      // places, at least
	roomMost       = 512                    // and at most: the lock is held while they are looked through
)

// roomPatience multiplies the burst for the classes that matter most.
var roomPatience = [handrail.Priorities]float64{2, 1.5, 1, 1, 1}

// roomTolerance is how long a class that just fits may wait while others are
// shed, as a multiple of what a slow request takes in calm times: that bounds
// what waiting adds to its slowest answers.
var roomTolerance = [handrail.Priorities]float64{1.3, 1.3, 2, 2, 2}

// tempo is a rate of arrivals and the share of them that was shed, smoothed
// over short windows.
type tempo struct {
	since           time.Duration
	arrivals, sheds uint64  // at since
	share           float64 // shed share, 0…1
	rate            float64 // arrivals per second
}

// due reports whether the window is long enough and has enough arrivals.
func (t *tempo) due(now, least time.Duration, few, arrivals uint64) bool {
	d := now - t.since
	return d >= least && arrivals-t.arrivals >= few || d >= time.Second
}

// roll closes the window.
func (t *tempo) roll(now time.Duration, arrivals, sheds uint64) {
	n := arrivals - t.arrivals
	rate := float64(n) / (now - t.since).Seconds()
	if n > 0 {
		t.share += .5 * (float64(sheds-t.sheds)/float64(n) - t.share)
	}
	if t.rate == 0 {
		t.rate = rate
	} else {
		t.rate += .5 * (rate - t.rate)
	}
	t.since, t.arrivals, t.sheds = now, arrivals, sheds
}

// gate stands in front of the handler: at most limit requests inside, the
// others wait shortly and in order, or are refused.
type gate struct {
	// What the pass path touches, without the lock.
	inside    atomic.Int64
	limit     atomic.Int64
	waiting   atomic.Int64 // in the room
	barred    atomic.Int32 // levels from here on are not let in: memory is short
	completed atomic.Uint64
	abandoned atomic.Uint64
	since     atomic.Int64  // when the law's window began
	area      atomic.Int64  // see occupied
	square    atomic.Uint64 // sum, microseconds squared
	longest   atomic.Int64  // latency since the law's window began, nanoseconds
	slow      atomic.Uint64 // completions above the target
	peak      atomic.Int64
	base      atomic.Int64 // latency without a queue, nanoseconds
	target    atomic.Int64 // own latency target, nanoseconds; 0 without
	backlog   atomic.Int64 // see drain
	nextStep  atomic.Int64 // when the law is due to look again, on the gate's clock

	tally   *tally
	sampler *load.Sampler
	clock   func() time.Duration
	waiters sync.Pool // per gate: a channel belongs to the bubble it was made in

	mu       sync.Mutex
	room     room
	law      law
	ceiling  float64 // of the limit, from the latency target
	frozen   int64   // the limit while memory is short, else 0
	maxWait  time.Duration
	held     uint64 // arrivals that found no free slot
	sheds    uint64
	total    tempo
	demand   tempo // of all, in the windows of tempos
	tempos   [levels]tempo
	greedy   *tenant // with the most recent use
	mark     marks
	reapAt   time.Duration         // when waiting is next looked at
	lastStep time.Duration         // when somebody last came or went
	allowed  [levels]time.Duration // waits, as of the last roll
	fitting  [levels]time.Duration // waits of what just fits
	patience [levels]time.Duration // waits while hardly anything is shed
}

// marks are the counters as they stood when the law's window began.
type marks struct {
	completed, abandoned, square, slow, offered, held uint64
}

func newGate(set *settings, t *tally, clock func() time.Duration) *gate {
	now := clock()
	g := &gate{
		tally:   t,
		sampler: set.sampler,
		clock:   clock,
		law:     newLaw(now, float64(set.minLimit), float64(set.initialLimit), float64(set.maxLimit)),
	}
	g.waiters.New = func() any {
		return &waiter{decided: make(chan struct{}, 1)}
	}
	g.barred.Store(levels)
	g.since.Store(int64(now))
	g.total.since, g.demand.since = now, now
	for i := range g.tempos {
		g.tempos[i].since = now
	}
	return g
}

// configure takes over settings, also while requests are inside.
func (g *gate) configure(set *settings) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.maxWait = set.maxWait
	lo, initial, hi := float64(set.minLimit), float64(set.initialLimit), float64(set.maxLimit)
	if old := g.target.Swap(int64(set.target)); old != int64(set.target) || !g.law.bounded(lo, initial, hi) {
		g.law.bound(lo, initial, hi)
		g.ceiling = hi
	}
	g.publish()
	g.plan()
	g.dispatch(g.clock())
}

// take occupies a slot if one is free.
func (g *gate) take(now time.Duration) bool {
	for {
		n := g.inside.Load()
		if n >= g.limit.Load() {
			return false
		}
		if g.inside.CompareAndSwap(n, n+1) {
			g.area.Add(g.since.Load() - int64(now))
			if n >= g.peak.Load() {
				g.peak.Store(n + 1)
			}
			return true
		}
	}
}

// arrival is a request at the gate.
type arrival struct {
	ctx    context.Context
	level  int
	tenant *tenant
	fair   bool // its tenant is told apart from others
	dryRun bool // it is let in whatever is decided
}

// enter returns admitted, or why the request is refused, and whether it waited
// for that.
func (g *gate) enter(now time.Duration, a arrival) (why Reason, waited bool) {
	if deadline, ok := a.ctx.Deadline(); ok && int64(time.Until(deadline)) < g.base.Load() {
		return g.tooLate(now, a), false
	}
	if g.waiting.Load() == 0 && int32(a.level) < g.barred.Load() && g.take(now) {
		if a.fair {
			a.tenant.admitted.Add(1)
		}
		return admitted, false
	}
	w, patience, why := g.queue(now, a)
	if w == nil {
		return why, false
	}
	return g.wait(a.ctx, w, patience), true
}

// queue is the way of a request that found the gate full: it returns a waiter
// and how long it may wait, or no waiter and the decision.
func (g *gate) queue(now time.Duration, a arrival) (w *waiter, patience time.Duration, why Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.roll(now)
	g.dispatch(now)
	if a.level >= g.open() {
		if a.dryRun {
			g.occupy(now, a.tenant)
		}
		return g.refuse(a, ReasonMemory)
	}
	if g.room.n == 0 && g.take(now) {
		g.admit(a.tenant, now)
		return nil, 0, admitted
	}
	g.held++
	if a.dryRun {
		return nil, 0, g.wouldQueue(now, a)
	}
	patience = g.patience[a.level]
	if patience == 0 {
		return g.refuse(a, ReasonLimit)
	}
	if deadline, ok := a.ctx.Deadline(); ok {
		left := time.Until(deadline) - seconds(g.law.base)
		if left <= 0 {
			return g.refuse(a, ReasonDeadline)
		}
		patience = min(patience, left)
	}
	if !g.fits(a.level) {
		v := g.room.victim(a.level, a.tenant, now)
		if v == nil {
			return g.refuse(a, ReasonLimit)
		}
		g.room.remove(v)
		g.decide(v, refused, ReasonDisplaced)
	}
	w = g.waiters.Get().(*waiter)
	w.verdict, w.level, w.tenant, w.since = pending, a.level, a.tenant, now
	g.room.add(w)
	g.waiting.Store(int64(g.room.n))
	// A release that did not see this waiter yet has left its slot free.
	g.dispatch(now)
	return w, patience, admitted
}

// tooLate refuses a request that cannot be answered before its deadline.
func (g *gate) tooLate(now time.Duration, a arrival) Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.dryRun {
		g.occupy(now, a.tenant)
	}
	_, _, why := g.refuse(a, ReasonDeadline)
	return why
}

// refuse counts a refusal. The lock is held.
func (g *gate) refuse(a arrival, why Reason) (*waiter, time.Duration, Reason) {
	g.sheds++
	return nil, 0, why
}

// wouldQueue decides for a request of a dry run, which is always let in: what
// stands above the limit is taken for the waiting room, which is an estimate.
// The lock is held.
func (g *gate) wouldQueue(now time.Duration, a arrival) Reason {
	excess := g.occupy(now, a.tenant) - g.limit.Load()
	if excess > int64(g.places(a.level)) || excess > 0 && g.patience[a.level] == 0 {
		g.sheds++
		return ReasonLimit
	}
	return admitted
}

// occupy takes a slot, also above the limit, and returns how many are inside.
func (g *gate) occupy(now time.Duration, t *tenant) int64 {
	g.area.Add(g.since.Load() - int64(now))
	g.admit(t, now)
	return g.inside.Add(1)
}

// open is the first level that is not let in because memory is short. While
// fewer are inside than there are processors, all are.
func (g *gate) open() int {
	if barred := int(g.barred.Load()); barred < levels && g.inside.Load() >= int64(runtime.GOMAXPROCS(0)) {
		return barred
	}
	return levels
}

// wait blocks until the waiter's verdict, its patience's end or the client's
// leaving.
func (g *gate) wait(ctx context.Context, w *waiter, patience time.Duration) Reason {
	if w.timer == nil {
		w.timer = time.NewTimer(patience)
	} else {
		w.timer.Reset(patience)
	}
	why := ReasonTimeout
	select {
	case <-w.decided:
		why = admitted
	case <-ctx.Done():
		why = ReasonGone
	case <-w.timer.C:
	}
	w.timer.Stop()
	if why != admitted {
		g.mu.Lock()
		if w.verdict == pending {
			g.room.remove(w)
			g.waiting.Store(int64(g.room.n))
			if why != ReasonGone {
				g.sheds++
			}
			w.verdict, w.reason = refused, why
		} else {
			// Decided meanwhile: the token is there, or will be at once.
			<-w.decided
			if w.verdict == granted && why == ReasonGone {
				// Nobody is left to serve: the slot goes to the next.
				w.verdict, w.reason = refused, ReasonGone
				now := g.clock()
				g.area.Add(int64(now) - g.since.Load())
				g.inside.Add(-1)
				g.dispatch(now)
			}
		}
		g.mu.Unlock()
	}
	verdict, reason := w.verdict, w.reason
	w.tenant = nil
	g.waiters.Put(w)
	if verdict == granted {
		return admitted
	}
	return reason
}

func (g *gate) decide(w *waiter, v verdict, why Reason) {
	if v == refused {
		g.sheds++
	}
	w.verdict, w.reason = v, why
	w.decided <- struct{}{}
}

// admit books an admission to a tenant. The lock is held.
func (g *gate) admit(t *tenant, now time.Duration) {
	t.recent(now)
	t.use++
	if g.greedy == nil || t != g.greedy && t.use > g.greedy.recent(now) {
		g.greedy = t
	}
}

// leave gives a slot back.
func (g *gate) leave(now time.Duration) {
	g.area.Add(int64(now) - g.since.Load())
	g.vacate(now)
}

// complete books the end of a request that was let in at start, and gives its
// slot back. Only successes are throughput. What a client did not wait for, or
// a timeout cut short, is looked at all the same where it lasted longer than
// the handler alone takes: without it nothing would be learnt while no answer
// comes in time. Other failures may have been too quick to say anything, so
// nothing is left of their time.
func (g *gate) complete(start, now time.Duration, outcome load.Outcome) {
	took := now - start
	switch {
	case outcome == load.Success:
	case outcome == load.Ignored && int64(took) > g.base.Load(),
		outcome == load.Failure && int64(took) > g.base.Load():
		g.abandoned.Add(1)
	default:
		g.area.Add(max(int64(start)-g.since.Load(), 0))
		g.vacate(now)
		return
	}
	g.completed.Add(1)
	if int64(took) > g.longest.Load() {
		g.longest.Store(int64(took)) // of two at once the lesser may stay
	}
	us := uint64(took / time.Microsecond)
	g.square.Add(us * us)
	if target := g.target.Load(); target > 0 && int64(took) > target {
		g.slow.Add(1)
	}
	g.leave(now)
}

func (g *gate) vacate(now time.Duration) {
	g.inside.Add(-1)
	if g.waiting.Load() > 0 {
		g.mu.Lock()
		g.dispatch(now)
		g.mu.Unlock()
	}
}

// occupied is the integral of requests inside over the time since the law's
// window began, in seconds. Each entry subtracts its time since then and each
// exit adds its own, so that only those still inside are left to be counted.
// Who enters or leaves in between the reads here is off by one request once.
func (g *gate) occupied(now time.Duration) float64 {
	return float64(g.area.Load()+(int64(now)-g.since.Load())*g.inside.Load()) / 1e9
}

// dispatch gives free slots to who waits. The lock is held.
func (g *gate) dispatch(now time.Duration) {
	if g.room.n == 0 {
		return
	}
	// Free slots come first: nobody may be told that waiting was in vain
	// while one that matters less is let in.
	for {
		w := g.room.next(g.open(), now)
		if w == nil || !g.take(now) {
			break
		}
		g.room.remove(w)
		g.admit(w.tenant, now)
		g.decide(w, granted, admitted)
	}
	if now >= g.reapAt {
		g.reapAt = now + time.Millisecond
		g.reap(now)
	}
	g.waiting.Store(int64(g.room.n))
}

// reap refuses those that have waited longer than their level is allowed. A
// tenant that uses less than the greediest one may wait as if its level just
// fitted, because its own share does; with less than 0.8 of that use it keeps
// the full patience.
func (g *gate) reap(now time.Duration) {
	top := 0.
	if g.greedy != nil {
		top = g.greedy.recent(now)
	}
	for level := range g.room.floors {
		f := &g.room.floors[level]
		for i := len(f.tenants) - 1; i >= 0; i-- {
			t := f.tenants[i]
			allowed := g.allowed[level]
			switch used := t.recent(now); {
			case used < .8*top:
				allowed = g.patience[level]
			case used < top:
				allowed = max(allowed, g.fitting[level])
			}
			q := &t.lines[level]
			for q.n > 0 && now-q.first.since > allowed {
				w := q.first
				g.room.remove(w)
				g.decide(w, refused, ReasonTimeout)
			}
		}
	}
}

// fits reports whether the room has a place for a newcomer of this level.
func (g *gate) fits(level int) bool {
	if g.room.ahead(level) >= g.places(level) {
		return false
	}
	return g.room.n < min(g.places(levels-1)+g.places(0), roomMost)
}

// places is how many may wait at this level and better ones: what is served
// within the allowance.
func (g *gate) places(level int) int {
	if g.law.rate == 0 {
		return max(int(g.limit.Load()), roomLeast)
	}
	return min(max(int(g.law.best*g.allowed[level].Seconds()), roomLeast), roomMost)
}

// roll renews the tempos and what they allow. The lock is held.
func (g *gate) roll(now time.Duration) {
	var arrivals uint64
	for i := range g.tempos {
		arrivals += g.tally.arrived[i].Load()
	}
	due := false
	if g.total.due(now, 50*time.Millisecond, 20, arrivals) {
		g.total.roll(now, arrivals, g.sheds)
		due = true
	}
	// What fits is a matter of a few percent, so it is counted for longer.
	if g.demand.due(now, 100*time.Millisecond, 300, arrivals) {
		g.demand.roll(now, arrivals, g.sheds)
		for i := range g.tempos {
			g.tempos[i].roll(now, g.tally.arrived[i].Load(), 0) // nobody asks for a level's share
		}
		due = true
	}
	if due {
		g.plan()
	}
}

// plan computes how long each level may wait: its patience while hardly
// anything is shed, or where the level with all better ones fits easily into
// the measured throughput, so that it seldom waits; about what a slow request
// takes anyway where it just fits; else a short target, because waiting could
// only make its answers late.
func (g *gate) plan() {
	base := seconds(g.law.base)
	target := max(roomTarget, time.Duration(roomTargetBase*float64(base)))
	burst := max(roomBurst, roomBurstBases*base)
	slow := g.law.tail()
	shedding := blend(g.total.share, .08, .20)
	if !g.law.surge {
		// Close to full, chance alone makes longer queues, for the last in the
		// order above all, and they pass: unless it lasts, that is no overload.
		chance := 1 - blend(g.demand.share, .03, .08)
		burst += time.Duration(3 * chance * float64(burst))
		shedding *= 1 - chance
	}
	if g.law.rate > 0 {
		ahead := float64(g.inside.Load()+int64(g.room.n)) / g.law.rate
		g.backlog.Store(int64(seconds(ahead / max(1-g.total.share, .2))))
	}
	sum := 0.
	for level := range levels {
		patience := min(time.Duration(roomPatience[level/2]*float64(burst)), g.maxWait)
		g.patience[level] = patience
		sum += g.tempos[level].rate
		short := min(target, patience)
		fitting := min(max(seconds(roomTolerance[level/2]*slow), short), patience)
		g.fitting[level] = fitting
		if g.law.rate > 0 {
			full := sum / g.law.rate
			fitting = between(patience, fitting, blend(full, .7, .9))
			fitting = between(fitting, short, blend(full, 1.05, 1.25))
		}
		g.allowed[level] = between(patience, fitting, shedding)
	}
}

// between goes from one duration to another as x goes from 0 to 1.
func between(from, to time.Duration, x float64) time.Duration {
	return from + time.Duration(x*float64(to-from))
}

// blend is 0 up to lo, 1 from hi on, linear between.
func blend(x, lo, hi float64) float64 {
	return min(max((x-lo)/(hi-lo), 0), 1)
}

// step lets the law look at what was seen since its window began. It is called
// after a completion, by whoever finds it due; nobody waits for it.
func (g *gate) step(now time.Duration) {
	due := g.nextStep.Load()
	if int64(now) < due || !g.nextStep.CompareAndSwap(due, int64(now+lawWindow/32)) {
		return
	}
	hot, usage := g.strain()
	if !g.mu.TryLock() {
		return
	}
	defer g.mu.Unlock()
	g.guardMemory(usage.Memory.V)
	g.dispatch(now)
	m := marks{completed: g.completed.Load(), abandoned: g.abandoned.Load(),
		square: g.square.Load(), slow: g.slow.Load(), held: g.held}
	for i := range g.tally.arrived {
		m.offered += g.tally.arrived[i].Load()
	}
	idle := now - g.lastStep
	g.lastStep = now
	if idle > lawLongest {
		g.begin(m, now)
		g.law.restart(now)
		return
	}
	s := sample{
		now:       now,
		completed: float64(m.completed - g.mark.completed),
		abandoned: float64(m.abandoned - g.mark.abandoned),
		occupied:  g.occupied(now),
		square:    float64(m.square-g.mark.square) / 1e12,
		offered:   float64(m.offered - g.mark.offered),
		held:      float64(m.held - g.mark.held),
		longest:   float64(g.longest.Load()) / 1e9,
		peak:      float64(g.peak.Load()) - g.law.stuck,
		hot:       hot,
		cpu:       usage.CPU.V,
	}
	if !g.law.observe(s, g.inside.Load()) {
		return
	}
	if s.completed > 0 {
		g.aim(float64(m.slow-g.mark.slow)/s.completed, s.completed)
	}
	g.begin(m, now)
	g.publish()
	g.roll(now)
	g.plan()
	g.dispatch(now)
}

// begin starts a window of the law.
func (g *gate) begin(m marks, now time.Duration) {
	g.mark = m
	g.since.Store(int64(now))
	g.area.Store(0)
	g.peak.Store(g.inside.Load())
	g.longest.Store(0)
}

// publish makes the law's limit the gate's, within what memory allows.
func (g *gate) publish() {
	limit := min(max(g.law.slots(), 1)+int64(g.law.stuck), int64(g.law.hardMax))
	if g.frozen > 0 {
		limit = min(limit, g.frozen)
	}
	g.limit.Store(limit)
	g.base.Store(int64(seconds(g.law.base)))
}

// strain reads the load, and whether the CPU is saturated. What is unknown in
// the usage is 0.
func (g *gate) strain() (hot bool, usage load.Usage) {
	sched := g.sampler.Scheduler()
	usage = g.sampler.Usage()
	return sched.Known && sched.Runnable > lawRunnable || usage.CPU.V >= lawHot, usage
}

// guardMemory bars classes while memory is short: above 90 % of the limit all
// but critical and high, and no more slots than are taken; above 95 % all but
// critical. As many requests as there are processors always get in, because
// only progress frees memory.
func (g *gate) guardMemory(used float64) {
	barred := levels
	switch {
	case used > .95:
		barred = levelOf(handrail.Critical.Rank()+1, false)
	case used > .90:
		barred = levelOf(handrail.High.Rank()+1, false)
	}
	if barred == levels {
		g.frozen = 0
	} else if g.frozen == 0 {
		g.frozen = max(g.inside.Load(), int64(runtime.GOMAXPROCS(0)))
	}
	g.barred.Store(int32(barred))
	g.publish()
}

// aim lets the latency target lower the ceiling of the limit while more than
// one completion in twenty was slower, and raises it again while fewer were.
func (g *gate) aim(slow, completed float64) {
	if g.target.Load() == 0 {
		return
	}
	switch {
	case slow > .05:
		g.ceiling = max(.8*min(g.ceiling, g.law.limit), g.law.min)
	case slow < .03:
		g.ceiling = min(1.1*g.ceiling, g.law.hardMax)
	}
	g.law.cap(g.ceiling)
}
