package gates

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed/sim"
)

// levels of load, as multiples of capacity.
var levels = []float64{1.5, 2, 3, 5, 10}

// run is one service under one level of load, and at half its capacity before.
type run struct {
	service
	seed       uint64
	level      float64
	calm, over sim.Stats
}

func (r run) String() string {
	return fmt.Sprintf("seed %d (%s) at %v×", r.seed, r.name, r.level)
}

var (
	overloadOnce sync.Once
	overloads    []run
)

// overload runs every service under every level, once for all gates that look
// at it.
func overload(t *testing.T) []run {
	overloadOnce.Do(func() {
		var jobs []run
		for seed := range seeds {
			for _, level := range levels {
				jobs = append(jobs, run{service: draw(seed + 1), seed: seed + 1, level: level})
			}
		}
		var wg sync.WaitGroup
		next := make(chan *run)
		for range 2 {
			wg.Go(func() {
				for r := range next {
					r.simulate(t)
				}
			})
		}
		for i := range jobs {
			next <- &jobs[i]
		}
		close(next)
		wg.Wait()
		overloads = jobs
	})
	if len(overloads) == 0 {
		t.Fatal("the simulations failed in another test")
	}
	return overloads
}

func (r *run) simulate(t *testing.T) {
	calm := r.lasting(3000, 4*time.Second, 30*time.Second)
	// Two hundred completions, a second at least, may be spent on finding the
	// limit: this gate is about what lasts.
	settle := r.lasting(200, time.Second, 5*time.Second)
	over := settle + r.lasting(12000, 10*time.Second, 120*time.Second)
	result, err := sim.Simulate(r.scenario(r.seed, sim.Shape{
		{Duration: calm, From: .5, To: .5},
		{Duration: over, From: r.level, To: r.level},
	}), adaptive)
	if err != nil {
		t.Errorf("%v: %v", r, err)
		return
	}
	r.calm, r.over = result.Between(calm/4, calm), result.Between(calm+settle, calm+over)
}

func TestGoodputStaysNearCapacity(t *testing.T) {
	t.Parallel()
	sum := 0.
	for _, r := range overload(t) {
		g := r.over.Goodput()
		sum += g
		t.Logf("%v: goodput %.3f", r, g)
		if g < .97 {
			t.Errorf("%v: goodput %.3f of capacity, want at least 0.97", r, g)
		}
	}
	if mean := sum / float64(len(overload(t))); mean < .99 {
		t.Errorf("mean goodput %.4f, want at least 0.99", mean)
	} else {
		t.Logf("mean goodput %.4f", mean)
	}
}

func TestLatencyOfTheAdmittedStaysNearThatOfAQuietService(t *testing.T) {
	t.Parallel()
	for _, r := range overload(t) {
		all := float64(r.over.P99) / float64(r.calm.P99)
		t.Logf("%v: p99 %v, %.2f times", r, r.over.P99, all)
		if most := r.either(3.5, 4); all > most {
			t.Errorf("%v: p99 %v is %.2f times that at half load, want at most %v", r, r.over.P99, all, most)
		}
		for _, p := range []handrail.Priority{handrail.Critical, handrail.High} {
			over, calm := r.over.Class(p).P99, r.calm.Class(p).P99
			if times := float64(over) / float64(calm); times > r.either(2.5, 4) {
				t.Errorf("%v: p99 of %v %v is %.2f times that at half load, want at most %v", r, p, over, times, r.either(2.5, 4))
			}
		}
	}
}

func TestCriticalIsServedWhileItFits(t *testing.T) {
	t.Parallel()
	for _, r := range overload(t) {
		if r.level*.1 >= .9 {
			continue
		}
		s := r.over.Class(handrail.Critical).Success()
		t.Logf("%v: critical %.4f", r, s)
		if s < .995 {
			t.Errorf("%v: %.4f of the critical requests answered in time, want at least 0.995", r, s)
		}
	}
}

func TestClassesAreServedInStrictOrder(t *testing.T) {
	t.Parallel()
	for _, r := range overload(t) {
		for rank := 1; rank < handrail.Priorities; rank++ {
			better, worse := r.over.Class(handrail.PriorityOfRank(rank-1)), r.over.Class(handrail.PriorityOfRank(rank))
			// Where both fit, or neither, chance has a say: three standard
			// deviations.
			chance := 3 * math.Sqrt(.25/float64(min(better.Calls, worse.Calls)))
			if min(better.Success(), 1-worse.Success()) < .01 {
				chance = .01
			}
			if worse.Success() > better.Success()+chance {
				t.Errorf("%v: %v has %.4f, %v only %.4f", r, handrail.PriorityOfRank(rank), worse.Success(),
					handrail.PriorityOfRank(rank-1), better.Success())
			}
		}
	}
}

func TestHighIsServedUpToCapacity(t *testing.T) {
	t.Parallel()
	for seed := range seeds {
		r := run{service: draw(seed + 1), seed: seed + 1, level: 1 / .3}
		r.simulate(t)
		high := r.over.Class(handrail.High).Success()
		t.Logf("%v: high %.3f", r, high)
		if least := r.either(.90, .70); high < least {
			t.Errorf("%v: critical and high together are capacity, %.3f of high answered in time, want at least %v", r, high, least)
		}
	}
}

func TestNextToNoWorkIsWasted(t *testing.T) {
	t.Parallel()
	for _, r := range overload(t) {
		w := r.over.Waste()
		t.Logf("%v: wasted %.4f", r, w)
		if w > .01 {
			t.Errorf("%v: %.4f of the work was for clients that had left, want at most 0.01", r, w)
		}
	}
}
