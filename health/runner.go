package health

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// check is a registered check. What follows the first lines is guarded by
// Health.mu.
type check struct {
	name   string
	run    func(context.Context) error
	set    checkSettings
	ctx    context.Context
	cancel context.CancelFunc

	removed bool
	verdict
	state Status
	// shown is the status that transitions were told of.
	shown Status
	// passed says that it has passed once since it was added; a check of Startup
	// alone is not run any more then.
	passed bool

	addedAt time.Duration
	// returnedAt is when the last run gave a result in time or ran out of it, and
	// addedAt until then.
	returnedAt time.Duration

	// concern is the last result that was not a pass, and text says it.
	concern error
	text    string
	stuck   bool

	measured    []Observation
	at          time.Time // of the last result
	took        time.Duration
	lastSuccess time.Time

	counts struct{ runs, passes, warnings, failures, timeouts, panics, skipped, transitions uint64 }
}

// result is what one run came to.
type result struct {
	err      error
	text     string
	level    Status
	measured []Observation
	took     time.Duration
}

// begun is a run that is under way.
type begun struct {
	at      time.Duration
	over    context.CancelFunc
	done    chan result
	overdue bool // it has been counted as a failure
}

// start has the check run. It is called with the lock held.
func (h *Health) start(c *check) { h.runners.Go(func() { h.watch(c) }) }

// watch runs a check again and again. It never waits for a run alone: one that
// hangs is counted as a failure at each interval, and nothing is begun in its
// place.
func (h *Health) watch(c *check) {
	run := h.launch(c)
	timeout := time.NewTimer(c.set.timeout)
	next := time.NewTimer(c.set.interval())
	defer timeout.Stop()
	defer next.Stop()
	again := func() {
		run = h.launch(c)
		timeout.Reset(c.set.timeout)
	}
	due := false
	var done chan result
	for {
		done = nil
		if run != nil {
			done = run.done
		}
		select {
		case <-c.ctx.Done():
			if run != nil {
				run.over()
			}
			return
		case r := <-done:
			timeout.Stop()
			run.over()
			late := run.overdue || r.took >= c.set.timeout
			finished := h.record(c, run, r)
			run = nil
			if finished {
				return
			}
			if late && due {
				again() // it was stuck, or the process frozen, and what is known is old
			}
			due = false
		case <-timeout.C:
			if run != nil {
				run.over()
				run.overdue = true
				h.overdue(c, run)
			}
		case <-next.C:
			next.Reset(c.set.interval())
			switch {
			case run == nil:
				again()
			case run.overdue:
				due = true
				h.overdue(c, run)
			default: // its timeout is longer than the interval
				due = true
				h.skip(c)
			}
		}
	}
}

func (s *checkSettings) interval() time.Duration {
	return time.Duration(float64(s.every) * (1 + s.jitter*(2*rand.Float64()-1)))
}

// launch begins a run on a goroutine of its own, which is all that a run can
// take with it.
func (h *Health) launch(c *check) *begun {
	measured := &observations{}
	ctx, over := context.WithTimeout(context.WithValue(c.ctx, observationsKey{}, measured), c.set.timeout)
	b := &begun{at: h.now(), over: over, done: make(chan result, 1)}
	h.mu.Lock()
	c.counts.runs++
	h.mu.Unlock()
	go func() {
		var r result
		returned, late := false, false
		defer func() {
			if !returned {
				r = ended(recover())
			}
			r.took = h.now() - b.at
			if late && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				r = result{err: &TimeoutError{After: r.took}, level: Fail, took: r.took}
				r.text = r.err.Error()
			}
			r.measured = measured.take()
			b.done <- r
		}()
		// The methods of an error are the user's as well, and so asked here.
		r.err = c.run(ctx)
		r.level = level(r.err)
		if r.err != nil {
			r.text = printable(r.err.Error())
		}
		late = r.err == nil || errors.Is(r.err, context.DeadlineExceeded)
		returned = true
	}()
	return b
}

// ended is the result of a run that did not return.
func ended(panicked any) result {
	if panicked == nil {
		return result{err: ErrGoexit, text: ErrGoexit.Error(), level: Fail}
	}
	stack := debug.Stack()
	err := &PanicError{Value: panicked, Stack: stack[:min(len(stack), 16<<10)]}
	return result{err: err, text: panicText(err), level: Fail}
}

// panicText is the text of a panic, also where that cannot tell it.
func panicText(err *PanicError) (text string) {
	defer func() {
		if recover() != nil {
			text = "panic"
		}
	}()
	return printable(err.Error())
}

// record counts a result, and says whether the check is over with it.
func (h *Health) record(c *check, run *begun, r result) (finished bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.removed || h.closed {
		return true
	}
	now := h.now()
	c.stuck = false
	// A process that was frozen meanwhile knows nothing new.
	c.returnedAt = max(c.returnedAt, min(now, run.at+c.set.timeout))
	c.at, c.took, c.measured = h.set.clock(), r.took, r.measured
	if run.overdue {
		// It has failed already, whatever it says now.
		h.publish()
		return false
	}
	switch r.err.(type) {
	case *TimeoutError:
		c.counts.timeouts++
	case *PanicError:
		c.counts.panics++
	}
	switch r.level {
	case Pass:
		c.counts.passes++
		c.lastSuccess = c.at
	case Warn:
		c.counts.warnings++
		c.lastSuccess = c.at
	default:
		c.counts.failures++
	}
	h.judge(c, r.level, r.err, r.text, now)
	if r.level != Fail && (c.state == Pass || c.state == Warn) {
		c.passed = true
	}
	h.publish()
	return c.passed && c.set.groups == Startup
}

// overdue counts a run that did not return in time, or still has not.
func (h *Health) overdue(c *check, run *begun) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.removed || h.closed {
		return
	}
	now := h.now()
	err := &TimeoutError{After: now - run.at, Stuck: c.stuck}
	c.counts.failures++
	c.counts.timeouts++
	h.judge(c, Fail, err, err.Error(), now)
	// The time it gets to notice that its context is over is until the next look.
	c.stuck = true
	c.at, c.took, c.measured = h.set.clock(), err.After, nil
	h.publish()
}

func (h *Health) skip(c *check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.counts.skipped++
}

// judge lets a result count for the state.
func (h *Health) judge(c *check, level Status, err error, text string, now time.Duration) {
	if level != Pass {
		c.concern, c.text = err, text
	}
	c.state = c.verdict.of(c.state, level, c.set.failAfter, c.set.passAfter, now < c.addedAt+c.set.grace)
}
