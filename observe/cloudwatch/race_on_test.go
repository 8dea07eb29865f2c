//go:build race

package cloudwatch_test

// Under the race detector allocations cannot be counted, and everything takes
// longer.
const raceEnabled = true
