package sim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// quantum is Go's time slice.
const quantum = 10 * time.Millisecond

// Process is a Go process that serves CPU-bound requests. Where [CPU] lets
// every request reach the middleware at once, here it is as in net/http: the
// goroutine of a connection first waits in the run queue, then parses the
// request, runs through the middleware and begins with the handler in one time
// slice. Under overload the queue stands in front of the middleware, where a
// limit on requests in flight never sees it.
//
// The run queue is one, first come first served, for all cores. A time slice
// ends after 10 ms, at which the request goes to the end of the queue if
// anybody waits. A request that a middleware held back and then let go is put
// at the front of the queue, as the Go scheduler does with a goroutine that
// becomes ready. The middleware itself takes no time; what it costs is part
// of Parse.
type Process struct {
	// Cores is GOMAXPROCS, 1 to 1,000,000.
	Cores int
	// Parse is the CPU time that a request takes before it reaches the
	// middleware, and a refused one altogether; 0 means 50 µs.
	Parse time.Duration
	// Time a handler takes on a core of its own.
	Time Dist
	// Yields tells that the middleware calls [runtime.Gosched] once between
	// admitting a request and calling the handler, which cannot be seen from
	// outside. The request then goes to the end of the queue, so that those
	// before it are parsed and reach the middleware.
	Yields bool
}

func (p Process) parse() time.Duration {
	if p.Parse == 0 {
		return 50 * time.Microsecond
	}
	return p.Parse
}

// Capacity is the number of cores divided by the mean time including Parse.
func (p Process) Capacity() float64 {
	return rate(p.Cores, mean(p.Time)+p.parse())
}

func (p Process) faults() []string {
	faults := append(countFaults("Cores", p.Cores), timeFaults(p.Time)...)
	if p.Parse < 0 || p.Parse > longest {
		faults = append(faults, "Parse must be between 0 and 24h")
	}
	return faults
}

func (p Process) draw(r *rand.Rand) time.Duration { return p.Time.Draw(r) }

func (p Process) start(c clock) model {
	m := &process{clock: c, parse: p.parse(), yields: p.Yields, all: make([]core, p.Cores)}
	for i := range m.all {
		k := &m.all[i]
		k.timer = time.AfterFunc(longest, func() { m.passed(k) })
		k.timer.Stop()
		m.idle = append(m.idle, k)
	}
	return m
}

type process struct {
	clock
	parse  time.Duration
	yields bool

	mu      sync.Mutex
	all     []core
	idle    []*core
	queue   fifo[*goroutine]
	busy    time.Duration // in slices that have ended
	dropped bool
}

type core struct {
	runs  *goroutine    // nil: idle
	since time.Duration // when the slice began
	timer *time.Timer   // while runs is passing
	due   time.Duration // when the timer means to fire
}

// goroutine is a request's, as the scheduler sees it.
type goroutine struct {
	state  state
	on     *core // nil unless it has one
	queued time.Duration
	wake   chan struct{} // holds one
}

type state uint8

const (
	parked  state = iota // neither runs nor wants to
	ready                // in the queue
	running              // on a core
	passing              // on a core, in the middleware, which takes no time
)

func (p *process) arrive(a *attempt) {
	g := &goroutine{wake: make(chan struct{}, 1)}
	a.g = g
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropped || !p.acquire(g, false) {
		return
	}
	p.run(g, p.takes(p.parse), nil)
	if g.on == nil {
		return
	}
	// All that happens at this instant happens before the clock moves on, so
	// in a moment it is known whether the middleware holds the request back.
	g.state = passing
	g.on.due = p.now() + 1
	g.on.timer.Reset(1)
}

func (p *process) work(a *attempt, gone <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := a.g
	if a.handling {
		// The middleware calls the handler once more, maybe at the same time,
		// so this is a goroutine of its own.
		g = &goroutine{wake: make(chan struct{}, 1)}
	}
	a.handling = true
	switch {
	case p.dropped:
		return
	case g.state == passing && !p.yields:
		g.on.timer.Stop()
	case g.state == passing:
		k := g.on
		p.enqueue(g, false)
		p.release(k)
		if !p.await(g) {
			return
		}
	case !p.acquire(g, true):
		return
	}
	p.run(g, p.takes(a.need), gone)
	p.park(g)
}

func (p *process) leave(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.g.state == passing {
		p.park(a.g)
	}
}

// passed is called a moment after a goroutine entered the middleware. If it
// is neither in the handler nor back, it waits for something.
func (p *process) passed(k *core) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := k.runs; g != nil && g.state == passing && p.now() >= k.due {
		p.park(g)
	}
}

// acquire returns when g has a core, or false if all work is dropped.
func (p *process) acquire(g *goroutine, first bool) bool {
	if n := len(p.idle); n > 0 {
		k := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.occupy(k, g)
		return true
	}
	p.enqueue(g, first)
	return p.await(g)
}

func (p *process) enqueue(g *goroutine, first bool) {
	g.state, g.queued, g.on = ready, p.now(), nil
	if first {
		p.queue.pushFront(g)
	} else {
		p.queue.push(g)
	}
}

func (p *process) await(g *goroutine) bool {
	p.mu.Unlock()
	<-g.wake
	p.mu.Lock()
	return g.on != nil
}

// park takes the core from g.
func (p *process) park(g *goroutine) {
	if k := g.on; k != nil {
		p.release(k)
	}
	g.state, g.on = parked, nil
}

// release gives a core to the next one in the queue.
func (p *process) release(k *core) {
	k.timer.Stop()
	g, ok := p.queue.pop()
	if !ok {
		k.runs = nil
		p.idle = append(p.idle, k)
		return
	}
	p.occupy(k, g)
	g.wake <- struct{}{}
}

func (p *process) occupy(k *core, g *goroutine) {
	g.state, g.on = running, k
	k.runs, k.since = g, p.now()
}

// run lets g work on its core, slice by slice and on changing cores, until it
// is done, has seen that gone is closed, or all work is dropped.
func (p *process) run(g *goroutine, left time.Duration, gone <-chan struct{}) {
	g.state = running
	for {
		select {
		case <-gone:
			return
		default:
		}
		slice := min(left, quantum)
		g.on.since = p.now()
		p.mu.Unlock()
		time.Sleep(slice)
		p.mu.Lock()
		p.busy += slice
		if left -= slice; left <= 0 || p.dropped {
			return
		}
		if p.queue.size == 0 {
			continue
		}
		k := g.on
		p.enqueue(g, false)
		p.release(k)
		if !p.await(g) {
			return
		}
	}
}

func (p *process) runnable() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.queue.size) / float64(len(p.all))
}

// latency is how long the head of the queue has waited, which is what the
// last ones that got a core did.
func (p *process) latency() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.size == 0 {
		return 0
	}
	return p.now() - p.queue.ring[p.queue.first].queued
}

func (p *process) used() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	used, now := p.busy, p.now()
	for i := range p.all {
		if k := &p.all[i]; k.runs != nil && k.runs.state == running {
			used += now - k.since
		}
	}
	return used
}

func (p *process) cores() int { return len(p.all) }

func (p *process) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = true
	for {
		g, ok := p.queue.pop()
		if !ok {
			return
		}
		g.state = parked
		g.wake <- struct{}{}
	}
}
