package httpwrap

import "testing"

// barrier shows a recorder, as the writer of an attempt does.
type barrier struct {
	*bare
	rec *Recorder
}

func (b barrier) Exchange() *Recorder { return b.rec }

func TestAnAttemptKeepsItsOutcomeAndClaimsForTheWholeExchange(t *testing.T) {
	_, outer, _ := Wrap(newBare())
	defer outer.Release()
	var first, second Recorder
	first.AttemptOf(outer)
	second.AttemptOf(outer)
	owner := new(int)
	for i, rec := range []*Recorder{&first, &second} {
		w := barrier{newBare(), rec}
		_, inner, _ := Wrap(w)
		if got := inner.Claim(owner); got != (i == 0) {
			t.Errorf("attempt %d claimed: %t", i+1, got)
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
	var alone Recorder
	alone.AttemptOf(nil)
	alone.SetOutcome(Shed)
	if alone.Outcome() != Shed || !alone.Claim(owner) || alone.Claim(owner) {
		t.Error("an attempt without anything outside does not work")
	}
}
