package sim

import (
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/load"
)

// These compare the models with results of queueing theory.

func TestPoolFinishesExactlyItsCapacity(t *testing.T) {
	t.Parallel()
	r := Run(t, Scenario{
		Service: Pool{Workers: 5, Time: Constant(10 * time.Millisecond)},
		Shape:   Steady(6*time.Second, 1.5), Arrivals: Even, Deadline: Constant(time.Hour),
	}, Bare)
	// Nothing can be finished in the first 10 ms, and all workers are busy
	// some milliseconds later.
	if s := r.Between(time.Second, 5*time.Second); s.Possible != 2000 || s.Useful != 2000 {
		t.Errorf("%d answers in 4 s, possible %v, want 2000", s.Useful, s.Possible)
	}
	if r.Capacity != 500 || r.Total.Wasted != 0 || r.Total.InTime != r.Total.Offered {
		t.Errorf("capacity %v, %d wasted of %d", r.Capacity, r.Total.Wasted, r.Total.Offered)
	}
}

// recorded keeps what it draws.
type recorded struct {
	Dist
	drawn []time.Duration
}

func (d *recorded) Draw(r *rand.Rand) time.Duration {
	x := d.Dist.Draw(r)
	d.drawn = append(d.drawn, x)
	return x
}

func TestPoolServesFirstComeFirstServedToTheNanosecond(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		work := &recorded{Dist: LogNormal(time.Millisecond, 1)}
		r := Run(t, Scenario{
			Seed: 3, Service: Pool{workers, work}, Shape: Steady(5*time.Second, .9), Deadline: Constant(time.Hour),
		}, Bare)
		free := make([]time.Duration, workers) // when each worker is
		i := 0
		for q := range r.Requests() {
			slices.Sort(free)
			free[0] = max(free[0], q.Sent) + max(work.drawn[i], 1)
			if ended := q.Sent + q.Latency; ended != free[0] {
				t.Fatalf("%d workers: request %d ended at %v, want %v", workers, i, ended, free[0])
			}
			i++
		}
		if i < 4000 {
			t.Errorf("%d requests, want about 4500 for each worker", i)
		}
	}
}

func TestPoolWithOneWorkerIsMM1(t *testing.T) {
	t.Parallel()
	d, within := shorter(100*time.Second, .06)
	for _, rho := range []float64{.5, .8} {
		r := Run(t, Scenario{
			Seed: 2, Service: Pool{1, Exponential(time.Millisecond)},
			Shape: Steady(d, rho), Deadline: Constant(time.Hour),
		}, Bare)
		about(t, "mean sojourn at "+percent(rho), r.Total.Mean.Seconds(), .001/(1-rho), within)
		// The sojourn time of M/M/1 is exponential.
		about(t, "p99 at "+percent(rho), r.Total.P99.Seconds(), .001/(1-rho)*math.Log(100), 2*within)
	}
}

func TestPoolWithUnevenTimesIsPollaczekKhinchine(t *testing.T) {
	t.Parallel()
	d, within := shorter(100*time.Second, .1)
	const rho, cv = .6, 1.5
	r := Run(t, Scenario{
		Seed: 4, Service: Pool{1, LogNormal(time.Millisecond, cv)},
		Shape: Steady(d, rho), Deadline: Constant(time.Hour),
	}, Bare)
	wait := .001 * rho / (1 - rho) * (1 + cv*cv) / 2
	about(t, "mean sojourn", r.Total.Mean.Seconds(), .001+wait, within)
}

func TestPoolWithSeveralWorkersIsErlangC(t *testing.T) {
	t.Parallel()
	d, within := shorter(30*time.Second, .06)
	const workers, rho = 4, .8
	r := Run(t, Scenario{
		Seed: 5, Service: Pool{workers, Exponential(time.Millisecond)},
		Shape: Steady(d, rho), Deadline: Constant(time.Hour),
	}, Bare)
	a, sum, term := workers*rho, 0., 1.
	for k := range workers {
		sum += term
		term *= a / float64(k+1)
	}
	waits := term / (1 - rho) / (sum + term/(1-rho))
	about(t, "mean sojourn", r.Total.Mean.Seconds(), .001+waits*.001/(workers*(1-rho)), within)
}

func TestProcessorSharingDependsOnTheMeanOnly(t *testing.T) {
	t.Parallel()
	d, within := shorter(100*time.Second, .08)
	const rho = .7
	for _, times := range []Dist{Constant(time.Millisecond), LogNormal(time.Millisecond, 1.5), Bimodal(Constant(time.Millisecond/2), Constant(5500*time.Microsecond), .1)} {
		r := Run(t, Scenario{
			Seed: 6, Service: CPU{1, times},
			Shape: Steady(d, rho), Deadline: Constant(time.Hour),
		}, Bare)
		about(t, "mean sojourn", r.Total.Mean.Seconds(), .001/(1-rho), within)
	}
}

func TestProcessorSharingIsExact(t *testing.T) {
	// Three requests of 10 ms on two cores: each gets two thirds of a core.
	r := Run(t, Scenario{Service: CPU{2, Constant(10 * time.Millisecond)}, Shape: Burst(3, time.Second, time.Second)}, Bare)
	for q := range r.Requests() {
		if (q.Latency - 15*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("latency %v, want 15ms", q.Latency)
		}
	}
	// Two on two cores do not disturb each other.
	r = Run(t, Scenario{Service: CPU{2, Constant(10 * time.Millisecond)}, Shape: Burst(2, time.Second, time.Second)}, Bare)
	if (r.Total.Max - 10*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("latency %v, want 10ms", r.Total.Max)
	}
}

func TestProcessIsAQueueInFrontOfTheMiddleware(t *testing.T) {
	t.Parallel()
	d, within := shorter(100*time.Second, .05)
	const rho = .8
	var held atomic.Int64
	r := Run(t, Scenario{
		Seed: 7, Service: Process{Cores: 1, Parse: 100 * time.Microsecond, Time: Constant(1900 * time.Microsecond)},
		Shape: Steady(d, rho), Deadline: Constant(time.Hour),
	}, func(env *Env) func(http.Handler) http.Handler {
		return before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			in := env.Now()
			next.ServeHTTP(w, r)
			held.Add(int64(env.Now() - in))
		})(env)
	})
	// M/D/1: half the wait of M/M/1.
	about(t, "mean sojourn", r.Total.Mean.Seconds(), .002+.002*rho/(1-rho)/2, within)
	// The middleware sees none of the waiting.
	about(t, "mean time in the middleware", float64(held.Load())/float64(r.Total.Offered), 1.9e6, .0001)
}

func TestProcessSlicesTime(t *testing.T) {
	// 25 ms on one core, twice: slices of 10 ms take turns, so the first ends
	// after 10+10+10+10+5 and the second 5 ms later.
	r := Run(t, Scenario{
		Service: Process{Cores: 1, Parse: 1, Time: Constant(25 * time.Millisecond)},
		Shape:   Burst(2, time.Second, time.Second),
	}, Bare)
	var ends []time.Duration
	for q := range r.Requests() {
		ends = append(ends, q.Latency)
	}
	first, last := min(ends[0], ends[1]), max(ends[0], ends[1])
	if (first-45*time.Millisecond).Abs() > time.Microsecond || (last-50*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("ended after %v and %v, want 45ms and 50ms", first, last)
	}
}

func TestProcessGivesTheCoreAwayWhileARequestIsHeldBack(t *testing.T) {
	// The first request waits 50 ms in the middleware; the second passes it.
	var n atomic.Int32
	r := Run(t, Scenario{
		Service: Process{Cores: 1, Parse: time.Millisecond, Time: Constant(5 * time.Millisecond)},
		Shape:   Burst(2, time.Second, time.Second),
	}, before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n.Add(1) == 1 {
			time.Sleep(50 * time.Millisecond)
		}
		next.ServeHTTP(w, r)
	}))
	if q, want := r.Total.P50, 7*time.Millisecond; (q - want).Abs() > time.Microsecond {
		t.Errorf("the second took %v, want %v", q, want)
	}
	if q, want := r.Total.Max, 56*time.Millisecond; (q - want).Abs() > time.Microsecond {
		t.Errorf("the first took %v, want %v", q, want)
	}
}

func TestSamplerSeesTheModel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		service  Service
		cpu      float64
		runnable float64
	}{
		"processor sharing":   {CPU{2, Constant(2 * time.Millisecond)}, .5, .05},
		"process saturated":   {Process{Cores: 2, Time: Constant(5 * time.Millisecond)}, 1, 100},
		"process":             {Process{Cores: 2, Parse: 1, Time: Constant(2 * time.Millisecond)}, .5, .1},
		"pool costs no CPU":   {Pool{2, Constant(2 * time.Millisecond)}, 0, 0},
		"delay costs no CPU":  {Delay{Constant(2 * time.Millisecond)}, 0, 0},
		"processor saturated": {CPU{1, Constant(4 * time.Millisecond)}, 1, 100},
	} {
		var cpu, runnable float64
		Run(t, Scenario{Seed: 1, Service: c.service, Unit: 500, Shape: Steady(6*time.Second, 1)}, func(env *Env) func(http.Handler) http.Handler {
			s := env.Sampler(load.WithInterval(3 * time.Second))
			n := 0.
			env.Gauge("probe", func() float64 {
				n++
				runnable += s.Scheduler().Runnable
				if u := s.Usage().CPU; u.Known {
					cpu = u.V
				}
				return 0
			})
			env.Cleanup(func() { runnable /= n })
			return Bare(env)
		})
		if math.Abs(cpu-c.cpu) > .05 {
			t.Errorf("%s: CPU %v, want %v", name, cpu, c.cpu)
		}
		if c.runnable == 100 && runnable < 100 || c.runnable < 100 && !(runnable <= 5*c.runnable) {
			t.Errorf("%s: %v runnable per core", name, runnable)
		}
	}
}

func TestSlowdownStretchesWorkAndLowersWhatIsPossible(t *testing.T) {
	for name, service := range map[string]Service{
		"pool": Pool{10, Constant(10 * time.Millisecond)}, "delay": Delay{Constant(10 * time.Millisecond)},
		"cpu": CPU{10, Constant(10 * time.Millisecond)}, "process": Process{Cores: 10, Parse: 1, Time: Constant(10 * time.Millisecond)},
	} {
		r := Run(t, Scenario{
			Service: service, Unit: 100, Arrivals: Even, Shape: Steady(9*time.Second, 1),
			Slowdowns: []Slowdown{{3 * time.Second, 6 * time.Second, 4}},
		}, Bare)
		for _, at := range []time.Duration{time.Second, 4 * time.Second, 7 * time.Second} {
			factor := 1.
			if at == 4*time.Second {
				factor = 4
			}
			s := r.Between(at, at+time.Second)
			about(t, name+" latency", s.P50.Seconds(), .01*factor, .001)
			if name != "delay" {
				about(t, name+" possible", s.Possible, 1000/factor, .001)
			}
		}
		if name == "pool" {
			about(t, "possible over the end of it", r.Between(5*time.Second, 7*time.Second).Possible, 1250, .001)
		}
	}
}
