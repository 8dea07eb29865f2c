package shed

import (
	"math"
	"sync/atomic"
	"time"
)

// tenantMemory is the time constant over which a tenant's use is forgotten.
const tenantMemory = time.Second

// tenant is what the gate remembers of one tenant. Admissions on the pass path
// are only counted; the rest is guarded by the gate's lock.
type tenant struct {
	admitted atomic.Int64 // since the last fold

	use    float64 // admissions, decayed
	folded time.Duration
	lines  [levels]line
	place  [levels]int // in the floor's list, while the line is not empty
}

// recent is the tenant's recent use: its admissions, each forgotten with the
// time constant tenantMemory.
func (t *tenant) recent(now time.Duration) float64 {
	dt := now - t.folded
	if dt < tenantMemory/100 {
		return t.use + float64(t.admitted.Load()) // nothing to speak of is forgotten
	}
	keep := math.Exp(-float64(dt) / float64(tenantMemory))
	t.use *= keep
	if n := t.admitted.Swap(0); n > 0 {
		// Spread evenly over the time since the last fold.
		t.use += float64(n) * float64(tenantMemory) / float64(dt) * (1 - keep)
	}
	t.folded = now
	return t.use
}

// claim is recent use and what the tenant still waits for at a level.
func (t *tenant) claim(level int, now time.Duration) float64 {
	return t.recent(now) + float64(t.lines[level].n)
}
