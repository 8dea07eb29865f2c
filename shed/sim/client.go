package sim

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// call is what a client wants, however many attempts it takes.
type call struct {
	at           time.Duration // when the first attempt is sent
	tenant, rank int
	attempt      int
	need, limit  time.Duration
	luck         uint64 // of its retries
	header       http.Header
	first        *sample
}

// spare is how many goroutines may wait for arrivals to come; further ones end.
const spare = 64

// traffic hands out the calls of a scenario, in the order of their arrival.
// What a call is like depends on its place in that order only.
type traffic struct {
	mu      sync.Mutex
	times   *arrivals
	who     sender
	draw    *rand.Rand
	waiting int // goroutines that have a call and wait for its time
	calls   int
	over    bool
}

// client makes calls until there are no more. Whoever has waited for an
// arrival serves it, after seeing to it that somebody waits for the next one:
// this spares passing each request from one goroutine to another, and a
// goroutine that has served before has a stack that is large enough.
func (e *Env) client() {
	defer e.open.Done()
	var c call
	for now := e.clock.now(); e.next(&c); now = e.clock.now() {
		time.Sleep(c.at - now)
		t := &e.traffic
		t.mu.Lock()
		t.waiting--
		successor := t.waiting == 0 && !t.over
		t.mu.Unlock()
		if successor {
			e.open.Add(1)
			go e.client()
		}
		e.serve(&c)
	}
}

// next is the next call, unless there is none or enough others wait for one.
func (e *Env) next(c *call) bool {
	t := &e.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.waiting >= spare {
		return false
	}
	if t.calls++; t.calls%256 == 0 && e.ctx.Err() != nil {
		t.over = true
		return false
	}
	at, ok := t.times.next()
	if !ok {
		t.over = true
		return false
	}
	t.waiting++
	tenant, rank := t.who.draw(t.draw)
	*c = call{
		at: at, tenant: tenant, rank: rank,
		need:   e.sc.Service.draw(t.draw),
		limit:  e.sc.Deadline.Draw(t.draw),
		luck:   t.draw.Uint64(),
		header: e.header(tenant, rank),
		first:  e.record.add(),
	}
	return true
}

// serve makes attempts until the client is content or gives up.
func (e *Env) serve(c *call) {
	for e.attempt(c) {
	}
}

// attempt makes one attempt and returns whether there is to be another.
func (e *Env) attempt(c *call) (again bool) {
	now := e.clock.now()
	s := c.first
	if c.attempt > 0 {
		s = e.record.add()
	}
	s.sent, s.tenant, s.class, s.attempt = now, uint16(c.tenant), uint8(c.rank), uint8(c.attempt)
	a := &attempt{need: c.need, hidden: e.sc.HideDeadline}
	a.handled.Store(-1)
	if e.sc.Retry.Timeouts {
		own := *c
		a.call = &own
	}
	if c.limit > 0 {
		a.deadline = e.clock.began.Add(now + c.limit)
		e.patience.watch(a, now, now+c.limit)
	}
	r := e.base.WithContext(a)
	r.Header, r.RemoteAddr = c.header, e.remotes[c.tenant]
	e.model.arrive(a)
	e.run(a, r)
	e.model.leave(a)
	s.ended = e.clock.now()
	ok := a.answer()
	s.handled = time.Duration(a.handled.Load())
	switch fine := a.w.status < 400; {
	case ok && fine:
		s.outcome = InTime
		c.first.success = true
		return false
	case s.handled >= 0:
		s.outcome = Wasted
	case ok:
		s.outcome = Refused
	default:
		s.outcome = Expired
	}
	if !ok || a.w.status != http.StatusServiceUnavailable && a.w.status != http.StatusTooManyRequests {
		return false
	}
	wait, again := e.again(c, s.ended)
	if !again {
		return false
	}
	if e.sc.Retry.HonourRetryAfter {
		if n, err := strconv.ParseUint(a.w.header.Get("Retry-After"), 10, 31); err == nil {
			wait = max(wait, time.Duration(n)*time.Second)
		}
	}
	if wait >= e.end-s.ended {
		return false
	}
	time.Sleep(wait)
	return true
}

// again prepares the next attempt of c, if there is to be one.
func (e *Env) again(c *call, now time.Duration) (wait time.Duration, ok bool) {
	if c.attempt >= e.sc.Retry.Max || now >= e.end {
		return 0, false
	}
	c.attempt++
	c.header = c.header.Clone()
	c.header.Set(AttemptHeader, strconv.Itoa(c.attempt))
	c.luck = c.luck*6364136223846793005 + 1442695040888963407
	swing := e.sc.Retry.Jitter * (2*float64(c.luck>>11)/(1<<53) - 1)
	return time.Duration(float64(e.sc.Retry.Delay) * (1 + swing)), true
}

// left is called when a's client leaves without an answer.
func (e *Env) left(a *attempt) {
	if !a.leave() || !e.sc.Retry.Timeouts {
		return
	}
	c := a.call
	wait, again := e.again(c, e.clock.now())
	if !again || wait >= e.end-e.clock.now() {
		return
	}
	e.open.Add(1)
	go func() {
		defer e.open.Done()
		time.Sleep(wait)
		e.serve(c)
	}()
}

// run passes the request through the middleware. A panic is what it would be
// in a server, an answer that never comes, but the simulation fails for it.
func (e *Env) run(a *attempt, r *http.Request) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		a.w.status = http.StatusInternalServerError
		if v == http.ErrAbortHandler {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.bad == nil {
			e.bad = fmt.Errorf("sim: panic: %v\n%s", v, debug.Stack())
		}
	}()
	e.handler.ServeHTTP(&a.w, r)
}
