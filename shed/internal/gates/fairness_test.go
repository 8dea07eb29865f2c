package gates

import (
	"fmt"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed/sim"
)

// beside is a tenant that sends four fifths of the traffic beside five that
// share the rest, all in one class.
func beside() sim.Mix {
	m := sim.Mix{Tenants: []sim.Tenant{{Name: "noisy", Share: 80}}}
	m.Classes[handrail.Normal.Rank()] = 1
	for i := range 5 {
		m.Tenants = append(m.Tenants, sim.Tenant{Name: fmt.Sprintf("quiet-%d", i), Share: 4})
	}
	return m
}

func TestQuietTenantsGetTheirMaxMinShare(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		s := draw(seed + 1)
		for _, level := range []float64{2, 5} {
			calm, over := s.lasting(1500, 4*time.Second, 20*time.Second), s.lasting(10000, 10*time.Second, 100*time.Second)
			sc := s.scenario(seed+1, sim.Shape{{Duration: calm, From: .5, To: .5}, {Duration: over, From: level, To: level}})
			sc.Mix = beside()
			r := sim.Run(t, sc, adaptive)
			st := r.Between(calm+over/10, calm+over)
			fair := shares(st)
			for i, tenant := range st.Tenants {
				if tenant.Name == "noisy" {
					continue
				}
				got := tenant.Success()
				if got < fair[i]-s.either(.03, .08) {
					t.Errorf("seed %d (%s) at %v×: %s had %.3f answered, want its max–min share %.3f", seed+1, s.name, level, tenant.Name, got, fair[i])
				}
			}
			t.Logf("seed %d (%s) at %v×: quiet %.3f, noisy %.3f, shares %.3f and %.3f", seed+1, s.name, level,
				st.Tenant("quiet-0").Success(), st.Tenant("noisy").Success(), fair[1], fair[0])
		}
	}
}

// shares are the success rates that max–min fairness gives the tenants of what
// was served at all; how much that is, is another gate.
func shares(st sim.Stats) []float64 {
	served := 0.
	calls := make([]float64, len(st.Tenants))
	for i, t := range st.Tenants {
		served += float64(t.Succeeded)
		calls[i] = float64(t.Calls)
	}
	fair := sim.MaxMin(served, calls)
	for i := range fair {
		fair[i] /= calls[i]
	}
	return fair
}
