package sim

import "github.com/handrail-go/handrail/internal/race"

// RaceEnabled reports whether this program was built with the race detector,
// under which a simulation takes five to ten times as long. Tests shorten
// their scenarios by it.
const RaceEnabled = race.Enabled
