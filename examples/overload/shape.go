package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// phase is a stretch of time with one offered load.
type phase struct {
	ratio float64 // offered load as a multiple of the measured capacity
	long  time.Duration
}

// shape is the course of the offered load.
type shape []phase

// The bounds keep one run within what a desk machine can hold in memory.
const (
	maxPhases   = 64
	maxRatio    = 100
	minPhase    = 100 * time.Millisecond
	maxShape    = time.Hour
	maxArrivals = 5_000_000
)

// spike is the default shape: half of capacity for a sixth of the time, five
// times for half of it, and half again for the rest.
func spike(total time.Duration) shape {
	before, during := total/6, total/2
	return shape{{.5, before}, {5, during}, {.5, total - before - during}}
}

// parseShape reads "0.5:5s,5:10s,0.5:10s".
func parseShape(text string) (shape, error) {
	var s shape
	for part := range strings.SplitSeq(text, ",") {
		ratio, long, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok {
			return nil, fmt.Errorf("%q is no load and time", part)
		}
		r, err := strconv.ParseFloat(ratio, 64)
		if err != nil || !(r > 0 && r <= maxRatio) {
			return nil, fmt.Errorf("the load %q is no number above 0 and up to %d", ratio, maxRatio)
		}
		d, err := time.ParseDuration(long)
		if err != nil || d < minPhase || d > maxShape {
			return nil, fmt.Errorf("the time %q is no duration between %v and %v", long, minPhase, maxShape)
		}
		if s = append(s, phase{r, d}); len(s) > maxPhases {
			return nil, fmt.Errorf("there are more than %d steps", maxPhases)
		}
	}
	if total := s.total(); total > maxShape {
		return nil, fmt.Errorf("the steps last %v together, more than %v", total, maxShape)
	}
	return s, nil
}

func (s shape) String() string {
	var b strings.Builder
	for i, p := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%g:%v", p.ratio, p.long)
	}
	return b.String()
}

// describe is the shape for a reader.
func (s shape) describe() string {
	steps := make([]string, len(s))
	for i, p := range s {
		steps[i] = fmt.Sprintf("%g× capacity for %v", p.ratio, p.long)
	}
	return strings.Join(steps, ", then ")
}

func (s shape) total() time.Duration {
	var d time.Duration
	for _, p := range s {
		d += p.long
	}
	return d
}

// start is when phase i begins.
func (s shape) start(i int) time.Duration { return s[:i].total() }

// at is the index of the phase that t lies in; the last one once all is over.
func (s shape) at(t time.Duration) int {
	for i, p := range s {
		if t < p.long {
			return i
		}
		t -= p.long
	}
	return len(s) - 1
}

// overload is the index of the phase that the headline figures are taken
// over: the heaviest one, the first of equals.
func (s shape) overload() int {
	heaviest := 0
	for i, p := range s {
		if p.ratio > s[heaviest].ratio {
			heaviest = i
		}
	}
	return heaviest
}

// after is when the last phase at or above capacity has ended, and false
// where there is none or the shape ends with it.
func (s shape) after() (time.Duration, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].ratio >= 1 {
			return s.start(i + 1), i < len(s)-1
		}
	}
	return 0, false
}

// arrivals estimates how many requests the shape takes at this capacity.
func (s shape) arrivals(capacity float64) float64 {
	n := 0.0
	for _, p := range s {
		n += p.ratio * capacity * p.long.Seconds()
	}
	return math.Ceil(n)
}
