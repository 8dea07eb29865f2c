package bulkhead

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
)

// endless is the limit of what is Unlimited.
const endless = math.MaxInt32

// gate counts who is inside, and knows who waits.
//
// Where a request needs nothing but a global slot, and nobody waits, it is let
// in by one atomic operation on state. Everything else happens under the lock,
// for which that way in is shut first: then nobody but the owner of the lock
// takes a slot, and whoever gives one back without the lock sees that it is
// shut and takes the lock to hand the slot on. So no slot can become free
// unnoticed while somebody waits for it.
type gate struct {
	// state holds the slots in use in its lower half and the global limit in
	// the upper one, or 0 there while the way without the lock is shut.
	state    atomic.Uint64
	admitted atomic.Uint64

	_  [48]byte // what follows is not on the cache line of the above
	mu sync.Mutex

	rules rules
	era   uint64

	// The accounts of requests that belong to no tenant, or no operation.
	anyone   *tenant
	anything *operation

	// open are the operations with room that somebody waits for.
	open heap[*operation]
	// lines are all that are not empty.
	lines map[pair]*line
	// classes hold the waiters that are not entitled, in order of arrival.
	classes [handrail.Priorities]fifo
	// queued counts those, and waiting all of them.
	queued, waiting int
	waitingOf       [handrail.Priorities]int
	number          uint64
	// handed are granted slots whose waiters have not come for them yet.
	handed int

	rejected [reasons]uint64
	canceled uint64
	waits    waits
	pace     pace
}

type pair struct {
	tenant    *tenant
	operation *operation
}

// rules are the settings that the gate goes by.
type rules struct {
	limit int
	// locked says that most requests need more than a global slot, so that
	// the way without the lock stays shut.
	locked bool

	tenantLimit, operationLimit   int
	tenantLimits, operationLimits map[string]int
	guarantees                    map[string]int

	// wait says whether anybody may wait at all.
	wait                bool
	queue, tenantsQueue int
	ageing              time.Duration
}

func newGate() *gate {
	g := &gate{anyone: newTenant(""), anything: newOperation(""), lines: map[pair]*line{}}
	// They belong to everybody, so only the global limit applies.
	g.anyone.limit, g.anything.limit = endless, endless
	g.anyone.era, g.anything.era = math.MaxUint64, math.MaxUint64
	return g
}

const (
	inUseBits = 32
	inUseMask = 1<<inUseBits - 1
)

// slip lets a request in that needs only a global slot, if there is one and
// nobody waits.
func (g *gate) slip() bool {
	for {
		state := g.state.Load()
		if state&inUseMask >= state>>inUseBits {
			return false
		}
		if g.state.CompareAndSwap(state, state+1) {
			g.admitted.Add(1)
			return true
		}
	}
}

// unslip gives back what slip took.
func (g *gate) unslip() {
	if g.state.Add(math.MaxUint64)>>inUseBits != 0 {
		return
	}
	g.mu.Lock()
	g.dispatch()
	g.reopen()
	g.mu.Unlock()
}

// inUse is how many slots are in use.
func (g *gate) inUse() int { return int(g.state.Load() & inUseMask) }

// shut closes the way without the lock. The caller has the lock, and calls
// reopen before it lets it go.
func (g *gate) shut() {
	if g.state.Load()>>inUseBits != 0 {
		g.state.And(inUseMask)
	}
}

// reopen opens the way without the lock unless it has to stay shut.
func (g *gate) reopen() {
	if g.waiting == 0 && !g.rules.locked && g.state.Load()>>inUseBits == 0 {
		g.state.Add(uint64(g.rules.limit) << inUseBits)
	}
}

// configure makes rules the current ones, and lets in whom they let in.
func (g *gate) configure(r rules) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut()
	aged := r.ageing != g.rules.ageing
	g.rules = r
	g.era++
	if aged {
		g.reorder()
	}
	// An account nobody waits for learns of it when it is next used.
	for _, l := range g.lines {
		g.refresh(l.tenant, l.operation)
		g.settle(l.operation)
	}
	g.dispatch()
	g.reopen()
}

// turn is that of a waiter of a class.
func (g *gate) turn(arrived time.Duration, class int) int64 {
	return int64(arrived) + int64(class)*int64(g.rules.ageing)
}

// reorder gives those who wait the turns they have by the current rules. No heap
// is one while turns change, so the lines leave theirs and come back.
func (g *gate) reorder() {
	for _, l := range g.lines {
		l.at, l.operation.at, l.operation.ready = -1, -1, nil
	}
	g.open = nil
	for _, l := range g.lines {
		for class := range l.classes {
			for w := l.classes[class].first; w != nil; w = w.inLine.next {
				w.turn = g.turn(w.arrived, class)
			}
		}
		l.find()
	}
	for _, l := range g.lines {
		g.arrange(l)
	}
}

// refresh has the accounts follow the current rules.
func (g *gate) refresh(t *tenant, o *operation) {
	if t.era < g.era {
		t.era = g.era
		t.limit = limitOf(&t.account, g.rules.tenantLimit, g.rules.tenantLimits)
		t.guarantee = 0
		if !t.shared {
			t.guarantee = g.rules.guarantees[t.key]
		}
		g.tell(t)
	}
	if o.era < g.era {
		o.era = g.era
		o.limit = limitOf(&o.account, g.rules.operationLimit, g.rules.operationLimits)
	}
}

func limitOf(a *account, limit int, limits map[string]int) int {
	if !a.shared {
		if own, ok := limits[a.key]; ok {
			return own
		}
	}
	return limit
}

// obstacle is the limit that keeps a request out, admitted if none does. Where
// there are several it is the one that is most the request's own.
func (g *gate) obstacle(t *tenant, o *operation) Reason {
	switch {
	case t.full():
		return ReasonTenant
	case o.full():
		return ReasonOperation
	case g.inUse() >= g.rules.limit:
		return ReasonGlobal
	default:
		return admitted
	}
}

// hurdle is the obstacle for a request that has just come: what is free belongs
// to those who wait. A slot may become free at any time between two looks, as
// unslip gives it back before it has the lock.
func (g *gate) hurdle(t *tenant, o *operation) Reason {
	limit := g.obstacle(t, o)
	for limit == admitted && len(g.open) > 0 {
		g.dispatch()
		limit = g.obstacle(t, o)
	}
	return limit
}

// try lets a request in if it need not wait.
func (g *gate) try(t *tenant, o *operation) bool {
	g.mu.Lock()
	g.shut()
	g.refresh(t, o)
	free := g.hurdle(t, o) == admitted
	if free {
		g.occupy(t, o)
		g.admit(t, o)
	}
	g.reopen()
	g.mu.Unlock()
	return free
}

// occupy takes one slot of everything.
func (g *gate) occupy(t *tenant, o *operation) {
	g.state.Add(1)
	t.inUse++
	o.inUse++
	if t.lines != nil {
		g.tell(t)
	}
	if len(o.ready) > 0 {
		g.settle(o)
	}
}

// admit counts a request that is let in: not before it is sure, as counters
// never go back.
func (g *gate) admit(t *tenant, o *operation) {
	g.admitted.Add(1)
	t.admitted++
	o.admitted++
}

// vacate gives one slot of everything back.
func (g *gate) vacate(t *tenant, o *operation) {
	g.mu.Lock()
	g.free(t, o)
	g.reopen()
	g.mu.Unlock()
}

func (g *gate) free(t *tenant, o *operation) {
	g.state.Add(math.MaxUint64)
	t.inUse--
	o.inUse--
	if g.waiting == 0 {
		return
	}
	if t.lines != nil {
		g.tell(t)
	}
	if len(o.ready) > 0 {
		g.settle(o)
	}
	g.dispatch()
}

// refusal is what became of a request that was not let in at once.
type refusal struct {
	why Reason
	// limit is which limit kept it out.
	limit Reason
	// waited is how long it was in the queue, drain after which time coming
	// back may help.
	waited, drain time.Duration
}

// enter lets a request in, refuses it, or has it wait, in which case there is a
// waiter. Left says that nobody waits for an answer any more, and late that its
// deadline has passed; neither has it wait.
func (g *gate) enter(now time.Duration, t *tenant, o *operation, class int, left, late bool) (*waiter, refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut()
	defer g.reopen()
	g.refresh(t, o)
	limit := g.hurdle(t, o)
	if limit == admitted {
		g.occupy(t, o)
		g.admit(t, o)
		return nil, refusal{}
	}
	switch {
	case left:
		return nil, g.refuse(now, t, o, refusal{why: gone, limit: limit})
	case late:
		return nil, g.refuse(now, t, o, refusal{why: ReasonWaitTimeout, limit: limit})
	case t.limit == 0:
		return nil, g.refuse(now, t, o, refusal{why: ReasonTenant, limit: ReasonTenant})
	case o.limit == 0:
		return nil, g.refuse(now, t, o, refusal{why: ReasonOperation, limit: ReasonOperation})
	case g.rules.limit == 0:
		return nil, g.refuse(now, t, o, refusal{why: ReasonGlobal, limit: ReasonGlobal})
	case !g.rules.wait:
		return nil, g.refuse(now, t, o, refusal{why: limit, limit: limit})
	}
	g.number++
	w := &waiter{
		class: class, arrived: now, turn: g.turn(now, class), number: g.number,
		entitled: t.inUse+t.waiting < t.guarantee,
	}
	if !w.entitled && !g.makeRoom(now, t, w) {
		why := ReasonQueueFull
		if g.rules.queue == 0 {
			why = limit
		} else if g.crowded(t) {
			limit = ReasonTenant
		}
		return nil, g.refuse(now, t, o, refusal{why: why, limit: limit})
	}
	w.ready = make(chan struct{})
	g.enqueue(t, o, w)
	return w, refusal{}
}

// crowded says whether a tenant has all the places in the queue it may have.
func (g *gate) crowded(t *tenant) bool { return t != g.anyone && t.queued >= g.rules.tenantsQueue }

// makeRoom sees to it that there is a place in the queue for w, if need be that
// of somebody who goes after it: of its tenant if that has all the places it
// may have, else of anybody.
func (g *gate) makeRoom(now time.Duration, t *tenant, w *waiter) bool {
	var last *waiter
	crowded := g.crowded(t)
	switch {
	case g.rules.queue == 0:
		return false
	case crowded:
		for l := t.lines; l != nil; l = l.next {
			last = lastOf(last, l.last())
		}
	case g.queued >= g.rules.queue:
		for i := range g.classes {
			last = lastOf(last, g.classes[i].last)
		}
	default:
		return true
	}
	if last == nil || last.before(w) {
		return false
	}
	last.state, last.crowded = displaced, crowded
	close(last.ready)
	g.dequeue(last)
	return true
}

func (g *gate) enqueue(t *tenant, o *operation, w *waiter) {
	l := g.lines[pair{t, o}]
	if l == nil {
		l = &line{tenant: t, operation: o, at: -1, next: t.lines}
		if t.lines != nil {
			t.lines.prev = l
		} else {
			t.barred, t.owed = t.full(), t.inUse < t.guarantee
		}
		t.lines = l
		g.lines[pair{t, o}] = l
	}
	w.line = l
	l.classes[w.class].push(w, inLine)
	if !w.entitled {
		g.classes[w.class].push(w, inClass)
		g.queued++
		t.queued++
	}
	g.waiting++
	g.waitingOf[w.class]++
	t.waiting++
	o.waiting++
	if l.first == nil || w.before(l.first) {
		l.first = w
		g.arrange(l)
	}
}

// dequeue takes w out of the queue.
func (g *gate) dequeue(w *waiter) {
	l := w.line
	t, o := l.tenant, l.operation
	l.classes[w.class].remove(w, inLine)
	if !w.entitled {
		g.classes[w.class].remove(w, inClass)
		g.queued--
		t.queued--
	}
	g.waiting--
	g.waitingOf[w.class]--
	t.waiting--
	o.waiting--
	if l.first != w {
		return
	}
	l.find()
	if l.first != nil {
		g.arrange(l)
		return
	}
	if l.at >= 0 {
		o.ready.remove(l)
		g.settle(o)
	}
	if l.prev == nil {
		t.lines = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	delete(g.lines, pair{t, o})
}

// tell has the lines of a tenant know where it stands, which costs something
// only when that has changed.
func (g *gate) tell(t *tenant) {
	barred, owed := t.full(), t.inUse < t.guarantee
	if barred == t.barred && owed == t.owed {
		return
	}
	t.barred, t.owed = barred, owed
	for l := t.lines; l != nil; l = l.next {
		g.arrange(l)
	}
}

// arrange puts a line that is not empty where it belongs.
func (g *gate) arrange(l *line) {
	o := l.operation
	barred := l.tenant.full()
	l.owed = l.tenant.inUse < l.tenant.guarantee
	switch {
	case barred && l.at >= 0:
		o.ready.remove(l)
	case !barred && l.at < 0:
		o.ready.push(l)
	case !barred:
		o.ready.fix(l)
	default:
		return
	}
	g.settle(o)
}

// settle puts an operation where it belongs.
func (g *gate) settle(o *operation) {
	candidate := len(o.ready) > 0 && !o.full()
	switch {
	case candidate && o.at < 0:
		g.open.push(o)
	case candidate:
		g.open.fix(o)
	case o.at >= 0:
		g.open.remove(o)
	}
}

// dispatch gives free slots to those who can use them, in order. It needs a
// logarithm of the lines for each, and as much again for each operation that
// the tenant waits for where that becomes full.
func (g *gate) dispatch() {
	for len(g.open) > 0 && g.inUse() < g.rules.limit {
		w := g.open[0].ready[0].first
		g.dequeue(w)
		g.occupy(w.line.tenant, w.line.operation)
		w.state = granted
		g.handed++
		close(w.ready)
	}
}

// leave is the end of waiting. Left and late are as for enter, as of now.
func (g *gate) leave(now, since time.Duration, w *waiter, left, late bool) refusal {
	t, o := w.line.tenant, w.line.operation
	out := refusal{waited: now - since}
	g.mu.Lock()
	defer g.mu.Unlock()
	// A slot may be free whose former owner has not got the lock yet.
	g.dispatch()
	defer g.reopen()
	g.waits.add(out.waited)
	if w.state == granted {
		g.handed--
	}
	out.limit = g.obstacle(t, o)
	switch {
	case w.state == granted && !left && !late:
		g.admit(t, o)
		return refusal{waited: out.waited}
	case w.state == granted:
		// Nobody is there any more to use it.
		g.free(t, o)
	case w.state == waiting:
		g.dequeue(w)
	}
	if out.limit == admitted {
		out.limit = ReasonGlobal
	}
	switch {
	case left:
		out.why = gone
	case w.state == displaced:
		out.why = ReasonQueueFull
		if w.crowded {
			out.limit = ReasonTenant
		}
	default:
		out.why = ReasonWaitTimeout
	}
	return g.refuse(now, t, o, out)
}

// refuse counts a refusal.
func (g *gate) refuse(now time.Duration, t *tenant, o *operation, r refusal) refusal {
	if r.why == gone {
		g.canceled++
		return r
	}
	g.rejected[r.why]++
	t.rejected++
	o.rejected++
	inUse := g.inUse()
	g.pace.observe(now, int64(g.admitted.Load())+int64(g.handed-inUse))
	switch {
	case r.limit == ReasonTenant && t.inUse > 0:
		r.drain = g.pace.drain(t.waiting, t.inUse, inUse)
	case r.limit == ReasonOperation:
		r.drain = g.pace.drain(o.waiting, o.inUse, inUse)
	default:
		r.drain = g.pace.drain(g.waiting, inUse, inUse)
	}
	return r
}
