package sim

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/handrail-go/handrail"
)

// Scenario is what is simulated. Shape and Service are required; every other
// field has a useful zero value. A Scenario is not changed by running it and
// may be used by several simulations at once.
type Scenario struct {
	// Name is printed above the result.
	Name string
	// Seed of all that is random. The traffic depends on it and the scenario
	// alone, so the same seed offers exactly the same requests, at the same
	// times and with the same service times, to whatever middleware is tried.
	Seed uint64

	// Shape is the arrival rate over time, as multiples of Unit.
	Shape Shape
	// Unit is the rate in requests a second that level 1 of the Shape stands
	// for, up to 10,000,000; 0 means the capacity of the Service. A Service
	// without a bound on its throughput needs it; 1 makes the levels requests a
	// second.
	Unit float64
	// Arrivals is how they are spread; Poisson by default.
	Arrivals Arrivals
	// Warmup is how much of the beginning is left out of [Result.Total]. It
	// must be shorter than the Shape.
	Warmup time.Duration

	// Mix is who sends.
	Mix Mix
	// Deadline is how long a client waits for an answer to one attempt; then it
	// leaves and the request's context is cancelled. nil means 1 s. A draw of 0
	// means a client that waits for ever.
	Deadline Dist
	// HideDeadline makes the context tell no deadline. The client leaves all
	// the same, which is what a plain HTTP server sees: a context that is
	// suddenly cancelled.
	HideDeadline bool
	// Retry is what clients do with a refusal; by default they take it.
	Retry Retry

	// Service is the work behind the middleware.
	Service Service
	// Slowdowns make it slower for a while.
	Slowdowns []Slowdown
	// HonourCancel makes handlers stop when the client has left. Most real
	// ones do not, and neither do these by default.
	HonourCancel bool

	// Window is the resolution of [Result.Windows], 1 ms to 1 h; 0 means
	// 100 ms.
	Window time.Duration
	// Drain is how long after the end of the Shape requests may still be
	// answered, 0 meaning 1 min. Whatever work is left then is dropped, and its
	// requests count as late with the latency they have by then.
	Drain time.Duration
}

// Retry is how clients repeat requests that were answered 429 or 503.
type Retry struct {
	// Max is how often a client tries again, 0 to 100.
	Max int
	// Delay before each further attempt, each stretched or shortened at random
	// by up to Jitter, a share from 0 to 1.
	Delay  time.Duration
	Jitter float64
	// HonourRetryAfter makes a client wait at least as long as the answer's
	// Retry-After says, in seconds.
	HonourRetryAfter bool
	// Timeouts makes clients repeat also what they gave up on.
	Timeouts bool
}

// Slowdown multiplies the time of the work that starts between From and To
// since the beginning by Factor, 0.001 to 1000. Overlapping ones multiply.
type Slowdown struct {
	From, To time.Duration
	Factor   float64
}

// slowness is the factor at a moment.
func slowness(all []Slowdown, at time.Duration) float64 {
	factor := 1.0
	for i := range all {
		if at >= all[i].From && at < all[i].To {
			factor *= all[i].Factor
		}
	}
	return factor
}

// defaults fills in what was left zero.
func (sc Scenario) defaults() Scenario {
	if sc.Unit == 0 {
		sc.Unit = sc.Service.Capacity()
	}
	if sc.Deadline == nil {
		sc.Deadline = Constant(time.Second)
	}
	if sc.Window == 0 {
		sc.Window = 100 * time.Millisecond
	}
	if sc.Drain == 0 {
		sc.Drain = time.Minute
	}
	return sc
}

// most is how many requests a scenario may offer; it bounds memory to some
// gigabytes.
const most = 50_000_000

// Validate returns all faults of the scenario joined, each a
// [*handrail.OptionError], or nil.
func (sc Scenario) Validate() error {
	var faults []error
	fault := func(field string, value any, reason string) {
		faults = append(faults, &handrail.OptionError{Package: "sim", Option: "Scenario." + field, Value: value, Reason: reason})
	}
	lasting := func(field string, d, lo, hi time.Duration) {
		if d < lo || d > hi {
			fault(field, d, fmt.Sprintf("must be between %v and %v", lo, hi))
		}
	}
	within := func(field string, v, lo, hi float64) bool {
		ok := v >= lo && v <= hi
		if !ok {
			fault(field, v, fmt.Sprintf("must be between %v and %v", lo, hi))
		}
		return ok
	}

	rated := within("Unit", sc.Unit, 0, 1e7)
	unit := sc.Unit
	if sc.Service == nil {
		fault("Service", nil, "must be given")
		rated = false
	} else if bad := sc.Service.faults(); len(bad) > 0 {
		for _, f := range bad {
			fault("Service", fmt.Sprintf("%+v", sc.Service), f)
		}
		rated = false
	} else if unit == 0 {
		if unit = sc.Service.Capacity(); math.IsInf(unit, 1) {
			fault("Unit", sc.Unit, "must be given, as the service has no bound on its throughput")
			rated = false
		}
	}

	if len(sc.Shape) == 0 {
		fault("Shape", nil, "needs at least one phase")
	}
	offered, shaped := 0.0, rated
	for i, p := range sc.Shape {
		field := fmt.Sprintf("Shape[%d].", i)
		lasting(field+"Duration", p.Duration, 1, longest)
		ok := within(field+"From", p.From, 0, 1000)
		ok = within(field+"To", p.To, 0, 1000) && ok
		ok = within(field+"Burst", float64(p.Burst), 0, 1e6) && ok
		shaped = shaped && ok
		offered += (p.From+p.To)/2*unit*p.Duration.Seconds() + float64(p.Burst)
	}
	if shaped && offered > most {
		fault("Shape", fmt.Sprintf("%.0f requests", offered), fmt.Sprintf("must not offer more than %d requests", most))
	}
	if sc.Arrivals > Even {
		fault("Arrivals", sc.Arrivals, "must be Poisson or Even")
	}
	if len(sc.Shape) > 0 && (sc.Warmup < 0 || sc.Warmup >= sc.Shape.Duration()) {
		fault("Warmup", sc.Warmup, "must be shorter than the shape and not negative")
	}

	weights := func(field string, w []float64) (sum float64) {
		for _, x := range w {
			if !(x >= 0 && x <= 1e9) {
				fault(field, x, "a share must be between 0 and 1e9")
				return 1
			}
			sum += x
		}
		return sum
	}
	weights("Mix.Classes", sc.Mix.Classes[:])
	if len(sc.Mix.Tenants) > 1<<16 {
		fault("Mix.Tenants", len(sc.Mix.Tenants), "must not be more than 65536")
	} else if len(sc.Mix.Tenants) > 0 {
		shares := make([]float64, len(sc.Mix.Tenants))
		for i, t := range sc.Mix.Tenants {
			shares[i] = t.Share
			weights(fmt.Sprintf("Mix.Tenants[%d].Classes", i), t.Classes[:])
		}
		if weights("Mix.Tenants.Share", shares) == 0 {
			fault("Mix.Tenants", nil, "must not all have the share 0")
		}
	}
	if c, ok := sc.Deadline.(checker); ok {
		if reason := c.fault(); reason != "" {
			fault("Deadline", sc.Deadline, reason)
		}
	}

	within("Retry.Max", float64(sc.Retry.Max), 0, 100)
	lasting("Retry.Delay", sc.Retry.Delay, 0, longest)
	within("Retry.Jitter", sc.Retry.Jitter, 0, 1)
	for i, s := range sc.Slowdowns {
		field := fmt.Sprintf("Slowdowns[%d]", i)
		within(field+".Factor", s.Factor, .001, 1000)
		if s.From < 0 || s.To <= s.From {
			fault(field, fmt.Sprintf("%v to %v", s.From, s.To), "must end after it begins, and not begin before 0")
		}
	}
	if sc.Window != 0 {
		lasting("Window", sc.Window, time.Millisecond, time.Hour)
	}
	lasting("Drain", sc.Drain, 0, longest)
	return errors.Join(faults...)
}
