package breaker

import (
	"fmt"
	"slices"
	"strings"
)

// namedKeys is how many keys a DegradedError names.
const namedKeys = 10

// DegradedError says that some circuits are not closed.
type DegradedError struct {
	// Name is that of the Breaker.
	Name string
	// Forced says that the Breaker as a whole is forced open.
	Forced bool
	// Circuits is how many are open or half-open, Keys names the first ten of
	// them, sorted; the circuit of requests that have no key is "".
	Circuits int
	Keys     []string
}

// Error says how many circuits are not closed, and names some.
func (e *DegradedError) Error() string {
	name := "breaker"
	if e.Name != "" {
		name += ": " + e.Name
	}
	if e.Forced {
		return name + ": forced open"
	}
	if len(e.Keys) == 1 && e.Keys[0] == "" {
		return name + ": open"
	}
	quoted := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		quoted[i] = fmt.Sprintf("%q", k)
	}
	more := ""
	if e.Circuits > len(e.Keys) {
		more = ", ..."
	}
	return fmt.Sprintf("%s: %d open: %s%s", name, e.Circuits, strings.Join(quoted, ", "), more)
}

// Degraded returns nil while all circuits are closed, and a *[DegradedError]
// while one is open, half-open or forced open. It is for a health check: what is
// behind the breaker is in trouble, and the service itself is not, so report it
// as degraded and do not fail. An instance that is taken out of service because
// something that all of them share is down helps nobody.
//
// A circuit that nobody has asked for since long after its open time does not
// count, nor does any that is disabled, in the shadow or forced closed.
func (b *Breaker) Degraded() error {
	e := &DegradedError{Name: b.set.name, Forced: b.Mode() == ForcedOpen}
	note := func(key string) {
		e.Circuits++
		e.Keys = append(e.Keys, key)
	}
	if own := b.ownModes.Load(); own != nil {
		for key, mode := range *own {
			if mode == ForcedOpen {
				note(key)
			}
		}
	}
	b.each(func(c *circuit) {
		if c.gate.Load()&1 != 0 && c.mode() == Automatic && c.troubled() {
			note(c.key)
		}
	})
	if e.Circuits == 0 && !e.Forced {
		return nil
	}
	slices.Sort(e.Keys)
	e.Keys = e.Keys[:min(len(e.Keys), namedKeys)]
	return e
}

// mode is the one that holds for the circuit. A shared one serves many keys.
func (c *circuit) mode() Mode {
	if c.shared {
		return c.b.Mode()
	}
	return c.b.modeOf(c.key)
}

// troubled says whether the circuit is not closed, and somebody cares.
func (c *circuit) troubled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state != Closed && !c.stale(c.b.now())
}
