package load

import (
	"fmt"
	"math"
	"time"

	"github.com/handrail-go/handrail"
)

// Option changes one setting of a [Sampler]. A later option wins.
type Option func(*settings)

// settings are all that options can say, immutable once New returned.
type settings struct {
	name       string
	interval   time.Duration
	window     time.Duration
	thresholds Thresholds
	source     func() (Usage, error)
	scheduler  func() Scheduler
	onError    func(error)

	faults []error
}

func defaults() settings {
	return settings{
		interval:   time.Second,
		window:     30 * time.Second,
		thresholds: Thresholds{CPU: 0.80, Memory: 0.85, Runnable: 8},
	}
}

func (set *settings) fault(option string, value any, reason string) {
	set.faults = append(set.faults, &handrail.OptionError{Package: "load", Option: option, Value: value, Reason: reason})
}

// within sets *to, or records that value lies outside.
func (set *settings) within(option string, to *time.Duration, value, least, most time.Duration) {
	if value < least || value > most {
		set.fault(option, value, fmt.Sprintf("must be %v to %v", least, most))
		return
	}
	*to = value
}

// WithName names the sampler in its metrics. The default is empty.
func WithName(name string) Option {
	return func(set *settings) { set.name = name }
}

// WithInterval sets how often CPU and memory are read, 1 ms to 1 min; the
// default is 1 s. A reading older than three intervals counts as unknown. The
// default source measures CPU over at least 100 ms, however often it is asked.
func WithInterval(d time.Duration) Option {
	return func(set *settings) {
		set.within("WithInterval", &set.interval, d, time.Millisecond, time.Minute)
	}
}

// WithWindow sets over how long rates and latencies of requests are taken,
// 10 ms to 1 h; the default is 30 s. It is cut into ten parts, one of which
// fades out at a time.
func WithWindow(d time.Duration) Option {
	return func(set *settings) {
		set.within("WithWindow", &set.window, d, 10*time.Millisecond, time.Hour)
	}
}

// WithSource replaces what reads CPU and memory. The source is never called
// concurrently with itself; it is called by the sampler's goroutine, or by a
// reader that finds the last reading too old, so it has to be quick.
//
// A signal that is not Known is unavailable, which is no failure. An error
// says why those that are not Known failed; the others are used all the same.
// A value that is negative, infinite or not a number is a failure of that
// signal, one above 1 counts as 1, and a panic fails them all. What failed
// keeps its last good value until that is three intervals old.
func WithSource(source func() (Usage, error)) Option {
	return func(set *settings) {
		if source == nil {
			set.fault("WithSource", nil, "must not be nil")
			return
		}
		set.source = source
	}
}

// WithScheduler replaces what reads the scheduler. It is called by whoever
// asks, on a request's goroutine, at most once a millisecond and never
// concurrently with itself, so it has to be very quick. A panic or a value
// that is negative, infinite or not a number makes the reading unknown.
func WithScheduler(read func() Scheduler) Option {
	return func(set *settings) {
		if read == nil {
			set.fault("WithScheduler", nil, "must not be nil")
			return
		}
		set.scheduler = read
	}
}

// Thresholds say where a signal counts as 1 in [Sampler.Pressure]. A field
// that is 0 keeps the default, and positive infinity leaves the signal out.
type Thresholds struct {
	// CPU is a share of what the process may use, as Usage.CPU; 0.80.
	CPU float64
	// Memory is a share of what the process may use, as Usage.Memory; 0.85.
	Memory float64
	// Runnable is waiting goroutines per P, as Scheduler.Runnable; 8.
	Runnable float64
}

// WithThresholds sets where the pressure is 1.
func WithThresholds(t Thresholds) Option {
	return func(set *settings) {
		share := func(field string, to *float64, value float64) {
			switch {
			case value == 0:
			case value > 0 && value <= 1, math.IsInf(value, 1):
				*to = value
			default:
				set.fault("WithThresholds", value, field+" must be above 0 and at most 1, or +Inf to leave it out, or 0 for the default")
			}
		}
		share("CPU", &set.thresholds.CPU, t.CPU)
		share("Memory", &set.thresholds.Memory, t.Memory)
		switch {
		case t.Runnable == 0:
		case t.Runnable > 0:
			set.thresholds.Runnable = t.Runnable
		default:
			set.fault("WithThresholds", t.Runnable, "Runnable must be above 0, or +Inf to leave it out, or 0 for the default")
		}
	}
}

// OnError has f called when a signal begins to fail, once until it has been
// well again, with an error that holds a [*SignalError] for each signal that
// fails then. f runs on a goroutine of its own, one call after the other; it
// may block, panic, or call back into the sampler.
func OnError(f func(error)) Option {
	return func(set *settings) {
		if f == nil {
			set.fault("OnError", nil, "must not be nil")
			return
		}
		set.onError = f
	}
}
