//go:build race

package timeout

// raceEnabled says that this binary was built with the race detector, under
// which everything takes several times as long.
const raceEnabled = true
