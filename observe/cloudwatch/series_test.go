package cloudwatch

import (
	"testing"
	"time"
)

// What is added after the figures were taken for the last time would never be
// written: it must be refused, so that it can be counted.
func TestALabelSetTakesNothingAfterItWasTakenForTheLastTime(t *testing.T) {
	r := newRegistry(parts{route: true}, 10)
	known := r.of(key{route: "/"})
	if !known.add(time.Second, true, 10) {
		t.Fatal("a request was refused")
	}
	for _, s := range r.all(true) {
		if f := s.take(nil, true); s == known && (f.requests != 1 || f.errors != 1 || len(f.durations) != 1) {
			t.Errorf("the figures are %+v", f)
		}
	}
	if known.add(time.Second, false, 10) || r.of(key{route: "/new"}).add(time.Second, false, 10) {
		t.Error("a request was taken that nobody will write")
	}
}
