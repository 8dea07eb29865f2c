package timeout

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/keyed"
	"github.com/handrail-go/handrail/internal/window"
)

// QuantileSettings are the settings of [ByQuantile]. Zero fields keep their
// defaults.
type QuantileSettings struct {
	// Factor is what the quantile is multiplied with, 1.25 to 100; 2.
	Factor float64
	// Floor is the shortest timeout, 1 ms to 1 h; 100 ms, which is long enough
	// for a pause of the scheduler or the garbage collector, or a cache that
	// is cold, not to be a timeout. It never makes a timeout longer than base.
	Floor time.Duration
	// MinSamples is how many requests of an operation the window must hold
	// before its timeout is learnt, 10 to 1,000,000; 100.
	MinSamples int
	// Window is how long a duration is remembered, 1 s to 1 h; 1 min.
	Window time.Duration
	// Operation says which requests are alike; nil means [handrail.ByRoute],
	// which knows the route only inside of a mux, see [handrail.ByMux] for
	// outside. Keys are cut to [handrail.MaxKeyLen].
	Operation handrail.KeyFunc
	// MaxOperations bounds how many operations are told apart, 1 to 100,000;
	// 256, at about 30 KiB each. Beyond it those idle for longest are
	// forgotten.
	MaxOperations int
}

// ByQuantile learns the timeout from how long requests of the same operation
// took lately: the quantile q of that, 0.9 to 1, times a factor. With q = 0.99
// and the default settings it is twice the 99th percentile of the last minute.
// It is never longer than base and never shorter than the floor; base applies
// while too few requests are known.
//
// It learns only as the calculator of a [Timeout], given to [Dynamic] or
// [WithCalculator] itself or through [Compose], and then from requests that
// were answered without a failure, and from those that were cut off.
//
// # When it is too short
//
// A request that was cut off would have taken longer, nobody knows how much. It
// counts as if it had taken as long as the timeout. So as soon as the part 1−q
// of the window is such requests, the quantile is the timeout, and the next
// timeout is that times the factor. A service that becomes slower for good
// therefore gets its time back, at the latest base: with the default settings,
// while every request is cut off, the timeout doubles about every second. A
// smaller q or a longer window make that slower.
func ByQuantile(q float64, settings QuantileSettings) Calculator {
	c := &byQuantile{operation: settings.Operation, epoch: time.Now()}
	if c.operation == nil {
		c.operation = handrail.ByRoute
	}
	if !(q >= 0.9 && q <= 1) {
		c.add("ByQuantile", q, "must be between 0.9 and 1")
	}
	c.q = q
	c.factor = setting(&c.flaws, "ByQuantile.Factor", settings.Factor, 2, 1.25, 100)
	c.floor = setting(&c.flaws, "ByQuantile.Floor", settings.Floor, 100*time.Millisecond, time.Millisecond, time.Hour)
	c.minSamples = float64(setting(&c.flaws, "ByQuantile.MinSamples", settings.MinSamples, 100, 10, 1e6))
	span := setting(&c.flaws, "ByQuantile.Window", settings.Window, time.Minute, time.Second, time.Hour)
	c.interval = span / 100
	c.operations = keyed.New(keyed.Config[operation]{
		Max: setting(&c.flaws, "ByQuantile.MaxOperations", settings.MaxOperations, 256, 1, 1e5),
		New: func(string) *operation {
			return &operation{durations: window.NewHistogram(span, quantileBuckets)}
		},
	})
	return c
}

// quantileBuckets are fewer than usual, because each takes 4 KiB.
const quantileBuckets = 6

type byQuantile struct {
	flaws
	q, factor, minSamples float64
	floor, interval       time.Duration
	operation             handrail.KeyFunc
	operations            *keyed.Map[operation]
	epoch                 time.Time

	// mu guards reading, which one operation after the other uses.
	mu      sync.Mutex
	reading window.Reading
}

// operation is what is known of requests that are alike.
type operation struct {
	durations *window.Histogram
	// learnt is the timeout before base is looked at, 0 while it is not known.
	learnt atomic.Int64
	// stale is when learnt is to be read anew, since the epoch.
	stale atomic.Int64
}

func (c *byQuantile) Timeout(r *http.Request, base time.Duration) time.Duration {
	d, _ := c.begin(r, base)
	return d
}

func (c *byQuantile) begin(r *http.Request, base time.Duration) (time.Duration, lesson) {
	if c.flaws != nil || base <= 0 {
		return max(base, 0), lesson{}
	}
	o, now := c.of(r), time.Since(c.epoch)
	if now >= time.Duration(o.stale.Load()) {
		c.read(o, now)
	}
	d := base
	if learnt := time.Duration(o.learnt.Load()); learnt > 0 {
		d = min(learnt, base)
	}
	return d, lesson{by: c, about: o, given: d, final: d}
}

// of returns the operation of r. It is not held on to: it may be forgotten
// while the request runs, and what is learnt then is lost with it.
func (c *byQuantile) of(r *http.Request) *operation {
	ref := c.operations.Acquire(keyed.Cut(c.operation(r)))
	defer ref.Release()
	return ref.Value()
}

// read sets o's timeout. Reading costs some microseconds, hence only now and
// then, and nobody waits for it: whoever finds somebody reading goes by what
// was known before.
func (c *byQuantile) read(o *operation, now time.Duration) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if now < time.Duration(o.stale.Load()) {
		return
	}
	o.durations.Read(now, &c.reading)
	learnt := time.Duration(0)
	if c.reading.Count() >= c.minSamples {
		// Near the end of the histogram's range a duration may be longer than
		// it can tell, and a timeout made of such might never grow.
		if quantile := c.reading.Quantile(c.q); quantile < window.MaxLatency/2 {
			learnt = max(scaled(quantile, c.factor), c.floor)
		}
	}
	o.learnt.Store(int64(learnt))
	o.stale.Store(int64(now + c.interval))
}

func (c *byQuantile) bound(base time.Duration) (time.Duration, bool) { return base, true }

// observer is a calculator that learns how long requests take.
type observer interface {
	Calculator
	// begin does what Timeout does, and returns what to tell how the request
	// went. The key of the request is looked up here and not again, because at
	// its end r may have another pattern, and a handler that was left behind
	// may be changing it.
	begin(r *http.Request, base time.Duration) (time.Duration, lesson)
}

// lesson is what a request teaches the calculator that chose its timeout. The
// zero lesson teaches nothing.
type lesson struct {
	by    *byQuantile
	about *operation
	// given is the timeout that by returned, final what the other calculators
	// made of it.
	given, final time.Duration
	// before is the lesson of a calculator in front of this one.
	before *lesson
}

// learn tells how long the request took, at most once. cut says that it was
// not done then: its time, or that of its client, was over. What says nothing
// about the operation is not to be told: a client that left, a failure, a
// panic, a long-lived exchange.
func (l *lesson) learn(took time.Duration, cut bool) {
	for ; l != nil && l.about != nil; l = l.before {
		d := took
		if cut {
			if took < l.final {
				continue // it had less time than was chosen, which teaches nothing
			}
			// Where a later calculator shortened the timeout, the request is
			// not to count as a fast one: that would shorten the next even
			// more.
			d = max(took, l.given)
		}
		l.about.durations.Record(time.Since(l.by.epoch), d)
	}
}
