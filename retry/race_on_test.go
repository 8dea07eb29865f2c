//go:build race

package retry_test

// raceEnabled says that this binary was built with the race detector, under
// which allocations cannot be counted and everything takes longer.
const raceEnabled = true
