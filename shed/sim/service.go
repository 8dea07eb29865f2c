package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Service is the work behind the middleware: [Pool], [CPU], [Process] or
// [Delay].
type Service interface {
	// Capacity is how many requests a second it can finish, positive infinity
	// where nothing bounds it.
	Capacity() float64

	faults() []string
	draw(*rand.Rand) time.Duration // the work of one request
	start(clock) model
}

// clock tells a model the time since the beginning of the simulation and how
// much slower than usual work is at this time.
type clock struct {
	began time.Time
	slow  []Slowdown
}

func (c clock) now() time.Duration { return time.Since(c.began) }

// takes is how long work that starts now takes, 1 ns to 24 h.
func (c clock) takes(work time.Duration) time.Duration {
	if len(c.slow) > 0 {
		work = time.Duration(float64(work) * slowness(c.slow, c.now()))
	}
	return min(max(work, 1), longest)
}

// model is a running service. Its methods are called concurrently.
type model interface {
	// arrive returns once the request has reached the outermost middleware.
	arrive(*attempt)
	// leave is called when the outermost middleware has returned.
	leave(*attempt)
	// work returns when the request's work is done, or dropped.
	work(a *attempt, gone <-chan struct{})
	// runnable is how many jobs per core wait for one.
	runnable() float64
	// latency is how long a job that becomes runnable now is going to wait.
	latency() time.Duration
	// used is the CPU time used up to now, of all cores together.
	used() time.Duration
	// cores is how much CPU time a second has.
	cores() int
	// drop ends all work there is and is to come.
	drop()
}

// direct is the part of a model where a request comes straight to the
// middleware and no CPU time is worth mentioning.
type direct struct{}

func (direct) arrive(*attempt)        {}
func (direct) leave(*attempt)         {}
func (direct) runnable() float64      { return 0 }
func (direct) latency() time.Duration { return 0 }
func (direct) used() time.Duration    { return 0 }
func (direct) cores() int             { return 1 }

// rate is how many requests a second n servers finish, 0 without a mean.
func rate(n int, mean time.Duration) float64 {
	if mean <= 0 {
		return 0
	}
	return float64(n) / mean.Seconds()
}

func mean(d Dist) time.Duration {
	if d == nil {
		return 0
	}
	return d.Mean()
}

func timeFaults(d Dist) []string {
	if d == nil {
		return []string{"Time must be given"}
	}
	if c, ok := d.(checker); ok {
		if reason := c.fault(); reason != "" {
			return []string{"Time " + reason}
		}
	}
	if d.Mean() <= 0 {
		return []string{"Time must have a mean above 0"}
	}
	return nil
}

func countFaults(field string, n int) []string {
	if n < 1 || n > 1e6 {
		return []string{field + " must be between 1 and 1000000"}
	}
	return nil
}

// Delay takes its time for every request however many there are: a dependency
// with room for all. Nothing can overload it, so whatever a middleware refuses
// in front of it is a false alarm.
type Delay struct {
	// Time one request takes.
	Time Dist
}

// Capacity is infinite.
func (Delay) Capacity() float64 { return math.Inf(1) }

func (d Delay) faults() []string { return timeFaults(d.Time) }

func (d Delay) draw(r *rand.Rand) time.Duration { return d.Time.Draw(r) }

func (d Delay) start(c clock) model { return &delay{clock: c} }

type delay struct {
	direct
	clock
}

func (d *delay) work(a *attempt, gone <-chan struct{}) { spend(d.takes(a.need), gone) }

func (d *delay) drop() {}

// spend sleeps, or until gone is closed.
func spend(d time.Duration, gone <-chan struct{}) {
	if gone == nil {
		time.Sleep(d)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-gone:
	}
}
