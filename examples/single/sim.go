package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/shed/sim"
)

// simAlone tries limits in front of a service as it might be: a database with 10
// connections that takes 25 ms for a query, so 400 requests a second are what it
// can do. For five seconds it is offered three times that.
func simAlone(out io.Writer) error {
	scenario := sim.Scenario{
		Seed:    1,
		Service: sim.Pool{Workers: 10, Time: sim.LogNormal(25*time.Millisecond, 0.5)},
		Shape:   sim.Spike(0.5, 3, 2*time.Second, 5*time.Second, 2*time.Second),
	}
	limitOf := func(n int) sim.Builder {
		return func(*sim.Env) func(http.Handler) http.Handler {
			return bulkhead.Middleware(bulkhead.WithLimit(n), bulkhead.WithMaxWait(100*time.Millisecond))
		}
	}
	for _, try := range []struct {
		name  string
		build sim.Builder
	}{
		{"nothing", sim.Bare},
		{"a bulkhead of 5", limitOf(5)},
		{"a bulkhead of 10", limitOf(10)},
		{"a bulkhead of 100", limitOf(100)},
		{"shed", func(env *sim.Env) func(http.Handler) http.Handler {
			return shed.Middleware(
				shed.WithSampler(env.Sampler()),
				shed.WithPriorityHeader(sim.PriorityHeader))
		}},
	} {
		result, err := sim.Simulate(scenario, try.build)
		if err != nil {
			return err
		}
		spike := result.Phases[1]
		fmt.Fprintf(out, "%-18s %3.0f%% of what was possible, critical %3.0f%%, 99th percentile %v\n",
			try.name, 100*spike.Goodput(), 100*spike.Classes[0].Success(), spike.P99.Round(time.Millisecond))
	}
	return nil
}
