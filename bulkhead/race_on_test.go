//go:build race

package bulkhead

// RaceEnabled says that this binary was built with the race detector, under
// which allocations cannot be counted and everything takes longer.
const RaceEnabled = true

// Either is how much a test does, which is less under the race detector.
func Either[T any](usually, underRace T) T { return underRace }
