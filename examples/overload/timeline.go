package main

import (
	"time"

	"github.com/handrail-go/handrail"
)

// moment is what became of the requests that were due within one step of the
// curves. A figure of nothing is nil.
type moment struct {
	at       time.Duration // middle of the step
	offered  float64       // multiples of capacity
	goodput  float64
	shed     float64
	p99      *float64 // milliseconds, of answered requests
	byClass  [handrail.Priorities]*float64
	byTenant [len(tenants)]*float64
}

// timeline cuts a run into about a hundred steps.
func (m *measured) timeline() []moment {
	step := max(100*time.Millisecond, m.shape.total()/100).Round(10 * time.Millisecond)
	var all []moment
	for from := time.Duration(0); from+step/2 <= m.counted(); from += step {
		long := min(step, m.counted()-from)
		g := m.phase(0, long, m.between(from, from+long))
		t := moment{at: from + long/2, offered: *g.OfferedRatio, goodput: *g.GoodputRatio, p99: g.P99}
		if g.ShedRatio != nil {
			t.shed = *g.ShedRatio * t.offered
		}
		for i := range t.byClass {
			t.byClass[i] = *g.ClassSuccess.rank(i)
		}
		for i, name := range tenants {
			t.byTenant[i] = g.TenantSuccess[name]
		}
		all = append(all, t)
	}
	return all
}
