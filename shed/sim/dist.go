package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Dist is a distribution of durations. The constructors of this package make
// the usual ones; a Dist of one's own must be safe for use by one simulation
// at a time and take its randomness from r alone, or runs cannot be repeated.
type Dist interface {
	// Mean is the exact mean; capacities are computed from it.
	Mean() time.Duration
	// Draw returns the next value, never below 0.
	Draw(r *rand.Rand) time.Duration
}

// checker is a Dist that can tell a wrong parameter.
type checker interface{ fault() string }

// longest bounds every duration of a scenario: sums of them stay far from the
// end of int64.
const longest = 24 * time.Hour

type constant time.Duration

// Constant always takes d, 0 to 24 h.
func Constant(d time.Duration) Dist { return constant(d) }

func (c constant) Mean() time.Duration           { return time.Duration(c) }
func (c constant) Draw(*rand.Rand) time.Duration { return time.Duration(c) }
func (c constant) String() string                { return fmt.Sprintf("Constant(%v)", time.Duration(c)) }
func (c constant) fault() string                 { return outside(time.Duration(c), 0) }

type exponential time.Duration

// Exponential is memoryless, coefficient of variation 1, with this mean, above
// 0 and up to 24 h.
func Exponential(mean time.Duration) Dist { return exponential(mean) }

func (e exponential) Mean() time.Duration { return time.Duration(e) }
func (e exponential) Draw(r *rand.Rand) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(e))
}
func (e exponential) String() string { return fmt.Sprintf("Exponential(%v)", time.Duration(e)) }
func (e exponential) fault() string  { return outside(time.Duration(e), 1) }

type logNormal struct {
	mean      time.Duration
	cv        float64
	mu, sigma float64
}

// LogNormal has many quick values and a long tail, like most real services:
// mean above 0 and up to 24 h, coefficient of variation cv from 0 to 10.
func LogNormal(mean time.Duration, cv float64) Dist {
	s2 := math.Log1p(cv * cv)
	return logNormal{mean, cv, math.Log(float64(mean)) - s2/2, math.Sqrt(s2)}
}

func (l logNormal) Mean() time.Duration { return l.mean }
func (l logNormal) Draw(r *rand.Rand) time.Duration {
	// The cut, 24 h, is beyond anything that a valid mean reaches in practice
	// and keeps sums of durations finite.
	return time.Duration(min(math.Exp(l.mu+l.sigma*r.NormFloat64()), float64(longest)))
}
func (l logNormal) String() string { return fmt.Sprintf("LogNormal(%v, %v)", l.mean, l.cv) }
func (l logNormal) fault() string {
	if !(l.cv >= 0 && l.cv <= 10) {
		return "the coefficient of variation must be between 0 and 10"
	}
	return outside(l.mean, 1)
}

type bimodal struct {
	fast, slow Dist
	share      float64
}

// Bimodal draws from slow with probability share, 0 to 1, otherwise from fast:
// a cache with misses, an endpoint that sometimes writes.
func Bimodal(fast, slow Dist, share float64) Dist { return bimodal{fast, slow, share} }

func (b bimodal) Mean() time.Duration {
	if b.fast == nil || b.slow == nil {
		return 0
	}
	return time.Duration((1-b.share)*float64(b.fast.Mean()) + b.share*float64(b.slow.Mean()))
}
func (b bimodal) Draw(r *rand.Rand) time.Duration {
	if r.Float64() < b.share {
		return b.slow.Draw(r)
	}
	return b.fast.Draw(r)
}
func (b bimodal) String() string {
	return fmt.Sprintf("Bimodal(%v, %v, %v)", b.fast, b.slow, b.share)
}
func (b bimodal) fault() string {
	if !(b.share >= 0 && b.share <= 1) {
		return "the share of slow ones must be between 0 and 1"
	}
	for _, d := range []Dist{b.fast, b.slow} {
		if d == nil {
			return "needs two distributions"
		}
		if c, ok := d.(checker); ok {
			if reason := c.fault(); reason != "" {
				return reason
			}
		}
	}
	return ""
}

func outside(d, least time.Duration) string {
	if d < least || d > longest {
		return fmt.Sprintf("must be between %v and %v", least, longest)
	}
	return ""
}
