package health

import (
	"context"
	"math"
	"reflect"
	"sync"

	"github.com/handrail-go/handrail/internal/option"
)

// Check is something that can be asked how well it is. Those of this package
// are made by [SQL], [TCP] and their like; [Func] makes one of a function. The
// zero value is none, and refused.
type Check struct {
	run func(context.Context) error
	// kind is the component's type, as the draft has it.
	kind string
	// load says that it tells how busy the process is, which is no reason to
	// restart it.
	load bool
	// usual are settings that suit it better than those for all.
	usual []CheckOption
	// faults are those of its arguments.
	faults option.Faults
}

// Func makes a Check of a function. nil is healthy, a [Warning] is a concern,
// and any other error a failure. The function is never called concurrently with
// itself, and gets a context of its own, which ends when its time is over or the
// Health is closed, and that of no probe.
func Func(check func(ctx context.Context) error) Check {
	c := Check{run: check}
	if check == nil {
		c.fault("Func", nil, "needs a function")
	}
	return c
}

// Run runs the check once, for use within another one.
func (c Check) Run(ctx context.Context) error { return c.run(ctx) }

// Checkable is what [WithCheck] takes: a function or a Check.
type Checkable interface {
	Check | ~func(context.Context) error
}

func checkOf[C Checkable](c C) Check {
	switch c := any(c).(type) {
	case Check:
		return c
	case func(context.Context) error:
		return Func(c)
	default: // a function of a type of its own
		return Func(reflect.ValueOf(c).Convert(reflect.TypeFor[func(context.Context) error]()).Interface().(func(context.Context) error))
	}
}

func (c *Check) fault(option string, value any, reason string) {
	c.faults.Package = "health"
	c.faults.Fault(option, value, reason)
}

// levels checks the thresholds of a built-in check: 0 is never, and otherwise
// failing must not come before warning.
func (c *Check) levels(option string, warn, fail float64) {
	switch {
	case !(warn >= 0) || !(fail >= 0) || math.IsInf(warn, 0) || math.IsInf(fail, 0):
		c.fault(option, [2]float64{warn, fail}, "thresholds must be 0, for never, or above")
	case warn == 0 && fail == 0:
		c.fault(option, [2]float64{warn, fail}, "needs a threshold to warn at or to fail at")
	case warn > 0 && fail > 0 && warn > fail:
		c.fault(option, [2]float64{warn, fail}, "must not fail before it warns")
	}
}

// Observation is something that a check measured, for the members observedValue
// and observedUnit of application/health+json.
type Observation struct {
	// Measurement is "utilization", "responseTime", "connections" or "uptime",
	// or another standard term.
	Measurement string
	Value       float64
	// Unit is "ms", "percent", "By"; empty for a plain number.
	Unit string
}

// maxObservations is how many of them one run may tell.
const maxObservations = 4

// Observe tells what a check measured; ctx is the one that the check was given.
// The first four measurements of a run are kept, each by its last value; names
// and units are at most 32 bytes long and have no colon. What is wrong, not
// finite, or of another context is dropped.
func Observe(ctx context.Context, measurement string, value float64, unit string) {
	o, _ := ctx.Value(observationsKey{}).(*observations)
	if o == nil || !observable(measurement) || len(unit) > 32 || math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	for i := range o.all {
		if o.all[i].Measurement == measurement {
			o.all[i] = Observation{measurement, value, unit}
			return
		}
	}
	if len(o.all) < maxObservations {
		o.all = append(o.all, Observation{measurement, value, unit})
	}
}

type observationsKey struct{}

// observations collects what one run measured.
type observations struct {
	mu   sync.Mutex
	all  []Observation
	over bool
}

func (o *observations) take() []Observation {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	return o.all
}

func observable(measurement string) bool {
	if measurement == "" || len(measurement) > 32 {
		return false
	}
	for _, c := range []byte(measurement) {
		if c == ':' || c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
