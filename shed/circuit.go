package shed

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// CircuitState is the state of the circuit strategy.
type CircuitState uint8

const (
	// CircuitClosed lets everything in.
	CircuitClosed CircuitState = iota
	// CircuitOpen sheds everything until the cool-down is over.
	CircuitOpen
	// CircuitProbing lets in a trickle.
	CircuitProbing
)

// String returns "closed", "open" or "probing".
func (s CircuitState) String() string {
	switch s {
	case CircuitOpen:
		return "open"
	case CircuitProbing:
		return "probing"
	default:
		return "closed"
	}
}

// circuit is the state machine of the circuit strategy: closed until enough
// signals have been over their thresholds for the hold time, open for the
// cool-down, probing until the signals have stayed below for the probe time,
// open again where they do not.
type circuit struct {
	mu      sync.Mutex
	state   CircuitState
	since   time.Duration // of the state
	overAt  time.Duration // since when enough signals are over, while over
	over    bool
	limiter *rate.Limiter // while probing
	notify  func(from, to CircuitState)
}

// admit moves the machine on to now, where over says how many signals are over
// their thresholds, and decides for one request.
func (c *circuit) admit(now time.Duration, over int, set CircuitSettings) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch(now, over >= set.Signals)
	switch c.state {
	case CircuitClosed:
		if c.over && now-c.overAt >= set.Hold {
			c.enter(CircuitOpen, now)
		}
	case CircuitOpen:
		if now-c.since >= set.CoolDown {
			c.enter(CircuitProbing, now)
			c.limiter = rate.NewLimiter(rate.Limit(set.Probes), max(1, int(set.Probes/10)))
		}
	case CircuitProbing:
		switch {
		case c.over && now-max(c.overAt, c.since) >= set.Hold:
			c.enter(CircuitOpen, now)
		case !c.over && now-c.since >= set.ProbeFor:
			c.enter(CircuitClosed, now)
		}
	}
	switch c.state {
	case CircuitOpen:
		return false
	case CircuitProbing:
		return c.limiter.Allow()
	default:
		return true
	}
}

func (c *circuit) watch(now time.Duration, over bool) {
	if over && !c.over {
		c.overAt = now
	}
	c.over = over
}

func (c *circuit) enter(state CircuitState, now time.Duration) {
	from := c.state
	c.state, c.since = state, now
	if c.notify != nil {
		c.notify(from, state)
	}
}

// current returns the state as it stands and how long it has lasted.
func (c *circuit) current(now time.Duration) (CircuitState, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, now - c.since
}
