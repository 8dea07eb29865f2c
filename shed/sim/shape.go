package sim

import "time"

// Phase is a stretch of time with an arrival rate that is constant or changes
// linearly.
type Phase struct {
	// Name is what the phase is called in the result.
	Name string
	// Duration is above 0 and up to 24 h.
	Duration time.Duration
	// From and To are the rates at the beginning and the end, as multiples of
	// [Scenario.Unit], 0 to 1000.
	From, To float64
	// Burst is how many requests arrive at once at the beginning, on top of
	// the rate, up to 1,000,000.
	Burst int
}

// Shape is how the arrival rate changes over time: phases one after the other.
// Shapes are put together with append or [slices.Concat].
type Shape []Phase

// Duration is how long the phases take together.
func (s Shape) Duration() time.Duration {
	var d time.Duration
	for _, p := range s {
		d += p.Duration
	}
	return d
}

// Steady is one phase at one level.
func Steady(d time.Duration, level float64) Shape {
	return Shape{{Name: "steady", Duration: d, From: level, To: level}}
}

// Step goes from one level to another at once.
func Step(before time.Duration, low float64, after time.Duration, high float64) Shape {
	return Shape{
		{Name: "before", Duration: before, From: low, To: low},
		{Name: "after", Duration: after, From: high, To: high},
	}
}

// Spike goes from the low to the high level and back.
func Spike(low, high float64, before, during, after time.Duration) Shape {
	return Shape{
		{Name: "before", Duration: before, From: low, To: low},
		{Name: "spike", Duration: during, From: high, To: high},
		{Name: "after", Duration: after, From: low, To: low},
	}
}

// Ramp goes from one level to another evenly.
func Ramp(d time.Duration, from, to float64) Shape {
	return Shape{{Name: "ramp", Duration: d, From: from, To: to}}
}

// Burst is n requests at once after a while in which nothing arrives, and then
// nothing again.
func Burst(n int, before, after time.Duration) Shape {
	return Shape{
		{Name: "idle", Duration: before},
		{Name: "burst", Duration: after, Burst: n},
	}
}
