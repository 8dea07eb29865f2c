package bulkhead

import (
	"fmt"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
)

// Whatever is done to the queue must not become slow because it is long.
func TestALongQueueCostsLittleMoreThanAShortOne(t *testing.T) {
	cost := func(n int) time.Duration {
		set := defaults()
		set.limit, set.maxQueue, set.tenantQueue = 1, most, most
		set.tenantLimit, set.operationLimit = Unlimited, Unlimited
		g := newGate()
		g.configure(set.rules())
		var tenants []*tenant
		var operations []*operation
		for i := range 1000 {
			tenants = append(tenants, newTenant(fmt.Sprint(i)))
		}
		for i := range 10 {
			operations = append(operations, newOperation(fmt.Sprint(i)))
		}
		now := time.Duration(0)
		enter := func(i int) *waiter {
			now++
			w, refused := g.enter(now, tenants[i%len(tenants)], operations[i%len(operations)], i/7%5, false, false)
			if w == nil {
				t.Fatalf("does not wait: %v", refused.why)
			}
			return w
		}
		inside := pair{tenants[0], operations[0]}
		if !g.try(inside.tenant, inside.operation) {
			t.Fatal("there is no slot")
		}
		for i := range n {
			enter(i)
		}
		best := time.Hour
		for round := range 50 { // the quickest of many is what a busy machine leaves alone
			began := time.Now()
			for i := range 100 {
				g.leave(now, now, enter(round*100+i), true, false)
				// And somebody comes, and somebody is let in.
				enter(round*100 + i)
				next := g.open[0].ready[0].first
				g.vacate(inside.tenant, inside.operation)
				if next.state != granted {
					t.Fatal("the first is not let in")
				}
				inside = pair{next.line.tenant, next.line.operation}
			}
			best = min(best, time.Since(began)/100)
		}
		if err := g.audit(); err != nil || g.waiting != n {
			t.Errorf("%d wait: %v", g.waiting, err)
		}
		return best
	}
	short, long := cost(10), cost(race.Either(200_000, 5_000))
	if long > 10*short {
		t.Errorf("%v with a long queue, %v with a short one", long, short)
	}
	t.Logf("%v with a long queue, %v with a short one", long, short)
}
