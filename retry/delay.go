package retry

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// growth is how delays change from one attempt to the next.
type growth uint8

const (
	fixed growth = iota
	linear
	exponential
	custom
)

var growthNames = [...]string{"fixed", "linear", "exponential", "custom"}

func (g growth) String() string { return growthNames[g] }

// schedule says how long to wait after each failed attempt.
type schedule struct {
	growth       growth
	initial, max time.Duration
	factor       float64
	fn           func(attempt int) time.Duration
	jitter       Jitter
}

// begin returns the delays of one request, in order and without jitter.
func (s *schedule) begin() backoff.BackOff {
	switch s.growth {
	case fixed:
		return backoff.NewConstantBackOff(s.initial)
	case exponential:
		return backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(s.initial),
			backoff.WithMaxInterval(s.max),
			backoff.WithMultiplier(s.factor),
			backoff.WithRandomizationFactor(0), // see Jitter
			backoff.WithMaxElapsedTime(0),
		)
	default:
		return &counted{schedule: s}
	}
}

// counted is the [backoff.BackOff] of delays that depend on the number of the
// attempt.
type counted struct {
	*schedule
	attempt int
}

func (c *counted) Reset() { c.attempt = 0 }

func (c *counted) NextBackOff() time.Duration {
	c.attempt++
	if c.growth == custom {
		return c.fn(c.attempt)
	}
	if int64(c.attempt) > int64(c.max/c.initial) {
		return c.max
	}
	return time.Duration(c.attempt) * c.initial
}

// next is the delay before the next attempt, never negative and never above
// the maximum, whatever a function of the user's returns.
func (s *schedule) next(delays backoff.BackOff) time.Duration {
	d := min(max(delays.NextBackOff(), 0), s.max)
	return min(max(s.jitter.apply(d, rand.Float64()), 0), s.max)
}

// Jitter spreads delays, so that clients which failed together do not come back
// together. The zero value is NoJitter; PlusMinus makes further ones.
type Jitter float64

const (
	// NoJitter leaves delays as they are.
	NoJitter Jitter = 0
	// FullJitter draws evenly from 0 up to the delay.
	FullJitter Jitter = -1
	// EqualJitter draws evenly from half the delay up to the delay.
	EqualJitter Jitter = -2
)

// PlusMinus draws evenly from share below the delay to share above it: 0.1 is
// ten percent either way. What is above the maximum delay is cut to it. The
// share is 0 to 1; any other is a fault of [WithJitter].
func PlusMinus(share float64) Jitter {
	if !(share >= 0 && share <= 1) {
		return Jitter(math.NaN())
	}
	return Jitter(share)
}

func (j Jitter) valid() bool { return j == FullJitter || j == EqualJitter || j >= 0 && j <= 1 }

// String returns the kind, such as "full" or "±10%".
func (j Jitter) String() string {
	switch {
	case j == NoJitter:
		return "none"
	case j == FullJitter:
		return "full"
	case j == EqualJitter:
		return "equal"
	case j.valid():
		return fmt.Sprintf("±%g%%", float64(j)*100)
	}
	return "invalid"
}

// apply spreads d by a draw from 0 to 1.
func (j Jitter) apply(d time.Duration, draw float64) time.Duration {
	f := float64(d)
	switch j {
	case NoJitter:
		return d
	case FullJitter:
		f *= draw
	case EqualJitter:
		f *= 0.5 + draw/2
	default:
		f *= 1 + float64(j)*(2*draw-1)
	}
	return time.Duration(f)
}
