package gates

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets garbage pile up a little: the simulations make much of it, and
// there is nothing else in this process.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
