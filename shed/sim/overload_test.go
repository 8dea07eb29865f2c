package sim

import (
	"net/http"
	"testing"
	"time"
)

func TestBareServiceCollapsesAndStaysCollapsed(t *testing.T) {
	for name, service := range map[string]Service{
		"pool":    Pool{10, LogNormal(20*time.Millisecond, 1)},
		"process": Process{Cores: 1, Time: LogNormal(2*time.Millisecond, .5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Run(t, Scenario{Seed: 1, Service: service, Shape: Spike(.5, 1.5, 3*time.Second, 16*time.Second, 5*time.Second)}, Bare)
			if g := r.Phases[0].Goodput(); g < .99 {
				t.Errorf("goodput %.3f before the overload", g)
			}
			if g := r.Between(10*time.Second, 19*time.Second).Goodput(); g > .01 {
				t.Errorf("goodput %.3f in the overload, where queues are longer than clients wait", g)
			}
			if g := r.Phases[2].Goodput(); g > .01 {
				t.Errorf("goodput %.3f after the overload, with the queue still there", g)
			}
			if w := r.Phases[2].Waste(); w < .99 {
				t.Errorf("%.3f of the work after the overload was wasted, want all", w)
			}
		})
	}
}

func TestRightLimitKeepsGoodputAtCapacity(t *testing.T) {
	for name, service := range map[string]Service{
		"pool":                Pool{20, LogNormal(20*time.Millisecond, 1)},
		"processor sharing":   CPU{4, LogNormal(4*time.Millisecond, 1)},
		"process that yields": Process{Cores: 2, Parse: 10 * time.Microsecond, Time: LogNormal(4*time.Millisecond, .5), Yields: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, level := range []float64{1.5, 5} {
				r := Run(t, Scenario{Seed: 1, Service: service, Shape: Spike(.5, level, 3*time.Second, 5*time.Second, 3*time.Second)}, semaphore(60))
				// Refusing takes 10 µs of a processor where parsing does.
				if g := r.Phases[1].Goodput(); g < .96 || g > 1.02 {
					t.Errorf("goodput %.3f at %v× capacity", g, level)
				}
				if w := r.Total.Waste(); w > 0 {
					t.Errorf("%.3f of the work was wasted at %v× capacity", w, level)
				}
				if g := r.Phases[2].Goodput(); g < .99 {
					t.Errorf("goodput %.3f after %v× capacity", g, level)
				}
				well := r.Recovery(8*time.Second, 11*time.Second, 200*time.Millisecond, func(s Stats) bool { return s.Shed() == 0 })
				if well > 300*time.Millisecond {
					t.Errorf("recovered %v after %v× capacity", well, level)
				}
			}
		})
	}
}

func TestLimitIsBlindInAProcessThatDoesNotYield(t *testing.T) {
	t.Parallel()
	r := Run(t, Scenario{
		Seed: 1, Service: Process{Cores: 1, Time: Constant(2 * time.Millisecond)},
		Shape: Step(time.Second, .5, 20*time.Second, 1.5),
	}, semaphore(60))
	if s := r.Between(10*time.Second, 20*time.Second); s.Goodput() > .01 || s.Shed() > 0 && s.Refused > 0 {
		t.Errorf("goodput %.3f, %d refused, want none of either: the queue is in front of the limit", s.Goodput(), s.Refused)
	}
}

func TestBacklogIsDroppedWhenTheDrainIsOver(t *testing.T) {
	for name, service := range map[string]Service{
		"pool": Pool{1, Constant(time.Second)}, "cpu": CPU{1, Constant(time.Second)},
		"process": Process{Cores: 1, Time: Constant(time.Second)},
	} {
		r := Run(t, Scenario{Service: service, Unit: 1, Shape: Burst(100, 0+1, time.Second), Drain: 10 * time.Second}, Bare)
		// The clock may go on for the second that a worker is busy.
		if r.Total.Offered != 100 || r.Total.Max > 13*time.Second || r.Total.Max < 10*time.Second {
			t.Errorf("%s: %d offered, the last ended after %v", name, r.Total.Offered, r.Total.Max)
		}
		if r.Total.Wasted < 99 {
			t.Errorf("%s: %d wasted, want 99 or all", name, r.Total.Wasted)
		}
	}
}

func TestHandlersWorkOnForClientsThatHaveLeft(t *testing.T) {
	for name, service := range map[string]Service{
		"pool": Pool{1, Constant(10 * time.Millisecond)}, "cpu": CPU{1, Constant(10 * time.Millisecond)},
		"process": Process{Cores: 1, Parse: 1, Time: Constant(10 * time.Millisecond)}, "delay": Delay{Constant(10 * time.Millisecond)},
	} {
		for _, honour := range []bool{false, true} {
			r := Run(t, Scenario{
				Service: service, Unit: 1, Shape: Burst(10, 1, time.Second), Deadline: Constant(5 * time.Millisecond), HonourCancel: honour,
			}, Bare)
			longest := map[string]time.Duration{"pool": 100, "cpu": 100, "process": 100, "delay": 10}[name] * time.Millisecond
			if honour {
				longest = 5 * time.Millisecond
				if name == "process" { // the one on the core does not look at its context
					longest = 10 * time.Millisecond
				}
			}
			if (r.Total.Max - longest).Abs() > time.Microsecond {
				t.Errorf("%s, honour %v: the last ended after %v, want %v", name, honour, r.Total.Max, longest)
			}
			if r.Total.Wasted != 10 {
				t.Errorf("%s, honour %v: %d wasted, want 10", name, honour, r.Total.Wasted)
			}
		}
	}
}

func TestPoolServesOthersInPlaceOfThoseWhoLeftTheQueue(t *testing.T) {
	t.Parallel()
	r := Run(t, Scenario{
		Seed: 1, Service: Pool{4, LogNormal(10*time.Millisecond, 1)}, HonourCancel: true,
		Shape: Steady(20*time.Second, 1.5), Deadline: Constant(200 * time.Millisecond),
	}, Bare)
	// Work is given up at the deadline, so most of it is still of use.
	if u := r.Total.Utilization(); u < .85 || u > 1.01 {
		t.Errorf("utilization %.3f", u)
	}
}

func TestHandlerCalledAfterTheDrainDoesNothing(t *testing.T) {
	for name, service := range map[string]Service{
		"pool": Pool{1, Constant(time.Second)}, "cpu": CPU{1, Constant(time.Second)},
		"process": Process{Cores: 1, Parse: 1, Time: Constant(time.Second)},
	} {
		r := Run(t, Scenario{Service: service, Unit: 1, Shape: Burst(3, 1, time.Second), Drain: time.Second},
			before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				time.Sleep(time.Minute)
				next.ServeHTTP(w, r)
			}))
		if c := r.Total.Count; c.Wasted != 3 || c.Max < time.Minute || c.Max > time.Minute+time.Millisecond {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
