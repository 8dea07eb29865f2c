package breaker

import (
	"maps"

	"github.com/handrail-go/handrail/internal/keyed"
)

// Mode says whether the state of a circuit is heeded. It can be changed while
// requests are served, for all of a Breaker or for a single key, whose own mode
// goes before that of the Breaker.
//
// A mode is no state: underneath, the state stays what it is, and what was let
// in before a change still counts. Use Reset to start anew.
type Mode uint8

const (
	// Automatic lets the state decide. It is the zero Mode.
	Automatic Mode = iota
	// ForcedOpen refuses everything.
	ForcedOpen
	// ForcedClosed lets everything through. Results are counted in the
	// statistics, and change no state.
	ForcedClosed
	// Disabled lets everything through and does not even look.
	Disabled
	// Shadow keeps the state and all figures as Automatic does, and refuses
	// nobody: what would have been refused is counted and let through, and its
	// result changes no state.
	Shadow

	modes = iota
)

var modeNames = [modes]string{"automatic", "forced_open", "forced_closed", "disabled", "shadow"}

// String returns the mode in lower case with an underscore, "unknown" for
// anything else.
func (m Mode) String() string {
	if m >= modes {
		return "unknown"
	}
	return modeNames[m]
}

// Mode is that of the Breaker, for keys without one of their own.
func (b *Breaker) Mode() Mode { return Mode(b.mode.Load()) }

// SetMode changes the mode of the Breaker. It panics where m is none.
func (b *Breaker) SetMode(m Mode) {
	checkMode(m)
	b.mode.Store(uint32(m))
}

// ForceOpen refuses everything from here on: SetMode(ForcedOpen).
func (b *Breaker) ForceOpen() { b.SetMode(ForcedOpen) }

// ForceClosed lets everything through from here on: SetMode(ForcedClosed).
func (b *Breaker) ForceClosed() { b.SetMode(ForcedClosed) }

// Disable takes the Breaker out of the way: SetMode(Disabled).
func (b *Breaker) Disable() { b.SetMode(Disabled) }

// Shadow only watches from here on: SetMode(Shadow).
func (b *Breaker) Shadow() { b.SetMode(Shadow) }

// Automatic goes back to deciding by state: SetMode(Automatic).
func (b *Breaker) Automatic() { b.SetMode(Automatic) }

// Reset closes all circuits and has them start anew. What is under way counts
// no more. Modes stay.
func (b *Breaker) Reset() { b.each((*circuit).reset) }

// Key is the part of the Breaker that belongs to a key. Keys are cut to
// [handrail.MaxKeyLen] bytes.
func (b *Breaker) Key(key string) KeyControl { return KeyControl{b, keyed.Cut(key)} }

// KeyControl changes what a Breaker does for one key.
type KeyControl struct {
	b   *Breaker
	key string
}

// Mode is the mode that holds for the key.
func (k KeyControl) Mode() Mode { return k.b.modeOf(k.key) }

// State is the state of the key's circuit now, for whoever chooses among several
// that could serve a request, such as a balancer. It costs a look-up and no
// allocation, and does not count as a use of the key.
//
// A circuit whose open time is over is HalfOpen, although nobody has asked for it
// yet, while Stats calls it Open until a request does: so who passes over what is
// Open gives it its probe. HalfOpen promises nothing: while all probes are under
// way, a request is refused. A key without a circuit of its own, because nobody
// asked for it, or it was forgotten, or it shares one, is Closed. The mode is not
// heeded, see Mode.
func (k KeyControl) State() State {
	if k.key == "" && k.b.set.key == nil {
		return k.b.one.stateNow()
	}
	ref, ok := k.b.keyed.Find(k.key)
	if !ok {
		return Closed
	}
	defer ref.Release()
	return ref.Value().stateNow()
}

// SetMode gives the key a mode of its own, until Follow. It takes effect also
// while the key shares a circuit. It is remembered whatever the bound on keys,
// so it is nothing to be done for keys from outside. It panics where m is none.
func (k KeyControl) SetMode(m Mode) {
	checkMode(m)
	k.change(func(own map[string]Mode) { own[k.key] = m })
}

// ForceOpen refuses everything of this key: SetMode(ForcedOpen).
func (k KeyControl) ForceOpen() { k.SetMode(ForcedOpen) }

// ForceClosed lets everything of this key through: SetMode(ForcedClosed).
func (k KeyControl) ForceClosed() { k.SetMode(ForcedClosed) }

// Disable does nothing for this key: SetMode(Disabled).
func (k KeyControl) Disable() { k.SetMode(Disabled) }

// Shadow only watches this key: SetMode(Shadow).
func (k KeyControl) Shadow() { k.SetMode(Shadow) }

// Automatic decides by state for this key: SetMode(Automatic).
func (k KeyControl) Automatic() { k.SetMode(Automatic) }

// Follow takes the key's own mode back: that of the Breaker holds again.
func (k KeyControl) Follow() {
	k.change(func(own map[string]Mode) { delete(own, k.key) })
}

// Reset closes the circuit of this key and has it start anew. A key that has
// no circuit of its own is left alone.
func (k KeyControl) Reset() {
	if k.key == "" && k.b.set.key == nil {
		k.b.one.reset()
	}
	if ref, ok := k.b.keyed.Find(k.key); ok {
		defer ref.Release()
		ref.Value().reset()
	}
}

func (k KeyControl) change(edit func(map[string]Mode)) {
	k.b.changing.Lock()
	defer k.b.changing.Unlock()
	own := map[string]Mode{}
	if old := k.b.ownModes.Load(); old != nil {
		own = maps.Clone(*old)
	}
	edit(own)
	if len(own) == 0 {
		k.b.ownModes.Store(nil)
		return
	}
	k.b.ownModes.Store(&own)
}

func (b *Breaker) modeOf(key string) Mode {
	if own := b.ownModes.Load(); own != nil {
		if m, ok := (*own)[key]; ok {
			return m
		}
	}
	return b.Mode()
}

func checkMode(m Mode) {
	if m >= modes {
		panic("breaker: SetMode: not a mode")
	}
}
