package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// generator is an open-loop client: it sends every request of a schedule when
// it is due, whether or not earlier ones were answered, and measures from
// when it was due, so that a stalled server cannot slow the clock it is
// measured by (coordinated omission).
type generator struct {
	connect  connector
	deadline time.Duration // from when a request is due
	most     int           // connections
	watch    *watch        // may be nil

	mu   sync.Mutex
	idle []*sender // last in, first out: few connections stay warm
	open int
}

// sender owns one connection.
type sender struct {
	work chan *request
}

// drive sends the schedule and returns how far it came, which is less than
// the whole only when ctx ended it. When it returns, every request of the
// schedule has its outcome and no goroutine is left.
func (g *generator) drive(ctx context.Context, list []request, long time.Duration) time.Duration {
	var all sync.WaitGroup
	start := time.Now()
	reached := long
	for i := range list {
		if !sleepUntil(ctx, start, list[i].due) {
			reached = time.Since(start)
			break
		}
		g.hand(ctx, &all, start, &list[i])
	}
	if reached == long && !sleepUntil(ctx, start, long) {
		reached = time.Since(start)
	}
	g.mu.Lock()
	for _, s := range g.idle {
		close(s.work)
	}
	g.idle, g.open = nil, -1 // senders that finish later see the end
	g.mu.Unlock()
	all.Wait()
	return min(reached, long)
}

// sleepUntil returns false as soon as ctx is done.
func sleepUntil(ctx context.Context, start time.Time, due time.Duration) bool {
	if d := due - time.Since(start); d > 0 {
		if d < 50*time.Millisecond {
			time.Sleep(d)
		} else {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-ctx.Done():
			case <-t.C:
			}
		}
	}
	return ctx.Err() == nil
}

// hand gives the request to an idle sender, or to a new one.
func (g *generator) hand(ctx context.Context, all *sync.WaitGroup, start time.Time, r *request) {
	g.mu.Lock()
	var s *sender
	if n := len(g.idle); n > 0 {
		s, g.idle = g.idle[n-1], g.idle[:n-1]
	} else if g.open < g.most {
		g.open++
		s = &sender{work: make(chan *request, 1)}
		all.Go(func() { g.send(ctx, s, start) })
	}
	g.mu.Unlock()
	if s == nil {
		r.outcome = overflow
		g.watch.count(r)
		return
	}
	s.work <- r
}

// send serves one connection until the run is over.
func (g *generator) send(ctx context.Context, s *sender, start time.Time) {
	c := g.connect(ctx)
	defer c.close()
	for r := range s.work {
		r.lag = time.Since(start) - r.due
		if r.lag >= g.deadline {
			r.outcome, r.took = late, r.lag
		} else {
			status, err := c.do(r.kind, start.Add(r.due+g.deadline))
			if ctx.Err() != nil {
				return // cut short: not the server's doing
			}
			r.took = time.Since(start) - r.due
			r.outcome = judge(status, err, r.took, g.deadline)
		}
		g.watch.count(r)
		g.mu.Lock()
		over := g.open < 0
		if !over {
			g.idle = append(g.idle, s)
		}
		g.mu.Unlock()
		if over {
			return
		}
	}
}

// judge says what an answer is worth to the client that waited for it.
func judge(status int, err error, took, deadline time.Duration) outcome {
	switch {
	case err != nil && isTimeout(err), err == nil && took > deadline:
		return late
	case err != nil:
		return failed
	case status == 503 || status == 429:
		return refused
	case status >= 200 && status < 400:
		return good
	default:
		return failed
	}
}

// saturate keeps n requests under way for as long as e says and returns the
// good answers a second; 0 if it was interrupted.
func saturate(ctx context.Context, connect connector, n int, e effort) float64 {
	var answered atomic.Int64
	whole, stop := context.WithTimeout(ctx, e.warm+e.long)
	defer stop()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := connect(whole)
			defer c.close()
			for deck := newDeck(newSource(uint64(i))); whole.Err() == nil; {
				status, err := c.do(deck.deal(), time.Now().Add(patience))
				switch {
				case judge(status, err, 0, patience) == good:
					answered.Add(1)
				case whole.Err() == nil:
					time.Sleep(time.Millisecond) // spares a service that only fails
				}
			}
		})
	}
	sleepUntil(whole, time.Now(), e.warm)
	before, begin := answered.Load(), time.Now()
	<-whole.Done()
	after, end := answered.Load(), time.Now()
	all.Wait()
	if ctx.Err() != nil {
		return 0
	}
	return float64(after-before) / end.Sub(begin).Seconds()
}
