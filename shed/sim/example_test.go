package sim_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed/sim"
)

// limit refuses what does not find one of n places free.
func limit(n int) sim.Builder {
	return func(env *sim.Env) func(http.Handler) http.Handler {
		places := make(chan struct{}, n)
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
					next.ServeHTTP(w, r)
				default:
					http.Error(w, "busy", http.StatusServiceUnavailable)
				}
			})
		}
	}
}

// A service without protection does nothing useful any more once it is
// overloaded, and does not recover when the overload is over: whatever it
// answers is for clients that have left.
func Example() {
	scenario := sim.Scenario{
		Seed:    1,
		Service: sim.Pool{Workers: 10, Time: sim.Constant(10 * time.Millisecond)},
		Shape:   sim.Spike(0.5, 1.5, 2*time.Second, 10*time.Second, 3*time.Second),
	}
	for _, try := range []struct {
		name  string
		build sim.Builder
	}{{"bare", sim.Bare}, {"limit 40", limit(40)}} {
		r, err := sim.Simulate(scenario, try.build)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, phase := range r.Phases {
			fmt.Printf("%-8s %-6s goodput %.1f\n", try.name, phase.Name, phase.Goodput())
		}
	}
	// Output:
	// bare     before goodput 1.0
	// bare     spike  goodput 0.3
	// bare     after  goodput 0.0
	// limit 40 before goodput 1.0
	// limit 40 spike  goodput 1.0
	// limit 40 after  goodput 1.0
}

// A limit that is right for one service is too tight for another: here there
// is room for all, and a third of the traffic is refused for nothing.
func ExampleDelay() {
	r, err := sim.Simulate(sim.Scenario{
		Service: sim.Delay{Time: sim.Constant(100 * time.Millisecond)},
		Unit:    600, // level 1, in requests a second
		Shape:   sim.Steady(10*time.Second, 1),
	}, limit(40))
	if err != nil {
		fmt.Println(err)
		return
	}
	most := 0
	for _, w := range r.Windows {
		most = max(most, w.InFlight)
	}
	fmt.Printf("refused %.1f, at most %d in the handler\n", r.Total.Shed(), most)
	// Output:
	// refused 0.4, at most 40 in the handler
}

// All faults of a scenario are told at once.
func ExampleScenario_Validate() {
	_, err := sim.Simulate(sim.Scenario{
		Service: sim.Pool{Time: sim.Constant(time.Millisecond)},
		Shape:   sim.Steady(time.Minute, -1),
		Warmup:  time.Hour,
	}, sim.Bare)
	fmt.Println(err)
	var fault *handrail.OptionError
	fmt.Println(errors.As(err, &fault), fault.Option)
	// Output:
	// sim: Scenario.Service({Workers:0 Time:Constant(1ms)}): Workers must be between 1 and 1000000
	// sim: Scenario.Shape[0].From(-1): must be between 0 and 1000
	// sim: Scenario.Shape[0].To(-1): must be between 0 and 1000
	// sim: Scenario.Warmup(1h0m0s): must be shorter than the shape and not negative
	// true Scenario.Service
}

// One tenant sends most of the traffic. First come, first served gives it most
// of the capacity; the last column says what would be fair.
func ExampleResult_String() {
	r, err := sim.Simulate(sim.Scenario{
		Name:    "one noisy tenant",
		Seed:    1,
		Service: sim.Pool{Workers: 10, Time: sim.Constant(10 * time.Millisecond)},
		Shape:   sim.Step(5*time.Second, 0.5, 5*time.Second, 2),
		Warmup:  5 * time.Second,
		Mix: sim.Mix{Tenants: []sim.Tenant{
			{Name: "noisy", Share: 80}, {Name: "quiet", Share: 20},
		}},
	}, limit(10))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(r)
	// Output:
	// one noisy tenant, capacity 1000/s, seed 1
	//    phase  from  offered/s  useful/s  goodput   shed  wasted   p50   p99  critical   high  normal    low  background
	//   before    0s      496.2     483.2    0.974   2.5%    0.0%  10ms  10ms     0.977  0.980   0.975  0.972       0.972
	//    after    5s       1990       922    0.922  53.6%    0.0%  10ms  10ms     0.460  0.443   0.474  0.459       0.479
	//    total    5s       1990       922    0.922  53.6%    0.0%  10ms  10ms     0.460  0.443   0.474  0.459       0.479
	//
	//   tenant  offered/s   shed   p99  success   fair
	//    noisy       1580  53.8%  10ms    0.462  0.374
	//    quiet      409.6  53.0%  10ms    0.470  1.000
}

func ExampleMaxMin() {
	fmt.Println(sim.MaxMin(10, []float64{1, 3, 20, 20}))
	// Output: [1 3 3 3]
}
