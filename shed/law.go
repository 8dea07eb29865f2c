package shed

import (
	"math"
	"time"
)

// The constants of the control law. They are ratios and counts, not times or
// rates of a particular service; docs/decisions says what was tried beside them.
const (
	lawGain        = 1.5  // limit as a multiple of what Little's law says is needed
	lawCalm        = 1.2  // latency over base up to which there is no queue to speak of
	lawSlow        = 2.0  // latency over base from which there is one
	lawFollow      = 0.4  // elasticity above which throughput followed the limit
	lawFollowSurge = 0.7  // the same where overload is the likelier cause
	lawDemand      = 1.5  // arrivals over those of calm times that count as more demand
	lawHot         = 0.98 // CPU use that counts as saturated
	lawRunnable    = 8.0  // runnable goroutines per P that count as saturated
	lawTelling     = 0.25 // CPU use from which it tells what the CPU can do
	lawLeastBurst  = 8    // room for a burst that the CPU does not take away
	lawPeak        = 1.5  // calm limit over the recent peak of in-flight
	lawAlarm       = 4.0  // latency over base that does not wait for a full window
	lawAbandon     = 0.3  // share of abandoned work that needs no further evidence
	lawUneven      = 100  // squared coefficient of variation that is believed
	lawCut         = 0.7  // the least cut whose effect stands above the noise
	lawDeepest     = 0.35 // the deepest single cut
	lawZ           = 2.0  // standard errors that settle a sequential test
	lawMinCount    = 50   // completions in a window, at least
	lawMaxCount    = 400  // and at most
	lawWindow      = 50 * time.Millisecond
	lawLongest     = 2 * time.Second        // a window of a slow service ends here at the latest
	lawRelax       = 5 * time.Second        // time constant of the way back while calm
	lawBurst       = 100 * time.Millisecond // of work that a burst may bring at once
	lawForget      = 10 * time.Second       // time constant of the peak of in-flight
	lawDrift       = 30 * time.Second       // time constant of base upwards while calm
	lawProbe       = 30 * time.Second       // between probes of base while binding, at most
	lawProbeRTTs   = 300                    // but at least so many latencies
	lawProbeN      = 10000                  // and completions
)

// phase is what the law is trying to find out.
type phase uint8

const (
	steady  phase = iota
	raising       // does throughput follow a raise?
	cutting       // does a cut towards gain × rate × base cost throughput?
	probing       // where does throughput begin to fall? base is measured there
)

// sample is what was seen since the last window closed.
type sample struct {
	now       time.Duration // on the gate's clock
	completed float64       // requests that left the handler with a latency
	abandoned float64       // of those, whose client had left
	occupied  float64       // requests inside, integrated over time, seconds
	square    float64       // sum of squared latencies
	longest   float64       // latency, seconds
	offered   float64       // arrivals
	held      float64       // arrivals that found the gate full
	peak      float64       // most in flight
	hot       bool          // the CPU is saturated
	cpu       float64       // its use, 0…1; 0 where that is unknown
}

// binding reports whether most arrivals found the gate full.
func (s *sample) binding() bool { return s.held > .5*s.offered }

// law finds how many requests may be inside: limit = gain × throughput × base
// latency (Little's law), where no change is believed until the throughput it
// caused has been seen. It is a plain state machine without a lock or a clock.
type law struct {
	min, max, initial float64
	hardMax           float64 // max before a cap

	limit float64
	base  float64 // seconds in the handler without a queue; 0 while unknown
	rate  float64 // completions per second
	stuck float64 // requests inside that do not seem to end
	best  float64 // most of them lately: what can be done, also while less is asked

	phase     phase
	before    float64 // limit before the change under test
	rateThen  float64 // throughput before it
	countThen float64 // completions behind rateThen
	cuts      int     // in a row that cost nothing
	triedUp   bool

	start     time.Duration // of the window
	lastClose time.Duration
	settle    time.Duration // a change takes effect until then
	settling  bool

	last      float64 // latency of the last window
	spread    float64 // squared coefficient of variation of latency, smoothed
	peak      float64 // of in-flight, decaying
	offered   float64 // arrivals per second
	calmOffer float64 // the same in calm times
	calmSeen  float64 // windows behind calmOffer
	surge     bool    // offered is beyond what calmOffer explains
	strained  int     // windows in a row with a saturated CPU and a queue
	calmFor   float64 // seconds
	calmTail  float64 // slow requests of calm times, seconds
	probeAt   time.Duration
	backoff   float64 // of the time between probes; doubles while a probe confirms
	windows   float64 // steady windows at this limit
	rateHere  float64 // throughput at this limit, smoothed
	timeHere  float64 // latency at this limit, smoothed
}

func newLaw(now time.Duration, lo, initial, hi float64) law {
	return law{
		min: lo, max: hi, hardMax: hi, initial: initial, limit: initial,
		spread: .5, backoff: 1, start: now, lastClose: now,
	}
}

// restart begins a new window after a time in which nothing happened, which
// says nothing about what can be done.
func (l *law) restart(now time.Duration) {
	l.start, l.lastClose = now, now
}

// bound changes the bounds; the limit moves into them.
func (l *law) bound(lo, initial, hi float64) {
	l.min, l.initial, l.max, l.hardMax = lo, initial, hi, hi
	if within := min(max(l.limit, lo), hi); within != l.limit {
		l.jump(within)
	}
}

// bounded reports whether these are the bounds already.
func (l *law) bounded(lo, initial, hi float64) bool {
	return l.min == lo && l.initial == initial && l.hardMax == hi
}

// anew forgets what was seen at the limit of before.
func (l *law) anew() { l.windows, l.rateHere, l.timeHere = 0, 0, 0 }

// jump sets the limit from outside: what was being tested is void.
func (l *law) jump(to float64) {
	l.limit, l.phase, l.cuts = to, steady, 0
	l.anew()
}

// cap lowers the upper bound for the time being. A limit above it comes down
// at once, and what was being tested is void.
func (l *law) cap(hi float64) {
	l.max = min(max(hi, l.min), l.hardMax)
	if l.limit > l.max {
		l.jump(l.max)
	}
}

// tail is about what one request in a hundred takes while there is no overload,
// seconds. 1 + 3 standard deviations is within a third of the 99th percentile
// of lognormal times, however uneven they are.
func (l *law) tail() float64 {
	return max(l.base*(1+3*math.Sqrt(l.spread)), l.calmTail)
}

// slots is the limit as a number of requests.
func (l *law) slots() int64 { return int64(math.Round(l.limit)) }

// observe is given what was seen since start and says whether it closed the
// window: the caller then begins a new sample at s.now. inside is how many
// are in flight.
func (l *law) observe(s sample, inside int64) (closed bool) {
	if s.completed == 0 && s.held > 0 && s.now-l.start > max(time.Second, seconds(10*l.tail())) {
		// Whatever is inside hangs. Let a few in beside it, or it would never
		// be known when it works again.
		l.stuck = float64(inside)
		l.jump(l.min)
		l.settling = false
		l.start = s.now
		return true
	}
	if l.settling {
		// Those above the limit may stay for long: wait for them only so long.
		if s.now < l.settle || inside > l.slots()+int64(l.stuck) && s.now < l.settle+max(time.Second, 4*(l.settle-l.start)) {
			return false
		}
		l.settling = false
		l.start = s.now
		return true
	}
	if s.completed < 8 {
		return false
	}
	d := (s.now - l.start).Seconds()
	// Little's law, not the mean of what completed: that would still hear of
	// the time before a change.
	latency := max(min(s.occupied/s.completed, s.longest), 1e-6)
	rate := max(s.completed-s.abandoned, .5) / d // never 0: its logarithm is taken
	need := min(max(lawMinCount, 200*l.spread), lawMaxCount)
	if l.phase != steady {
		// A sequential test: did the throughput follow the limit?
		if d < max(latency, l.base) {
			return false
		}
		verdict := l.rateThen * math.Pow(l.limit/l.before, l.doubt(s.hot))
		noise := math.Sqrt(max(l.spread, .5) * (1/s.completed + 1/max(l.countThen, 16)))
		if s.completed < 16 || math.Abs(rate/verdict-1) < lawZ*noise && s.completed < need && d < lawLongest.Seconds() {
			return false
		}
	} else {
		latencies := 2.
		if l.base == 0 {
			need, latencies = 16, 1
		}
		if l.base > 0 && (s.held > 0 && latency > lawAlarm*l.base || s.hot && latency > lawSlow*l.base) {
			need, latencies = 16, 0
		}
		if d < lawWindow.Seconds() || s.completed < need && d < 1 || d < latencies*latency && d < lawLongest.Seconds() {
			return false
		}
	}
	l.close(s, d, latency, rate)
	return true
}

func (l *law) close(s sample, d, latency, rate float64) {
	l.spread += .2 * (min(max(0, s.square/s.completed/(latency*latency)-1), lawUneven) - l.spread)
	l.offered = s.offered / d
	// More demand than in calm times, beyond chance, makes an overload likelier
	// than a slower handler.
	expected := lawDemand * l.calmOffer * d
	l.surge = l.calmOffer > 0 && s.offered > expected+2*math.Sqrt(expected)
	l.last = latency
	// By Little's law no more can be inside than come and go, unless some do
	// not go: those take their slots away from nobody.
	l.stuck = max(0, s.occupied/d-s.completed/d*latency)
	if s.occupied/s.completed <= s.longest {
		l.stuck = 0
	}
	l.start = s.now
	since := (s.now - l.lastClose).Seconds()
	l.lastClose = s.now
	l.peak = max(l.peak*math.Exp(-since/lawForget.Seconds()), s.peak)
	l.best = max(rate, l.best*math.Exp(-since/lawDrift.Seconds()))
	if l.rate == 0 {
		l.rate = rate
	} else if l.phase == steady {
		l.rate += .4 * (rate - l.rate)
	}
	// Slow but not binding is an overload if the CPU is saturated and stays
	// so, or if there is more demand than in calm times.
	if s.hot && latency > lawSlow*l.base && s.peak > .75*l.limit {
		l.strained++
	} else {
		l.strained = 0
	}
	queueing := l.surge && latency > lawAlarm*l.base && s.peak > .25*l.limit
	if s.binding() || l.base > 0 && (queueing || l.strained >= 3) {
		l.calmFor = 0
		if s.abandoned > lawAbandon*s.completed {
			l.retreat(s.now, latency)
			return
		}
		l.busy(s.now, rate, latency, s.completed, s.hot)
		return
	}
	l.calm(s.now, rate, latency, since, s.cpu)
}

// calm learns what normal is, and lets the limit relax.
func (l *law) calm(now time.Duration, rate, latency, since, cpu float64) {
	// The mean at first, so that an idle beginning does not stand for long.
	l.calmSeen++
	l.calmOffer += max(min(.3, since), 1/l.calmSeen) * (l.offered - l.calmOffer)
	switch l.phase {
	case cutting, probing:
		l.move(now, l.before)
	case raising:
		if l.elasticity(rate) < lawFollow {
			l.move(now, l.before)
		}
	}
	l.phase = steady
	l.cuts = 0
	if l.calmFor += since; l.calmFor > .2 {
		l.triedUp = false
	}
	l.backoff = 1
	l.probeAt = now + l.probeEvery(rate)
	// Calm can be close to full: what is slow then is no yardstick.
	slow := min(latency, lawSlow*l.base) * (1 + 3*math.Sqrt(l.spread))
	l.calmTail += min(1, since/lawRelax.Seconds()) * (slow - l.calmTail)
	switch over := latency / l.base; {
	case l.base == 0:
		l.base = latency
	case over < 1:
		l.base += .3 * (latency - l.base)
	case over < lawSlow:
		l.base += min(1, since/lawDrift.Seconds()) * (latency - l.base)
	}
	if latency < lawCalm*l.base {
		// The limit of calm times leaves room for a burst from idle.
		goal := min(max(l.roomForBurst(rate, cpu), lawPeak*l.peak), l.max)
		f := math.Exp(since / lawRelax.Seconds())
		if l.limit < goal {
			l.limit = min(goal, l.limit*f)
		} else {
			l.limit = max(goal, l.limit/f)
		}
	}
	l.anew()
}

// roomForBurst is how many a burst from idle may find room for: the initial
// limit, but no more than lawBurst of work where the CPU is busy enough to tell
// what it can do. By the utilization law (Denning and Buzen 1978) a CPU that is
// used by a share u at a rate x is full at x/u. What is beyond that waits
// better in front of the gate, where it is ranked.
func (l *law) roomForBurst(rate, cpu float64) float64 {
	if cpu < lawTelling {
		return l.initial
	}
	return min(l.initial, max(rate/cpu*lawBurst.Seconds(), lawLeastBurst))
}

// elasticity is how far the throughput followed the limit: 1 in proportion,
// 0 not at all.
func (l *law) elasticity(rate float64) float64 {
	if l.limit == l.before {
		return 0 // a bound was in the way
	}
	return math.Log(rate/l.rateThen) / math.Log(l.limit/l.before)
}

// doubt is the elasticity from which throughput is said to have followed the
// limit. A cut that demand or the CPU called for is not given up lightly.
func (l *law) doubt(hot bool) float64 {
	if l.phase == cutting && (hot || l.surge) {
		return lawFollowSurge
	}
	return lawFollow
}

// busy handles a window in which the limit was binding.
func (l *law) busy(now time.Duration, rate, latency, count float64, hot bool) {
	switch l.phase {
	case raising:
		if e := l.elasticity(rate); e > lawFollow {
			// More concurrency, more throughput: we were below the knee.
			if e > .8 || l.base == 0 {
				l.base = latency
			} else {
				l.base = max(l.base, .7*latency)
			}
			l.raise(now, rate)
			return
		}
		l.limit = l.before
		l.countThen = count
		l.cut(now, rate, false)
		return
	case cutting, probing:
		l.judgeCut(now, rate, latency, count, hot)
		return
	}
	l.cuts = 0
	if l.base == 0 {
		l.base = latency
		l.raise(now, rate)
		return
	}
	l.windows++
	l.countThen = min(l.countThen+count, 400)
	w := max(.25, 1/l.windows)
	l.rateHere += w * (rate - l.rateHere)
	l.timeHere += w * (latency - l.timeHere)
	over := l.timeHere / l.base
	goal := lawGain * l.rateHere * l.base
	// Without more demand than in calm times and with processors to spare, a
	// limit that binds may just be too low. Only more concurrency can tell.
	doubtful := !l.triedUp && !hot && !l.surge && l.limit < l.max
	switch {
	case over > 1.5*lawSlow || over > lawSlow && l.windows >= 2:
		if doubtful {
			l.raise(now, l.rateHere)
		} else {
			l.countThen = min(l.countThen, 200)
			l.cut(now, l.rateHere, hot || l.surge)
		}
	case over < lawCalm:
		if over < .9 {
			// Quicker than without a queue: base was learnt in one.
			l.base += .3 * (l.timeHere - l.base)
			goal = lawGain * l.rateHere * l.base
		}
		l.move(now, min(max(goal, l.limit), 2*l.limit))
	case doubtful:
		l.raise(now, l.rateHere)
	case over < lawSlow && goal > 1.1*l.limit:
		l.move(now, min(goal, 2*l.limit))
	case now > l.probeAt:
		l.before, l.rateThen, l.phase = l.limit, l.rateHere, probing
		l.countThen = min(l.countThen, 200)
		l.move(now, l.limit*lawCut)
	}
}

// retreat gives way where clients leave before they are answered: whatever made
// it so, fewer inside is better, and throughput cannot be judged from answers
// that nobody got.
func (l *law) retreat(now time.Duration, latency float64) {
	if l.base == 0 {
		l.base = latency * l.min / l.limit
	}
	l.phase, l.cuts = steady, 0
	l.move(now, .5*l.limit)
}

// judgeCut decides what the throughput after a cut says.
func (l *law) judgeCut(now time.Duration, rate, latency, count float64, hot bool) {
	followed := l.elasticity(rate) > l.doubt(hot)
	if followed || l.limit <= l.min {
		// Below the knee: latency is now the time in the handler alone.
		if l.phase == probing && math.Abs(latency/l.base-1) < .4 {
			l.backoff = min(2*l.backoff, 4)
		} else {
			l.backoff = 1
		}
		if followed {
			l.learn(latency)
		} else {
			l.base = min(l.base, latency)
		}
		l.probeAt = now + l.probeEvery(max(rate, l.rateThen))
		l.phase = steady
		l.cuts = 0
		l.rate = l.rateThen
		l.move(now, min(lawGain*l.rate*l.base, 2*l.before))
		return
	}
	if latency < l.base && l.phase == cutting {
		l.base = latency
	}
	// Nothing lost, so still at or above the knee, and its rate better known.
	rate = l.rateThen + (rate-l.rateThen)*count/(count+l.countThen)
	l.countThen = min(l.countThen+count, 400)
	if l.phase == probing || l.limit > 1.3*lawGain*rate*l.base {
		l.cut(now, rate, false)
		return
	}
	l.phase = steady
	l.cuts = 0
	l.windows, l.rateHere, l.timeHere = 1, rate, latency
}

// probeEvery is how long base is trusted while the limit binds.
func (l *law) probeEvery(rate float64) time.Duration {
	return seconds(l.backoff * max(lawProbe.Seconds(), lawProbeRTTs*l.base, lawProbeN/rate))
}

// learn takes over the latency below the knee as base. Where something else
// than a slower handler explains a greater one, it is believed only little by
// little: more demand, or in a probe, which nothing called for, chance. What
// chance adds would stay for as long as the limit binds.
func (l *law) learn(latency float64) {
	switch {
	case l.phase == probing && l.base > 0:
		l.base = min(l.base+.5*(latency-l.base), 1.1*l.base)
	case l.surge && l.base > 0:
		l.base = min(latency, 1.25*l.base)
	default:
		l.base = latency
	}
}

func (l *law) raise(now time.Duration, rate float64) {
	l.triedUp = true
	l.before, l.rateThen, l.phase = l.limit, rate, raising
	l.move(now, 2*l.limit)
}

// cut lowers the limit towards gain × rate × base. Where the cause is sure it
// goes there at once, otherwise in steps whose effect can be judged.
func (l *law) cut(now time.Duration, rate float64, sure bool) {
	l.before, l.rateThen, l.phase = l.limit, rate, cutting
	goal := lawGain * rate * l.base
	if goal > .8*l.limit {
		// base is unknown or inflated: look for the knee.
		l.phase = probing
		goal, sure = 0, false
	}
	// Each cut that cost nothing makes the next one bolder.
	l.cuts++
	deepest := max(lawDeepest, math.Pow(lawCut, float64(l.cuts)))
	if sure {
		deepest = 0
	}
	l.move(now, min(max(goal, deepest*l.limit), lawCut*l.limit))
}

// move changes the limit and waits for one latency, as it will be then,
// before anything is measured.
func (l *law) move(now time.Duration, to float64) {
	to = min(max(to, l.min), l.max)
	from := l.slots()
	wait := l.last
	if to < l.limit {
		wait = max(wait*to/l.limit, l.base)
	}
	l.limit = to
	if l.slots() != from {
		l.settling = true
		l.settle = now + seconds(wait)
	}
	if l.phase == steady {
		l.countThen = 0
	}
	l.anew()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
