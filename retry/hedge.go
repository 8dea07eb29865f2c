package retry

import (
	"context"
	"runtime"
	"time"
)

// race sends a request again while there is no answer, and returns the first
// round trip that did not fail, or else the last one that did. Nothing of the
// others is left but goroutines that end with their canceled round trips.
func (c *call) race() (*trip, error) {
	p := c.p
	back := make(chan *trip, c.hedges+1)
	var under []*trip
	send := func(hedge bool) error {
		t, err := c.prepare(hedge)
		if err != nil {
			return err
		}
		under = append(under, t)
		go t.run(back)
		return nil
	}
	if err := send(false); err != nil {
		return nil, err
	}
	timer := time.NewTimer(p.set.hedgeDelay)
	defer timer.Stop()
	var last *trip // a failure
	defer func() {
		for _, t := range under {
			t.cancel(context.Canceled)
		}
		if n := len(under); n > 0 {
			go discard(back, n)
		}
	}()
	for hedged := 0; ; {
		select {
		case t := <-back:
			under = remove(under, t)
			if t.ended {
				c.panicked(c.sent, t)
				last.close()
				if t.panic == nil {
					runtime.Goexit()
				}
				panic(t.panic)
			}
			if failed, _ := c.judge(c.sent, t); !failed {
				if t.hedge {
					p.tally.hedgesWon.Add(1)
				}
				last.close()
				return t, nil
			}
			if len(under) == 0 {
				if last != nil && t.resp == nil && last.resp != nil {
					t, last = last, t // an answer says more than an error
				}
				last.close()
				return t, nil
			}
			last.close()
			last = t
		case <-timer.C:
			if hedged < c.hedges && c.r.Context().Err() == nil && p.set.budget.withdraw(time.Now()) {
				if err := send(true); err == nil {
					p.tally.hedges.Add(1)
					hedged++
					timer.Reset(p.set.hedgeDelay)
				}
			}
		}
	}
}

// run is a round trip on a goroutine of its own, whose panic is the caller's.
func (t *trip) run(back chan<- *trip) {
	t.ended = true
	defer func() {
		if t.ended {
			t.panic = recover()
			t.end()
		}
		back <- t
	}()
	t.resp, t.err = t.c.base.RoundTrip(t.r)
	t.arrived()
	t.ended = false
}

// discard ends what comes back too late.
func discard(back <-chan *trip, n int) {
	for range n {
		t := <-back
		t.close()
	}
}

// close is drop for those that nobody has time to read.
func (t *trip) close() {
	if t != nil && t.resp != nil {
		t.resp.Body.Close()
		t.resp = nil
		t.end()
	}
}

func remove(all []*trip, t *trip) []*trip {
	for i := range all {
		if all[i] == t {
			return append(all[:i], all[i+1:]...)
		}
	}
	return all
}
