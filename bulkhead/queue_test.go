package bulkhead_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/keyed"
)

var trusting = bulkhead.WithPriorityHeader("P")

func TestHigherClassesGoFirstAndInsideOfAClassWhoCameFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1), trusting)
		s.send("first")
		want := []string{"first"}
		classes := []string{"critical", "high", "normal", "low", "background"}
		for _, class := range slices.Backward(classes) {
			s.send(class+" 1", "P", class)
		}
		for _, class := range classes {
			s.send(class+" 2", "P", class)
			want = append(want, class+" 1", class+" 2")
		}
		for range want {
			i := slices.IndexFunc(s.all, func(v *visit) bool { return v.inside.Load() })
			s.end(s.all[i], "return")
		}
		if !slices.Equal(s.order, want) {
			t.Errorf("%q", s.order)
		}
	})
}

func TestOnlyWhoGoesFirstComesIntoAFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1), trusting, bulkhead.WithMaxQueue(2))
		s.send("first")
		low1, low2 := s.send("low 1", "P", "low"), s.send("low 2", "P", "low")
		s.expect(s.send("low 3", "P", "low"), "queue_full")
		s.expect(s.send("background", "P", "background"), "queue_full")
		s.expect(s.send("high 1", "P", "high"), "waiting")
		s.expect(low2, "queue_full")
		s.expect(low1, "waiting")
		s.expect(s.send("high 2", "P", "high"), "waiting")
		s.expect(low1, "queue_full")
		s.expect(s.send("high 3", "P", "high"), "queue_full")
	})
}

// flood keeps a single slot taken by high requests, each for 10 ms, and always
// one of them waiting, for so long. It returns when a background request that
// came at the beginning was let in, or -1.
func flood(t *testing.T, lasts time.Duration, opts ...bulkhead.Option) (let time.Duration) {
	let = -1
	bubble(t, func(t *testing.T) {
		s := open(t, append([]bulkhead.Option{bulkhead.Basic(1), trusting, bulkhead.WithMaxWait(time.Minute)}, opts...)...)
		running, next := s.send("high", "P", "high"), s.send("high", "P", "high")
		began := time.Now()
		background := s.send("background", "P", "background")
		for time.Since(began) < lasts {
			time.Sleep(10 * time.Millisecond)
			after := s.send("high", "P", "high")
			s.end(running, "return")
			if background.inside.Load() {
				let = time.Since(began)
				return
			}
			s.expect(next, "inside")
			running, next = next, after
		}
	})
	return let
}

func TestAgeingSeesToItThatBackgroundIsServedAtLast(t *testing.T) {
	// High ones that come up to three intervals later go first.
	if let := flood(t, time.Minute, bulkhead.WithAgeing(time.Second)); let < 3*time.Second || let > 3*time.Second+50*time.Millisecond {
		t.Errorf("let in after %v", let)
	}
	if let := flood(t, 10*time.Second); let < 300*time.Millisecond || let > 350*time.Millisecond {
		t.Errorf("with the default, let in after %v", let)
	}
	if let := flood(t, 50*time.Second, bulkhead.WithAgeing(0)); let != -1 {
		t.Errorf("without ageing it was let in after %v", let)
	}
}

func TestWhoHasWaitedLongDoesNotLoseItsPlaceInAFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(1), trusting, bulkhead.WithMaxQueue(1), bulkhead.WithMaxWait(time.Minute), bulkhead.WithAgeing(time.Second))
		s.send("first")
		background := s.send("background", "P", "background")
		time.Sleep(4*time.Second + 1)
		s.expect(s.send("critical", "P", "critical"), "queue_full")
		s.expect(background, "waiting")
	})
}

func guaranteed(slots ...int) bulkhead.Option {
	table := map[string]int{}
	for i, n := range slots {
		table[string(rune('a'+i))] = n
	}
	return bulkhead.WithGuarantees(table)
}

func TestSlotsOfAnIdleTenantServeOthersAndComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(10), bulkhead.PerTenant(byTenant, 10), guaranteed(4, 6), trusting, bulkhead.WithMaxQueue(20))
		var lent []*visit
		for range 10 {
			v := s.send("b", "T", "b") // six of its own, four of a's
			s.expect(v, "inside")
			lent = append(lent, v)
		}
		for range 5 {
			s.expect(s.send("b critical", "T", "b", "P", "critical"), "waiting")
		}
		for range 4 {
			s.expect(s.send("a", "T", "a", "P", "background"), "waiting")
		}
		for range 3 {
			s.send("a more", "T", "a", "P", "background")
		}
		for i := range 4 {
			s.end(lent[i], "return")
			if got := strings.Join(s.order[10:], ","); got != strings.Repeat("a,", i)+"a" {
				t.Fatalf("after %d were given back, in came %v", i+1, got)
			}
		}
		// a has what it is guaranteed: from here on the class decides.
		s.end(lent[4], "return")
		if got := s.order[14]; got != "b critical" {
			t.Errorf("then %q", got)
		}
	})
}

func TestAGuaranteedTenantMayAlwaysWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(2), bulkhead.PerTenant(byTenant, bulkhead.Unlimited), guaranteed(1), trusting, bulkhead.WithMaxQueue(1), bulkhead.WithTenantQueue(1))
		first := s.send("b", "T", "b")
		s.send("b", "T", "b")
		s.expect(s.send("b waits", "T", "b"), "waiting")
		s.expect(s.send("b too many", "T", "b"), "queue_full")
		mine := s.send("a", "T", "a", "P", "background")
		s.expect(mine, "waiting")
		// Beyond the guarantee it is a tenant like any other.
		s.expect(s.send("a too many", "T", "a", "P", "background"), "queue_full")
		// Nobody takes the place of one that is guaranteed.
		s.expect(s.send("c", "T", "c", "P", "critical"), "waiting")
		s.expect(mine, "waiting")
		s.end(first, "return")
		s.expect(mine, "inside")
	})
}

func TestAGuaranteeHoldsWithoutAQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, bulkhead.Unlimited), guaranteed(1), bulkhead.WithMaxQueue(0))
		first := s.send("b", "T", "b")
		s.expect(s.send("b", "T", "b"), "global")
		mine := s.send("a", "T", "a")
		s.expect(mine, "waiting")
		s.end(first, "return")
		s.expect(mine, "inside")
	})
}

// The guarantee of a tenant that was unknown a moment ago holds too, and one
// that is changed while its requests wait holds for them.
func TestGuaranteesChangeWhileServing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, bulkhead.Unlimited))
		first := s.send("b", "T", "b")
		s.send("b", "T", "b")
		mine := s.send("a", "T", "a")
		if err := s.b.Update(guaranteed(1)); err != nil {
			t.Fatal(err)
		}
		s.end(first, "return")
		s.expect(mine, "inside")
		if err := s.b.Update(bulkhead.WithLimit(0)); err == nil {
			t.Error("a limit below the guarantees is no error")
		}
	})
}

// The account of those that share one is no tenant's, whatever its name.
func TestNoGuaranteeIsForThoseThatShareAnAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.WithLimit(1), bulkhead.PerTenant(byTenant, bulkhead.Unlimited), bulkhead.WithMaxKeys(1), bulkhead.WithMaxQueue(0),
			bulkhead.WithGuarantees(map[string]int{keyed.Overflow: 1}))
		s.expect(s.send("first", "T", "a"), "inside")
		s.expect(s.send("shares", "T", "b"), "global")
	})
}
