package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
)

func small() Scenario {
	return Scenario{
		Seed: 7, Service: Pool{4, LogNormal(10*time.Millisecond, 1)}, Shape: Spike(.5, 3, time.Second, 2*time.Second, time.Second),
		Retry: Retry{Max: 1, Delay: 20 * time.Millisecond, Jitter: .5}, Deadline: LogNormal(300*time.Millisecond, .5),
		Mix: Mix{Tenants: []Tenant{{Name: "a", Share: 1}, {Name: "b", Share: 3}}},
	}
}

func TestSameSeedSameResult(t *testing.T) {
	t.Parallel()
	var results []*Result
	for range 3 {
		r := Run(t, small(), semaphore(8))
		r.Took = 0
		results = append(results, r)
	}
	for _, r := range results[1:] {
		if !reflect.DeepEqual(r.Total, results[0].Total) || !reflect.DeepEqual(r.Windows, results[0].Windows) || r.String() != results[0].String() {
			t.Errorf("the same seed gave\n%v\nand\n%v", results[0], r)
		}
	}
	other := small()
	other.Seed++
	if reflect.DeepEqual(Run(t, other, semaphore(8)).Total, results[0].Total) {
		t.Error("another seed gave the same")
	}
}

func TestEveryMiddlewareIsOfferedTheSameTraffic(t *testing.T) {
	sc := small()
	sc.Retry = Retry{}
	type sent struct {
		at     time.Duration
		p      handrail.Priority
		tenant int
	}
	var all [2][]sent
	work := [2]*recorded{{Dist: LogNormal(10*time.Millisecond, 1)}, {Dist: LogNormal(10*time.Millisecond, 1)}}
	for i, build := range []Builder{Bare, refuse} {
		sc.Service = Pool{4, work[i]}
		for q := range Run(t, sc, build).Requests() {
			all[i] = append(all[i], sent{q.Sent, q.Priority, q.Tenant})
		}
	}
	if len(all[0]) < 1000 || !reflect.DeepEqual(all[0], all[1]) || !reflect.DeepEqual(work[0].drawn, work[1].drawn) {
		t.Errorf("%d and %d requests, or not the same ones", len(all[0]), len(all[1]))
	}
}

func TestSimulationsRunSideBySide(t *testing.T) {
	t.Parallel()
	want := Run(t, small(), semaphore(8)).Total
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := Simulate(small(), semaphore(8))
			if err != nil {
				t.Error(err)
			} else if !reflect.DeepEqual(r.Total, want) {
				t.Errorf("%+v, alone %+v", r.Total.Count, want.Count)
			}
		})
	}
	all.Wait()
}

func TestNothingIsLeftBehind(t *testing.T) {
	flags := func() (n int) {
		flag.VisitAll(func(*flag.Flag) { n++ })
		return n
	}
	leaktest.Check(t)
	had := flags()
	for range 3 {
		Run(t, small(), func(env *Env) func(http.Handler) http.Handler {
			env.Sampler().Usage() // has a goroutine
			return Bare(env)
		})
	}
	if n := flags(); n != had {
		t.Errorf("%d flags, %d before", n, had)
	}
}

func TestCleanupRunsInReverseOrderAfterTheLastAnswer(t *testing.T) {
	var order []string
	Run(t, small(), func(env *Env) func(http.Handler) http.Handler {
		stop := make(chan struct{})
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}()
		env.Cleanup(func() {
			order = append(order, "first")
			close(stop)
		})
		env.Cleanup(func() {
			if env.Now() < 4*time.Second {
				t.Errorf("cleaned up at %v", env.Now())
			}
			order = append(order, "second")
		})
		return Bare(env)
	})
	if strings.Join(order, " ") != "second first" {
		t.Errorf("order %v", order)
	}
}

func TestWhatGoesWrongIsAnError(t *testing.T) {
	sc := Scenario{Service: Delay{Constant(time.Millisecond)}, Unit: 100, Shape: Steady(time.Second, 1)}
	for name, c := range map[string]struct {
		build Builder
		want  string
	}{
		"no builder":        {nil, "needs a function"},
		"no middleware":     {func(*Env) func(http.Handler) http.Handler { return nil }, "returned nil"},
		"builder panics":    {func(*Env) func(http.Handler) http.Handler { panic("oops") }, "oops"},
		"builder ends":      {func(*Env) func(http.Handler) http.Handler { runtime.Goexit(); return nil }, "ended its goroutine"},
		"middleware panics": {before(func(http.ResponseWriter, *http.Request, http.Handler) { panic("oops") }), "oops"},
		"gauge panics": {func(env *Env) func(http.Handler) http.Handler {
			env.Gauge("bad", func() float64 { panic("oops") })
			return Bare(env)
		}, "oops"},
		"goroutine left": {func(env *Env) func(http.Handler) http.Handler {
			go func() { <-make(chan int) }()
			return Bare(env)
		}, "Cleanup"},
		"goroutine that ticks left": {func(env *Env) func(http.Handler) http.Handler {
			go func() {
				for range time.NewTicker(time.Second).C {
				}
			}()
			return Bare(env)
		}, "Cleanup"},
		"no answer": {before(func(http.ResponseWriter, *http.Request, http.Handler) { <-make(chan int) }), "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Simulate(sc, c.build)
			if r != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, want an error with %q", r, err, c.want)
			}
		})
	}
}

func TestNoSimulationInsideABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := Simulate(small(), Bare); err == nil || !strings.Contains(err.Error(), "bubble") {
			t.Errorf("%v", err)
		}
	})
}

func TestAbortedAnswerIsNoFailureOfTheSimulation(t *testing.T) {
	r := Run(t, Scenario{Service: Delay{Constant(1)}, Unit: 100, Shape: Steady(time.Second, 1)},
		before(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }))
	if r.Total.Refused != r.Total.Offered || r.Total.Offered == 0 {
		t.Errorf("%+v", r.Total.Count)
	}
}

func TestSimulationCanBeGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	sc := small()
	sc.Shape = Steady(10*time.Hour, 1.5)
	served := 0
	r, err := SimulateContext(ctx, sc, func(env *Env) func(http.Handler) http.Handler {
		env.Gauge("at", func() float64 {
			if env.Now() == 2*time.Second {
				cancel()
			}
			served++
			return 0
		})
		return semaphore(4)(env)
	})
	if r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", r, err)
	}
	if served > 100 {
		t.Errorf("went on for %d windows", served)
	}
}

func TestGaugesAreReadAtTheEndOfEachWindow(t *testing.T) {
	sc := small()
	sc.Window = 250 * time.Millisecond
	r := Run(t, sc, func(env *Env) func(http.Handler) http.Handler {
		env.Gauge("now", func() float64 { return env.Now().Seconds() })
		env.Gauge("capacity", env.Capacity)
		if env.Seed() != 7 || env.Cores() != 1 || env.Runnable() != 0 || env.CPUTime() != 0 {
			t.Error("the environment is not that of the scenario")
		}
		return Bare(env)
	})
	if n := len(r.Gauges["now"]); n != 16 || len(r.Windows) != 16 {
		t.Fatalf("%d values, %d windows, want 16", n, len(r.Windows))
	}
	for i, now := range r.Gauges["now"] {
		if now != float64(i+1)/4 || r.Gauges["capacity"][i] != 400 || r.Windows[i].From != time.Duration(i)*sc.Window {
			t.Errorf("window %d from %v ended at %v", i, r.Windows[i].From, now)
		}
	}
}

func TestEveryFaultOfAScenarioIsTold(t *testing.T) {
	bad := Scenario{
		Shape:  Shape{{Duration: -1, From: math.NaN(), To: 1001, Burst: -1}},
		Unit:   -1,
		Warmup: -1, Arrivals: 9,
		Mix:       Mix{Classes: [5]float64{-1}, Tenants: []Tenant{{Share: 0, Classes: [5]float64{math.Inf(1)}}}},
		Deadline:  Constant(-1),
		Retry:     Retry{Max: -1, Delay: -1, Jitter: 2},
		Slowdowns: []Slowdown{{From: 2, To: 1, Factor: 0}},
		Window:    1, Drain: -1,
	}
	_, err := Simulate(bad, Bare)
	var fields []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fault *handrail.OptionError
		if !errors.As(e, &fault) || fault.Package != "sim" || fault.Reason == "" {
			t.Fatalf("%#v", e)
		}
		fields = append(fields, strings.TrimPrefix(fault.Option, "Scenario."))
	}
	want := "Unit Service Shape[0].Duration Shape[0].From Shape[0].To Shape[0].Burst Arrivals Warmup " +
		"Mix.Classes Mix.Tenants[0].Classes Mix.Tenants Deadline Retry.Max Retry.Delay Retry.Jitter " +
		"Slowdowns[0].Factor Slowdowns[0] Window Drain"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("faults of\n%s, want\n%s", got, want)
	}

	for name, sc := range map[string]Scenario{
		"needs at least one phase": {Service: Pool{1, Constant(1)}},
		"no bound":                 {Service: Delay{Constant(1)}, Shape: Steady(1, 1)},
		"must not offer more":      {Service: Delay{Constant(1)}, Unit: 1e7, Shape: Steady(time.Hour, 1000)},
		"Workers must":             {Service: Pool{0, Constant(1)}, Shape: Steady(1, 1)},
		"Time must be given":       {Service: CPU{Cores: 1}, Shape: Steady(1, 1)},
		"Cores must":               {Service: Process{Time: Constant(1)}, Shape: Steady(1, 1)},
		"Parse must":               {Service: Process{Cores: 1, Parse: -1, Time: Constant(1)}, Shape: Steady(1, 1)},
		"65536":                    {Service: Pool{1, Constant(1)}, Shape: Steady(1, 1), Mix: Mix{Tenants: make([]Tenant, 1<<16+1)}},
	} {
		if err := sc.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if err := small().Validate(); err != nil {
		t.Error(err)
	}
	for _, s := range []Service{Pool{}, CPU{}, Process{}} {
		if c := s.Capacity(); c != 0 {
			t.Errorf("%T{} has capacity %v", s, c)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct {
		name    string
		service Service
	}{
		{"pool", Pool{20, LogNormal(10*time.Millisecond, 1)}},
		{"cpu", CPU{4, LogNormal(2*time.Millisecond, 1)}},
		{"process", Process{Cores: 4, Time: LogNormal(2*time.Millisecond, 1), Yields: true}},
		{"delay", Delay{LogNormal(10*time.Millisecond, 1)}},
	} {
		for _, level := range []float64{.5, 2} {
			b.Run(fmt.Sprintf("%s at %v", c.name, level), func(b *testing.B) {
				sc := Scenario{Service: c.service, Unit: 2000, Shape: Steady(5*time.Second, level)}
				n := 0
				for b.Loop() {
					sc.Seed++
					r, err := Simulate(sc, semaphore(40))
					if err != nil {
						b.Fatal(err)
					}
					n += r.Total.Offered
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
			})
		}
	}
}

// BenchmarkSideBySide is BenchmarkRequest of a pool, with a simulation for
// each processor.
func BenchmarkSideBySide(b *testing.B) {
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := Simulate(Scenario{
				Service: Pool{20, LogNormal(10*time.Millisecond, 1)}, Shape: Steady(5*time.Second, 2),
			}, semaphore(40))
			if err != nil {
				b.Error(err)
				return
			}
			n.Add(int64(r.Total.Offered))
		}
	})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n.Load()), "ns/request")
}
