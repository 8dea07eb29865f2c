package gates

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed/sim"
)

// healthy are loads that can all be served, on which every refusal is a false
// one.
func healthy(seed uint64) []sim.Scenario {
	r := rand.New(rand.NewPCG(seed, 0xca1f))
	workers := func() int { return int(math.Round(evenly(r, 4, 64))) }
	mean := func() time.Duration { return time.Duration(evenly(r, 2e6, 50e6)) }
	steady := func(level float64) sim.Shape { return sim.Shape{{Duration: 20 * time.Second, From: level, To: level}} }

	full := draw(seed)
	nearlyFull := full.scenario(seed, sim.Shape{{Duration: full.lasting(6000, 10*time.Second, 60*time.Second), From: .9, To: .9}})
	nearlyFull.Deadline = sim.Constant(10 * time.Second)

	dependency := mean()
	return []sim.Scenario{
		named(nearlyFull, "0.9 of capacity, "+full.name),
		{Name: "latency that jitters", Seed: seed, Unit: evenly(r, 50, 500), Shape: steady(1),
			Service: sim.Delay{Time: sim.LogNormal(mean(), 2)}, Deadline: sim.Constant(10 * time.Second)},
		{Name: "a dependency ten times slower, with room enough", Seed: seed, Unit: min(evenly(r, 50, 500), 100/dependency.Seconds()/10), Shape: steady(1),
			Service:   sim.Delay{Time: sim.LogNormal(dependency, .3)},
			Slowdowns: []sim.Slowdown{{From: 8 * time.Second, To: 14 * time.Second, Factor: 10}}, Deadline: sim.Constant(10 * time.Second)},
		{Name: "a burst of 60 from idle", Seed: seed, Shape: sim.Burst(60, 3*time.Second, 5*time.Second),
			Service: sim.Pool{Workers: 20, Time: sim.LogNormal(time.Duration(evenly(r, 5e6, 20e6)), .5)}, Deadline: sim.Constant(2 * time.Second)},
		{Name: "a step from 50 to 600 requests a second", Seed: seed, Unit: 1,
			Shape:   sim.Shape{{Duration: 6 * time.Second, From: 50, To: 50}, {Duration: 6 * time.Second, From: 600, To: 600}},
			Service: sim.Pool{Workers: max(workers(), 12), Time: sim.LogNormal(time.Duration(evenly(r, 4e6, 12e6)), .5)}, Deadline: sim.Constant(2 * time.Second)},
		{Name: "three requests a second, some of them slow", Seed: seed, Unit: 1,
			Shape:   sim.Shape{{Duration: 120 * time.Second, From: 3, To: 3}},
			Service: sim.Delay{Time: sim.Bimodal(sim.LogNormal(10*time.Millisecond, .5), sim.LogNormal(2*time.Second, .5), .05)}, Deadline: sim.Constant(30 * time.Second)},
		{Name: "bimodal at 0.7 of capacity", Seed: seed, Shape: steady(.7),
			Service:  sim.Pool{Workers: workers(), Time: sim.Bimodal(sim.Constant(5*time.Millisecond), sim.Constant(50*time.Millisecond), .1)},
			Deadline: sim.Constant(5 * time.Second)},
	}
}

func named(sc sim.Scenario, name string) sim.Scenario {
	sc.Name = name
	return sc
}

func TestNothingIsShedWhileNothingIsOverloaded(t *testing.T) {
	t.Parallel()
	sum, n := 0., 0
	for seed := range seeds {
		for i, sc := range healthy(seed + 1) {
			r := sim.Run(t, sc, adaptive)
			shed := r.Total.Shed()
			sum += shed
			n++
			t.Logf("seed %d, %s: shed %.4f of %d", seed+1, sc.Name, shed, r.Total.Offered)
			most := .01
			if i == 0 {
				most = draw(seed+1).either(.01, .04)
			}
			if shed > most {
				t.Errorf("seed %d, %s: shed %.4f of %d requests, want at most %v", seed+1, sc.Name, shed, r.Total.Offered, most)
			}
			if c := r.Total.Class(handrail.Critical); c.Shed() > 0 {
				t.Errorf("seed %d, %s: shed %.4f of the critical requests, want none", seed+1, sc.Name, c.Shed())
			}
		}
	}
	mean := sum / float64(n)
	t.Logf("shed %.5f on average", mean)
	if mean > .002 {
		t.Errorf("shed %.4f on average, want at most 0.002", mean)
	}
}

// well returns a check for "as before the disturbance": nearly all that is
// offered is answered in time, and as fast as the latency gate asks.
func well(before sim.Stats) func(sim.Stats) bool {
	return func(s sim.Stats) bool {
		return s.Success() >= .97 && s.P99 <= 7*before.P99/2
	}
}

func TestRecoversFromASpikeAtOnce(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		s := draw(seed + 1)
		before, during := s.lasting(1500, 5*time.Second, 20*time.Second), s.lasting(2000, 5*time.Second, 20*time.Second)
		sc := s.scenario(seed+1, sim.Spike(.5, 5, before, during, before))
		recovers(t, s, sc, before, before+during, 2*before+during)
	}
}

func TestRecoversWithASlowBackendAtOnce(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		s := draw(seed + 1)
		before, during := s.lasting(1500, 5*time.Second, 20*time.Second), s.lasting(2000, 5*time.Second, 20*time.Second)
		sc := s.scenario(seed+1, sim.Shape{{Duration: 2*before + during, From: .5, To: .5}})
		sc.Slowdowns = []sim.Slowdown{{From: before, To: before + during, Factor: 4}}
		recovers(t, s, sc, before, before+during, 2*before+during)
	}
}

func recovers(t *testing.T, s service, sc sim.Scenario, before, from, to time.Duration) {
	t.Helper()
	r := sim.Run(t, sc, adaptive)
	// A stretch has to hold enough requests for its p99 to mean something.
	stretch := max(500*time.Millisecond, time.Duration(200/s.capacity*1e9))
	took := r.Recovery(from, to, stretch, well(r.Between(before/4, before)))
	t.Logf("seed %d (%s): well again after %v", sc.Seed, s.name, took)
	// What was begun before the end may take its own time.
	if limit := max(500*time.Millisecond, 2*r.Between(before/4, before).Max); took > limit && !(s.few() && took <= 4*limit) {
		t.Errorf("seed %d (%s): well again after %v, want at most %v", sc.Seed, s.name, took, limit)
	}
}
