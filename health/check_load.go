package health

import (
	"context"
	"time"
)

// Load looks at how loaded the process is. pressure tells that in one number, 1
// at the threshold of overload, as [load.Sampler.Pressure] does. It warns and
// fails from these pressures on, 0 for never, until the pressure is below nine
// tenths of that; it passes at first, and takes five results in a row either
// way, unless options say otherwise. It reads memory only, and runs once a second
// unless Every says otherwise.
//
// Load(sampler.Pressure, 1, 0) is good for nearly everybody: it tells, and fails
// nothing. Where readiness fails under load, the instances that are left get
// more of it, and fail next. The check is refused for Live: a restart makes less
// capacity of an overload, and no less load.
//
// [load.Sampler.Pressure]: https://pkg.go.dev/github.com/handrail-go/handrail/load#Sampler.Pressure
func Load(pressure func() float64, warn, fail float64) Check {
	c := Check{kind: "system", load: true, usual: []CheckOption{Every(time.Second), Initially(Pass), FailAfter(5), PassAfter(5)}}
	if pressure == nil {
		c.fault("Load", nil, "needs a function")
	}
	c.levels("Load", warn, fail)
	t := &thresholds{warn: warn, fail: fail}
	c.run = func(ctx context.Context) error {
		p := pressure()
		Observe(ctx, "pressure", p, "")
		return t.verdict(p, "the pressure is %.2f", p)
	}
	return c
}

// Breaker warns while a circuit is not closed. degraded tells that by an error,
// as [breaker.Breaker.Degraded] does. It never fails: what is behind a breaker
// is in trouble, and taking this instance out of service, or restarting it,
// helps nobody. It passes at first, warns at once, and passes after three good
// results, unless options say otherwise. It reads memory only, and runs once a
// second unless Every says otherwise. The check is refused for Live.
//
// [breaker.Breaker.Degraded]: https://pkg.go.dev/github.com/handrail-go/handrail/breaker#Breaker.Degraded
func Breaker(degraded func() error) Check {
	c := Check{load: true, usual: []CheckOption{Every(time.Second), Initially(Pass), FailAfter(1), PassAfter(3), Degrading()}}
	if degraded == nil {
		c.fault("Breaker", nil, "needs a function")
	}
	c.run = func(context.Context) error { return Warning(degraded()) }
	return c
}
