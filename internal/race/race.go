// Package race tells tests whether the race detector watches them, under which
// allocations cannot be counted and everything takes several times as long.
package race

// Either is how much a test does, which is less under the race detector.
func Either[T any](usually, underRace T) T {
	if Enabled {
		return underRace
	}
	return usually
}
