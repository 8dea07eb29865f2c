package sim

import (
	"math/rand/v2"
	"sort"

	"github.com/handrail-go/handrail"
)

// Mix is who sends the traffic.
type Mix struct {
	// Classes are the shares of the five priorities by their rank, critical
	// first. They need not add up to 1; all zero means 10, 20, 40, 20 and 10 %.
	Classes [handrail.Priorities]float64
	// Tenants are those who send, at most 65,536. Without any, requests carry
	// no tenant.
	Tenants []Tenant
}

// Tenant is one sender.
type Tenant struct {
	// Name is the value of [TenantHeader].
	Name string
	// Share of the traffic, relative to the other tenants.
	Share float64
	// Classes replace those of the mix for this tenant, unless all are zero.
	Classes [handrail.Priorities]float64
}

var usualClasses = [handrail.Priorities]float64{10, 20, 40, 20, 10}

// choice draws an index with given weights.
type choice []float64 // cumulative, the last is the sum

func newChoice(weights []float64) choice {
	c := make(choice, len(weights))
	sum := 0.0
	for i, w := range weights {
		sum += w
		c[i] = sum
	}
	return c
}

func (c choice) draw(r *rand.Rand) int {
	if len(c) < 2 {
		return 0
	}
	x := r.Float64() * c[len(c)-1]
	if len(c) <= 8 {
		for i, sum := range c {
			if x < sum {
				return i
			}
		}
		return len(c) - 1
	}
	return min(sort.Search(len(c), func(i int) bool { return c[i] > x }), len(c)-1)
}

// sender draws who sends a request.
type sender struct {
	tenants choice
	classes []choice // one for each tenant, or the one for all
}

func newSender(m Mix) sender {
	classes := func(weights [handrail.Priorities]float64) choice {
		if weights == ([handrail.Priorities]float64{}) {
			weights = usualClasses
		}
		return newChoice(weights[:])
	}
	if len(m.Tenants) == 0 {
		return sender{classes: []choice{classes(m.Classes)}}
	}
	var s sender
	shares := make([]float64, len(m.Tenants))
	for i, t := range m.Tenants {
		shares[i] = t.Share
		if t.Classes == ([handrail.Priorities]float64{}) {
			t.Classes = m.Classes
		}
		s.classes = append(s.classes, classes(t.Classes))
	}
	s.tenants = newChoice(shares)
	return s
}

func (s sender) draw(r *rand.Rand) (tenant, rank int) {
	tenant = s.tenants.draw(r)
	return tenant, s.classes[tenant].draw(r)
}
