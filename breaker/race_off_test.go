//go:build !race

package breaker_test

// raceEnabled says that this binary was built with the race detector, under
// which allocations cannot be counted and everything takes longer.
const raceEnabled = false

// either is how much a test does, which is less under the race detector.
func either[T any](usually, underRace T) T { return usually }
