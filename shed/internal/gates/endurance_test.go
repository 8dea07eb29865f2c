package gates

import (
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed/sim"
)

func TestTenMinutesOfOverloadDoNotWearItDown(t *testing.T) {
	t.Parallel()
	lasts := 10 * time.Minute
	if sim.RaceEnabled {
		lasts = 3 * time.Minute
	}
	for seed := range seeds {
		s := draw(seed + 1)
		if s.capacity > 200 { // many minutes of it take long to simulate
			s = slowed(s)
		}
		r := sim.Run(t, s.scenario(seed+1, sim.Shape{
			{Duration: 10 * time.Second, From: .5, To: .5},
			{Duration: 10*time.Second + lasts, From: 2, To: 2},
		}), adaptive)
		begin := 20 * time.Second
		first, last := r.Between(begin, begin+time.Minute), r.Between(begin+lasts-time.Minute, begin+lasts)
		t.Logf("seed %d (%s): p99 %v, then %v; goodput %.3f, then %.3f", seed+1, s.name, first.P99, last.P99, first.Goodput(), last.Goodput())
		if ratio := float64(last.P99) / float64(first.P99); ratio > s.either(1.2, 1.4) {
			t.Errorf("seed %d (%s): p99 of the last minute is %.2f times that of the first, want at most %v", seed+1, s.name, ratio, s.either(1.2, 1.4))
		}
		if ratio := last.Goodput() / first.Goodput(); ratio < .98 {
			t.Errorf("seed %d (%s): goodput of the last minute is %.3f of the first's, want at least 0.98", seed+1, s.name, ratio)
		}
	}
}

// slowed is the service with only as many workers as 200 requests a second
// need.
func slowed(s service) service {
	share := 200 / s.capacity
	switch b := s.backend.(type) {
	case sim.Pool:
		b.Workers = max(1, int(float64(b.Workers)*share))
		s.servers = b.Workers
		s.backend = b
	case sim.CPU:
		b.Cores = max(1, int(float64(b.Cores)*share))
		s.servers = b.Cores
		s.backend = b
	}
	s.capacity = s.backend.Capacity()
	s.name += ", fewer of them"
	return s
}

func TestRetryStormDoesNotBreakIt(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		s := draw(seed + 1)
		for _, level := range []float64{1.5, 3, 5} {
			calm, over := s.lasting(1500, 4*time.Second, 20*time.Second), s.lasting(10000, 10*time.Second, 100*time.Second)
			sc := s.scenario(seed+1, sim.Shape{{Duration: calm, From: .5, To: .5}, {Duration: over, From: level, To: level}})
			sc.Retry = sim.Retry{Max: 2, Delay: 100 * time.Millisecond, Jitter: .5}
			r := sim.Run(t, sc, adaptive)
			st := r.Between(calm+over/10, calm+over)
			critical := st.Class(handrail.Critical).Success()
			t.Logf("seed %d (%s) at %v×: goodput %.3f, critical %.4f", seed+1, s.name, level, st.Goodput(), critical)
			if st.Goodput() < .97 {
				t.Errorf("seed %d (%s) at %v×: goodput %.3f, want at least 0.97", seed+1, s.name, level, st.Goodput())
			}
			if critical < .995 {
				t.Errorf("seed %d (%s) at %v×: %.4f of critical answered in time, want at least 0.995", seed+1, s.name, level, critical)
			}
		}
	}
}
