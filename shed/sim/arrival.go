package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals is how arrivals are spread around their rate.
type Arrivals uint8

const (
	// Poisson arrivals are independent of each other, as those of many
	// unrelated clients are.
	Poisson Arrivals = iota
	// Even arrivals keep the same distance.
	Even
)

// arrivals yields the times of a shape's arrivals in order. It inverts the
// integral of the rate, which is exact for any piecewise linear rate.
type arrivals struct {
	shape Shape
	unit  float64 // requests a second at level 1
	kind  Arrivals
	rng   *rand.Rand

	phase int
	began time.Duration // when the current phase did
	area  float64       // of the current phase, used up so far
	burst int           // arrivals of its burst still to come
}

func newArrivals(shape Shape, unit float64, kind Arrivals, rng *rand.Rand) *arrivals {
	a := &arrivals{shape: shape, unit: unit, kind: kind, rng: rng}
	if len(shape) > 0 {
		a.burst = shape[0].Burst
	}
	return a
}

// next returns the time of the next arrival, or false after the last one.
func (a *arrivals) next() (time.Duration, bool) {
	need := -1.0
	for a.phase < len(a.shape) {
		p := a.shape[a.phase]
		if a.burst > 0 {
			a.burst--
			return a.began, true
		}
		if need < 0 {
			need = 1
			if a.kind == Poisson {
				need = a.rng.ExpFloat64()
			}
		}
		seconds := p.Duration.Seconds()
		from, to := p.From*a.unit, p.To*a.unit
		if all := (from + to) / 2 * seconds; a.area+need >= all {
			need -= all - a.area
			a.area = 0
			a.began += p.Duration
			if a.phase++; a.phase < len(a.shape) {
				a.burst = a.shape[a.phase].Burst
			}
			continue
		}
		a.area += need
		// area = from·t + slope·t²/2, in the form that is stable for a slope
		// near 0 and for from = 0.
		slope := (to - from) / seconds
		t := 2 * a.area / (from + math.Sqrt(max(0, from*from+2*slope*a.area)))
		return a.began + time.Duration(min(t, seconds)*float64(time.Second)), true
	}
	return 0, false
}
