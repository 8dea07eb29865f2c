package load

import "math"

// Pressure says in one number how loaded the process is: 0 idle, 1 at the
// threshold of a signal, more beyond it. It is the greatest of CPU, memory and
// runnable goroutines per P, each divided by its threshold ([Thresholds]); a
// signal that is unknown is left out, and with none known it is 0. It is
// always finite.
//
// CPU and memory end at 1 and so cannot take it beyond 1.25 and 1.18 with the
// default thresholds; only runnable goroutines tell a little too much from far
// too much.
//
// As a method value it is what other packages take as a func() float64. It is
// cheap enough to ask for each request.
func (s *Sampler) Pressure() float64 {
	return s.set.thresholds.pressure(s.Usage(), s.Scheduler())
}

func (t Thresholds) pressure(u Usage, c Scheduler) float64 {
	p := 0.0
	if u.CPU.Known {
		p = u.CPU.V / t.CPU
	}
	if u.Memory.Known {
		p = max(p, u.Memory.V/t.Memory)
	}
	if c.Known {
		p = max(p, c.Runnable/t.Runnable)
	}
	return min(p, math.MaxFloat64)
}
