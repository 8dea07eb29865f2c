package httpwrap

import "testing"

// barrier shows a recorder, as the writer of an attempt does.
type barrier struct {
	*bare
	rec *Recorder
}

func (b barrier) Exchange() *Recorder { return b.rec }

func TestAnAttemptKeepsItsOutcomeAndItsClaims(t *testing.T) {
	_, outer, _ := Wrap(newBare())
	defer outer.Release()
	further, owner := new(int), new(int)
	outer.Claim(further)
	var first, second Recorder
	first.AttemptOf(outer)
	second.AttemptOf(outer)
	for i, rec := range []*Recorder{&first, &second} {
		w := barrier{newBare(), rec}
		_, inner, _ := Wrap(w)
		if inner.Claim(further) {
			t.Errorf("attempt %d: claimed what is further out", i+1)
		}
		if !inner.Claim(owner) || inner.Claim(owner) {
			t.Errorf("attempt %d: not claimed once", i+1)
		}
		if got := rec.Outcome(); got != None {
			t.Errorf("attempt %d begins with %v", i+1, got)
		}
		inner.SetOutcome(Outcome(i + 1))
		if got := Find(w).Outcome(); got != Outcome(i+1) {
			t.Errorf("attempt %d has %v", i+1, got)
		}
		inner.Release()
	}
	if got := outer.Outcome(); got != None {
		t.Errorf("an attempt's outcome is known outside as %v", got)
	}
	if !outer.Claim(owner) {
		t.Error("an attempt's claim is one of the whole exchange")
	}
	var alone Recorder
	alone.AttemptOf(nil)
	alone.SetOutcome(Shed)
	if alone.Outcome() != Shed || !alone.Claim(owner) || alone.Claim(owner) {
		t.Error("an attempt without anything outside does not work")
	}
}
