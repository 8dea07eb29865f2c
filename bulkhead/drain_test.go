package bulkhead

import (
	"testing"
	"time"
)

func TestThePaceIsThatOfTheLastSeconds(t *testing.T) {
	var p pace
	if got := p.drain(10, 1, 1); got != 0 {
		t.Errorf("nothing is known, and it says %v", got)
	}
	now, done := time.Duration(0), int64(0)
	run := func(rate int64, lasts time.Duration) {
		for range lasts / (200 * time.Millisecond) {
			now += 200 * time.Millisecond
			done += rate / 5
			p.observe(now, done)
		}
	}
	near := func(got, want time.Duration) {
		t.Helper()
		if got < want*99/100 || got > want*101/100 {
			t.Errorf("%v, want %v", got, want)
		}
	}
	run(100, 10*time.Second)
	near(p.drain(99, 20, 20), time.Second)
	// A tenant that has a quarter of the slots gets a quarter of the pace.
	near(p.drain(99, 5, 20), 4*time.Second)
	run(10, 10*time.Second)
	near(p.drain(99, 20, 20), 10*time.Second)
	// An hour without a refusal says nothing of the pace now.
	now, done = now+time.Hour, done+5
	p.observe(now, done)
	if got := p.drain(99, 20, 20); got != 0 {
		t.Errorf("after an hour it still says %v", got)
	}
	run(100, time.Second)
	near(p.drain(99, 20, 20), time.Second)
	// Nothing is done any more.
	run(0, time.Minute)
	if got := p.drain(99, 20, 20); got > 24*time.Hour || got < time.Hour && got != 0 {
		t.Errorf("while nothing moves it says %v", got)
	}
	if got := p.drain(99, 0, 20); got != 0 {
		t.Errorf("without a slot it says %v", got)
	}
}
