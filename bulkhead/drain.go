package bulkhead

import (
	"math"
	"time"
)

// Requests that were done are looked at no oftener than paceStep. What is older
// than paceMemory says nothing any more.
const (
	paceStep   = 100 * time.Millisecond
	paceMemory = 5 * time.Second
)

// pace knows how many requests are done in a second, as far as there have been
// refusals: nobody else wants to know, so nobody else pays for it.
type pace struct {
	at    time.Duration
	done  int64
	begun bool
	rate  float64 // 0 while it is not known
}

// observe is told how many requests have been done so far.
func (p *pace) observe(now time.Duration, done int64) {
	since := now - p.at
	if p.begun && since < paceStep {
		return
	}
	if !p.begun || since > paceMemory {
		*p = pace{at: now, done: done, begun: true}
		return
	}
	// Who is just coming in may be counted in one place only.
	rate := float64(max(done-p.done, 0)) / since.Seconds()
	if p.rate == 0 {
		p.rate = rate
	} else {
		p.rate += (rate - p.rate) * (1 - math.Exp(-since.Seconds()))
	}
	p.at, p.done = now, done
}

// drain is how long one more than waiting takes to get inside where inUse of
// all are: each is inside for all ÷ rate seconds on average (Little's law). It
// is 0 where that is not known, and at most a day.
func (p *pace) drain(waiting, inUse, all int) time.Duration {
	if p.rate <= 0 || inUse <= 0 {
		return 0
	}
	seconds := float64(waiting+1) * float64(all) / (p.rate * float64(inUse))
	return time.Duration(min(seconds, 86400) * float64(time.Second))
}
