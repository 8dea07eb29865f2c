package main

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a server that needs no network.
type fake struct {
	mu    sync.Mutex
	stall time.Time // until then nobody is answered
	takes time.Duration
	opens time.Duration // how long connecting takes
	sent  atomic.Int64
	alive atomic.Int64
	most  atomic.Int64
}

func (f *fake) connect(ctx context.Context) connection {
	f.most.Store(max(f.most.Load(), f.alive.Add(1)))
	return &fakeConnection{ctx: ctx, fake: f}
}

type fakeConnection struct {
	ctx  context.Context
	fake *fake
	open bool
}

func (c *fakeConnection) do(k kind, giveUp time.Time) (int, error) {
	if !c.open {
		time.Sleep(c.fake.opens)
		c.open = true
	}
	c.fake.sent.Add(1)
	c.fake.mu.Lock()
	wait := max(c.fake.takes, time.Until(c.fake.stall))
	c.fake.mu.Unlock()
	status, err := 200, error(nil)
	if left := time.Until(giveUp); wait > left {
		wait, status, err = left, 0, os.ErrDeadlineExceeded
	}
	select {
	case <-time.After(wait):
		return status, err
	case <-c.ctx.Done():
		return 0, c.ctx.Err()
	}
}

func (c *fakeConnection) close() { c.fake.alive.Add(-1) }

// A server that stalls for a second is asked all the same, every 10 ms, and
// whoever asked in that second is counted with the time it really waited.
func TestStalledServerMakesLatencyCountFromWhenRequestsWereDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := schedule(shape{{1, 3 * time.Second}}, 100, true, 1)
		f := &fake{takes: time.Millisecond, stall: time.Now().Add(1500 * time.Millisecond)}
		g := &generator{connect: f.connect, deadline: 10 * time.Second, most: 1000}
		if reached := g.drive(t.Context(), list, 3*time.Second); reached != 3*time.Second {
			t.Fatalf("reached %v", reached)
		}
		for _, r := range list {
			want := time.Millisecond
			if r.due < 1500*time.Millisecond-want {
				want = 1500*time.Millisecond - r.due
			}
			if r.outcome != good || r.took != want || r.lag != 0 {
				t.Fatalf("due %v: outcome %d after %v, %v late, want %v", r.due, r.outcome, r.took, r.lag, want)
			}
		}
		m := &measured{capacity: 100, shape: shape{{1, 3 * time.Second}}, deadline: g.deadline, list: list, reached: 3 * time.Second}
		// A closed loop would have sent one request into the stall and reported
		// a p99 of 1 ms.
		if p99 := *m.figure().Phases[0].P99; p99 < 1460 || p99 > 1470 {
			t.Errorf("p99 %v ms", p99)
		}
	})
}

func TestClientThatIsLateItselfCountsTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: time.Millisecond, opens: 40 * time.Millisecond}
		list := []request{{due: 0}, {due: time.Second}}
		g := &generator{connect: f.connect, deadline: time.Second, most: 10}
		g.drive(t.Context(), list, 2*time.Second)
		if list[0].took != 41*time.Millisecond || list[1].took != time.Millisecond {
			t.Errorf("took %v and %v: the time to connect belongs to the first request, which found no connection", list[0].took, list[1].took)
		}
	})
}

func TestClientGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: time.Hour}
		list := schedule(shape{{1, time.Second}}, 100, true, 1)
		g := &generator{connect: f.connect, deadline: 250 * time.Millisecond, most: 1000}
		start := time.Now()
		g.drive(t.Context(), list, time.Second)
		for _, r := range list {
			if r.outcome != late || r.took != 250*time.Millisecond {
				t.Fatalf("outcome %d after %v", r.outcome, r.took)
			}
		}
		if took := time.Since(start); took > 1250*time.Millisecond {
			t.Errorf("the run took %v", took)
		}
		if n := f.most.Load(); n < 25 || n > 26 {
			t.Errorf("%d connections for 100 requests a second of 250 ms", n)
		}
	})
}

func TestRequestsWithoutAConnectionLeftAreCountedAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 100 * time.Millisecond}
		list := schedule(shape{{1, time.Second}}, 1000, true, 1)
		g := &generator{connect: f.connect, deadline: time.Second, most: 10}
		g.drive(t.Context(), list, time.Second)
		m := &measured{capacity: 1000, shape: shape{{1, time.Second}}, deadline: time.Second, list: list, reached: time.Second}
		got := m.figure()
		if o := got.Outcomes; o.Good != 100 || o.Overflow != 900 {
			t.Errorf("outcomes %+v of 1000 requests on 10 connections of 10 a second each", o)
		}
		if *got.ClassSuccess.Critical > .2 {
			t.Errorf("requests that were not sent are missing in the success: %v", *got.ClassSuccess.Critical)
		}
		if f.most.Load() > 10 {
			t.Errorf("%d connections", f.most.Load())
		}
	})
}

func TestInterruptedRunEndsAtOnceAndCountsOnlyWhatWasDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := shape{{.5, 2 * time.Second}, {1, 2 * time.Second}}
		list := schedule(s, 100, true, 1)
		f := &fake{takes: 200 * time.Millisecond}
		g := &generator{connect: f.connect, deadline: 500 * time.Millisecond, most: 1000}
		start := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		reached := g.drive(ctx, list, s.total())
		if took := time.Since(start); took != reached || took > 3*time.Second+50*time.Millisecond {
			t.Errorf("ended after %v, says %v", took, reached)
		}
		m := &measured{capacity: 100, shape: s, deadline: g.deadline, list: list, reached: reached, interrupted: true}
		got := m.figure()
		if !got.Interrupted || len(got.Phases) != 2 || *got.Phases[0].GoodputRatio != .5 || *got.GoodputRatio < .99 {
			t.Errorf("%+v", got)
		}
		if o := got.Outcomes; o.Good < 145 || o.Good > 155 || o.Late+o.Failed+o.Overflow > 0 {
			t.Errorf("outcomes %+v", o)
		}
	})
}

func TestSaturateMeasuresTheClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 10 * time.Millisecond}
		if rps := saturate(t.Context(), f.connect, 7, effort{100 * time.Millisecond, time.Second}); rps < 690 || rps > 710 {
			t.Errorf("%v a second, want 700", rps)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if rps := saturate(ctx, f.connect, 7, effort{100 * time.Millisecond, time.Second}); rps != 0 {
			t.Errorf("interrupted, but %v", rps)
		}
	})
}

// scarce is a service that serves so many at a time.
type scarce struct {
	slots chan struct{}
	takes time.Duration
}

func (s *scarce) connect(ctx context.Context) connection { return &scarceConnection{ctx, s} }

type scarceConnection struct {
	ctx context.Context
	s   *scarce
}

func (c *scarceConnection) do(kind, time.Time) (int, error) {
	select {
	case c.s.slots <- struct{}{}:
	case <-c.ctx.Done():
		return 0, c.ctx.Err()
	}
	time.Sleep(c.s.takes)
	<-c.s.slots
	return 200, nil
}

func (c *scarceConnection) close() {}

func TestClimbFindsTheCapacityOfAnUnknownService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scarce{slots: make(chan struct{}, 8), takes: 10 * time.Millisecond}
		most := 0
		rps := climb(t.Context(), s.connect, effort{55 * time.Millisecond, 5 * time.Second}, func(n int, _ float64) { most = n })
		if rps < 780 || rps > 820 {
			t.Errorf("%v a second, want 800", rps)
		}
		if most != 32 {
			t.Errorf("it ended with %d at a time, want two doublings beyond 8", most)
		}
	})
}

func TestSettleWaitsForAServiceThatIsStillBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 10 * time.Millisecond}
		calm, ok := pulse(t.Context(), f.connect)
		if !ok || calm != 10*time.Millisecond {
			t.Fatal(calm, ok)
		}
		start := time.Now()
		f.stall = start.Add(7 * time.Second)
		if !settle(t.Context(), f.connect, calm, 30*time.Second) {
			t.Error("never calm")
		}
		if took := time.Since(start); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("took %v", took)
		}
		f.stall = time.Now().Add(time.Hour)
		if settle(t.Context(), f.connect, calm, 30*time.Second) {
			t.Error("calm while it stalls")
		}
	})
}

func TestJudgeSaysWhatAnAnswerIsWorth(t *testing.T) {
	const deadline = time.Second
	cases := []struct {
		status int
		err    error
		took   time.Duration
		want   outcome
	}{
		{200, nil, deadline, good},
		{204, nil, 0, good},
		{302, nil, 0, good},
		{200, nil, deadline + 1, late},
		{0, os.ErrDeadlineExceeded, deadline, late},
		{0, context.DeadlineExceeded, deadline, late},
		{0, io.ErrUnexpectedEOF, 0, failed},
		{0, errors.New("refused"), 0, failed},
		{503, nil, 0, refused},
		{429, nil, 0, refused},
		{503, nil, deadline + 1, late},
		{500, nil, 0, failed},
		{404, nil, 0, failed},
	}
	for _, c := range cases {
		if got := judge(c.status, c.err, c.took, deadline); got != c.want {
			t.Errorf("%d, %v after %v: %d, want %d", c.status, c.err, c.took, got, c.want)
		}
	}
}
