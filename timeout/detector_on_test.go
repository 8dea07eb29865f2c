//go:build race

package timeout_test

// either is how much a test does, which is less under the race detector.
func either[T any](usually, underRace T) T { return underRace }
