package main

import (
	"slices"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

func TestEveryTenantSendsTheSameMixOfClasses(t *testing.T) {
	d := newDeck(newSource(7))
	var count [kinds]int
	for range 200 * 3 {
		count[d.deal()]++
	}
	for k := range allKinds {
		if want := 3 * classCards[k.rank()] * tenantCards[k.tenant()]; count[k] != want {
			t.Errorf("%d of %s from %s, want %d", count[k], k.className(), k.tenantName(), want)
		}
		if kindOf(k.rank(), k.tenant()) != k {
			t.Errorf("kind %d is not what its parts say", k)
		}
	}
}

// The reports say that critical requests alone could all be served and that
// one tenant sends most of the traffic. The traffic has to be like that.
func TestCriticalDemandStaysBelowCapacityInTheDefaultLoad(t *testing.T) {
	all := 0
	for _, n := range classCards {
		all += n
	}
	s := spike(time.Minute)
	if demand := s[s.overload()].ratio * float64(classCards[handrail.Critical.Rank()]) / float64(all); demand > .9 {
		t.Errorf("critical requests alone ask for %.2f of capacity", demand)
	}
	if tenantShare(0) != 80 {
		t.Errorf("the noisy tenant sends %d %%", tenantShare(0))
	}
}

func TestScheduleOffersExactlyTheLoad(t *testing.T) {
	s := shape{{.5, time.Second}, {5, 2 * time.Second}, {.25, time.Second}}
	for _, even := range []bool{false, true} {
		list := schedule(s, 400, even, 1)
		if !slices.IsSortedFunc(list, func(a, b request) int { return int(a.due - b.due) }) {
			t.Errorf("even %v: not in order", even)
		}
		var count [3]int
		for _, r := range list {
			count[r.phase]++
			if s.at(r.due) != int(r.phase) {
				t.Fatalf("due at %v, counted in step %d", r.due, r.phase)
			}
		}
		if count != [3]int{200, 4000, 100} {
			t.Errorf("even %v: %v requests", even, count)
		}
		if !slices.Equal(list, schedule(s, 400, even, 1)) {
			t.Error("the same seed gives another schedule")
		}
		if slices.Equal(list, schedule(s, 400, even, 2)) {
			t.Error("another seed gives the same schedule")
		}
	}
	list := schedule(shape{{1, time.Second}}, 100, true, 1)
	for i, r := range list {
		if want := time.Duration(i)*10*time.Millisecond + 5*time.Millisecond; (r.due - want).Abs() > time.Microsecond {
			t.Fatalf("request %d is due at %v, want %v", i, r.due, want)
		}
	}
}
