//go:build race

package sim

// RaceEnabled reports whether this program was built with the race detector,
// under which a simulation takes five to ten times as long. Tests shorten
// their scenarios by it.
const RaceEnabled = true
