//go:build !race

package prom_test

// raceEnabled says that this binary was built with the race detector, under
// which allocations cannot be counted.
const raceEnabled = false
