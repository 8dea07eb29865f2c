package breaker

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Breaker]. A later option wins.
type Option func(*settings)

// settings are all that options can say.
type settings struct {
	option.Faults

	name    string
	key     handrail.KeyFunc
	maxKeys int
	exempt  func(*http.Request) bool
	mode    Mode

	consecutive int
	share       float64
	least       int
	window      time.Duration
	buckets     int
	slowCall    time.Duration
	slowShare   float64
	classifier  func(Result) Verdict

	openFor, maxOpenFor time.Duration
	growth              float64
	upstream            time.Duration
	successes, probes   int
	probeTimeout        time.Duration
	ramp                time.Duration

	status   int
	message  string
	reject   handrail.RejectionHandler
	fallback http.Handler

	onStateChange *notify.Queue[Event]
}

const (
	longest       = 24 * time.Hour
	leastUpstream = time.Second
)

func defaults() settings {
	return settings{
		Faults:       option.Faults{Package: "breaker"},
		maxKeys:      4096,
		consecutive:  5,
		share:        .5,
		least:        10,
		window:       10 * time.Second,
		buckets:      10,
		openFor:      time.Minute,
		maxOpenFor:   time.Minute,
		growth:       1,
		successes:    3,
		probes:       1,
		probeTimeout: time.Minute,
		status:       http.StatusServiceUnavailable,
		message:      "The service is temporarily unavailable. Try again later.",
	}
}

func (s *settings) apply(opts []Option) error {
	option.Apply(&s.Faults, s, opts)
	s.check()
	return s.Err()
}

// check finds the faults that no option has alone.
func (s *settings) check() {
	if s.successes >= 1 && s.probes > s.successes {
		s.Fault("WithProbes", s.probes, fmt.Sprintf("must not be above the %d successes that close the circuit: more are never used", s.successes))
	}
	if s.consecutive == 0 && s.share == 0 && (s.slowCall == 0 || s.slowShare == 0) {
		s.Fault("WithConsecutiveFailures", 0, "with no failure rate and no share of slow calls either, nothing can open the circuit")
	}
	if s.fallback != nil && s.reject != nil {
		s.Fault("WithFallback", "WithRejectionHandler", "only one of the two can answer")
	}
	if s.growth == 1 {
		s.maxOpenFor = s.openFor
	} else if s.maxOpenFor < s.openFor {
		s.Fault("WithGrowth", s.maxOpenFor, fmt.Sprintf("must not be below the open time of %v", s.openFor))
	}
}

// longestOpen is for how long a circuit can be open at most.
func (s *settings) longestOpen() time.Duration { return max(s.maxOpenFor, s.upstream) }

// Basic has one circuit for all requests, with the usual thresholds: it opens
// after 5 failures in a row, or where half of at least 10 requests within 10 s
// failed; it is open for 1 min, then lets one probe through at a time, and
// closes when 3 of them have succeeded. That is what New does without an
// option.
func Basic() Option {
	return func(s *settings) {
		d := defaults()
		s.key = nil
		s.consecutive, s.share, s.least, s.window, s.buckets = d.consecutive, d.share, d.least, d.window, d.buckets
		s.slowCall, s.slowShare = 0, 0
		s.openFor, s.maxOpenFor, s.growth, s.upstream = d.openFor, d.maxOpenFor, d.growth, 0
		s.successes, s.probes, s.probeTimeout, s.ramp = d.successes, d.probes, d.probeTimeout, 0
	}
}

// PerTenant has a circuit for each tenant. See [handrail.KeyFunc] for who may
// choose the key.
func PerTenant(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("PerTenant", key != nil)
		s.key = key
	}
}

// PerOperation has a circuit for each route ([handrail.ByRoute]), which is known
// only where a [http.ServeMux] has matched it before. A breaker outside of the
// mux says WithKey(handrail.ByMux(mux)) behind this option.
func PerOperation() Option {
	return func(s *settings) { s.key = handrail.ByRoute }
}

// Settings are the thresholds and times of a circuit. See the option of the
// same name for what each may be.
type Settings struct {
	ConsecutiveFailures int
	// FailureRate among at least MinRequests within Window, which is cut into
	// Buckets.
	FailureRate float64
	MinRequests int
	Window      time.Duration
	Buckets     int
	// SlowCall and SlowShare as in WithSlowCall.
	SlowCall  time.Duration
	SlowShare float64
	// OpenFor grows by Growth up to MaxOpenFor.
	OpenFor      time.Duration
	Growth       float64
	MaxOpenFor   time.Duration
	Successes    int
	Probes       int
	ProbeTimeout time.Duration
	Ramp         time.Duration
}

// Advanced sets all thresholds and times at once. Zero fields keep what they
// are without an option.
func Advanced(a Settings) Option {
	return func(s *settings) {
		if a.ConsecutiveFailures != 0 {
			s.Within("Advanced.ConsecutiveFailures", float64(a.ConsecutiveFailures), 1, 1e6)
			s.consecutive = a.ConsecutiveFailures
		}
		if a.FailureRate != 0 {
			s.Within("Advanced.FailureRate", a.FailureRate, math.SmallestNonzeroFloat64, 1)
			s.share = a.FailureRate
		}
		if a.MinRequests != 0 {
			s.Within("Advanced.MinRequests", float64(a.MinRequests), 1, 1e6)
			s.least = a.MinRequests
		}
		if a.Window != 0 {
			s.Lasting("Advanced.Window", a.Window, 10*time.Millisecond, longest)
			s.window = a.Window
		}
		if a.Buckets != 0 {
			s.Within("Advanced.Buckets", float64(a.Buckets), 2, 100)
			s.buckets = a.Buckets
		}
		if a.SlowCall != 0 {
			s.Lasting("Advanced.SlowCall", a.SlowCall, 1, longest)
			s.slowCall = a.SlowCall
		}
		if a.SlowShare != 0 {
			s.Within("Advanced.SlowShare", a.SlowShare, 0, 1)
			s.slowShare = a.SlowShare
		}
		if a.OpenFor != 0 {
			s.Lasting("Advanced.OpenFor", a.OpenFor, time.Millisecond, longest)
			s.openFor = a.OpenFor
		}
		if a.Growth != 0 {
			s.Within("Advanced.Growth", a.Growth, 1, 100)
			s.growth = a.Growth
		}
		if a.MaxOpenFor != 0 {
			s.Lasting("Advanced.MaxOpenFor", a.MaxOpenFor, time.Millisecond, longest)
			s.maxOpenFor = a.MaxOpenFor
		}
		if a.Successes != 0 {
			s.Within("Advanced.Successes", float64(a.Successes), 1, 1e6)
			s.successes = a.Successes
		}
		if a.Probes != 0 {
			s.Within("Advanced.Probes", float64(a.Probes), 1, 1e6)
			s.probes = a.Probes
		}
		if a.ProbeTimeout != 0 {
			s.Lasting("Advanced.ProbeTimeout", a.ProbeTimeout, time.Millisecond, longest)
			s.probeTimeout = a.ProbeTimeout
		}
		if a.Ramp != 0 {
			s.Lasting("Advanced.Ramp", a.Ramp, 0, longest)
			s.ramp = a.Ramp
		}
	}
}

// WithName names this instance in metrics, rejections, errors and events. At
// most 64 bytes; empty without this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithKey has a circuit for each key. Keys are cut to [handrail.MaxKeyLen]
// bytes. Without it, and without a preset that says so, there is one circuit
// for all that is served, and for a [Breaker.Transport] one for each host.
func WithKey(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithKey", key != nil)
		s.key = key
	}
}

// WithMaxKeys bounds how many keys have a circuit of their own, 1 to 1,000,000;
// 4096 without this option, about 2 KiB each. Beyond it the ones that are
// closed and were not used for longest are forgotten, what they have counted
// with them, and while none of those is found newcomers share one circuit.
func WithMaxKeys(n int) Option {
	return func(s *settings) {
		s.Within("WithMaxKeys", float64(n), 1, 1e6)
		s.maxKeys = n
	}
}

// WithExempt lets requests pass that must always be served, such as health
// checks: they are never refused and count for nothing. Choose them by route,
// not by anything a client can claim.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithExempt", exempt != nil)
		s.exempt = exempt
	}
}

// WithMode is the mode to begin with; Automatic without this option. It can be
// changed while serving, see [Breaker.SetMode].
func WithMode(m Mode) Option {
	return func(s *settings) {
		if m >= modes {
			s.Fault("WithMode", uint8(m), "is none of the modes")
		}
		s.mode = m
	}
}

// WithConsecutiveFailures opens the circuit after n failures in a row, however
// long that takes, up to 1,000,000; 5 without this option, and 0 for never.
func WithConsecutiveFailures(n int) Option {
	return func(s *settings) {
		s.Within("WithConsecutiveFailures", float64(n), 0, 1e6)
		s.consecutive = n
	}
}

// WithFailureRate opens the circuit when a request fails and the share of
// failures, 0 to 1, is reached among at least so many results of the last
// window, 10 ms to 24 h, which moves on by one of its buckets, 2 to 100, at a
// time; 0.5 among 10 in 10 s and 10 buckets without this option. A share of 0
// is for never. What is excluded is not among the results.
func WithFailureRate(share float64, least int, window time.Duration, buckets int) Option {
	return func(s *settings) {
		s.Within("WithFailureRate.share", share, 0, 1)
		s.Within("WithFailureRate.least", float64(least), 1, 1e6)
		s.Lasting("WithFailureRate.window", window, 10*time.Millisecond, longest)
		s.Within("WithFailureRate.buckets", float64(buckets), 2, 100)
		s.share, s.least, s.window, s.buckets = share, least, window, buckets
	}
}

// WithSlowCall minds requests that take d or longer, above 0 and up to 24 h. With
// a share of 0 each of them is a failure like any other. With another one, up
// to 1, they open the circuit when that share is reached among at least as
// many results as WithFailureRate says, in its window, and a slow probe is a
// failure. Long-lived exchanges are never slow. Without this option nothing is.
func WithSlowCall(d time.Duration, share float64) Option {
	return func(s *settings) {
		s.Lasting("WithSlowCall", d, 1, longest)
		s.Within("WithSlowCall.share", share, 0, 1)
		s.slowCall, s.slowShare = d, share
	}
}

// WithClassifier decides in your own way what a result means; its field Verdict
// says what it would mean otherwise. It runs on the goroutine of the request,
// must be quick and safe for concurrent use. Where it panics, that is counted,
// and the usual verdict holds.
func WithClassifier(classify func(Result) Verdict) Option {
	return func(s *settings) {
		s.Func("WithClassifier", classify != nil)
		s.classifier = classify
	}
}

// WithOpenFor is for how long a circuit is open, 1 ms to 24 h; 1 min without
// this option.
func WithOpenFor(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithOpenFor", d, time.Millisecond, longest)
		s.openFor = d
	}
}

// WithGrowth multiplies the open time by factor, 1 to 100, each time the
// circuit opens again, up to most, at most 24 h. It begins anew when the circuit
// has been closed for as long as it was open before. Without this option, or
// with factor 1, every open time is the same.
func WithGrowth(factor float64, most time.Duration) Option {
	return func(s *settings) {
		s.Within("WithGrowth.factor", factor, 1, 100)
		s.Lasting("WithGrowth", most, time.Millisecond, longest)
		s.growth, s.maxOpenFor = factor, most
	}
}

// WithRetryAfter lets an upstream set the open time: where the failure that
// opens a circuit of a [Breaker.Transport] is a response with a Retry-After
// (RFC 9110, section 10.2.3), the circuit is open for that long, at least 1 s
// and at most most, 1 s to 24 h. One that is malformed or already over changes
// nothing. Without this option none is read.
func WithRetryAfter(most time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithRetryAfter", most, leastUpstream, longest)
		s.upstream = most
	}
}

// WithSuccesses is how many probes have to succeed for a half-open circuit to
// close, 1 to 1,000,000; 3 without this option.
func WithSuccesses(n int) Option {
	return func(s *settings) {
		s.Within("WithSuccesses", float64(n), 1, 1e6)
		s.successes = n
	}
}

// WithProbes is how many probes may be under way at once, 1 up to the number of
// successes that close the circuit; 1 without this option.
func WithProbes(n int) Option {
	return func(s *settings) {
		s.Within("WithProbes", float64(n), 1, 1e6)
		s.probes = n
	}
}

// WithProbeTimeout is how long a probe may take, 1 ms to 24 h, after which the
// circuit opens again as if it had failed, and its result counts no more; 1 min
// without this option. The probe itself is not ended. It should be longer than
// the slowest request that is still fine.
func WithProbeTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithProbeTimeout", d, time.Millisecond, longest)
		s.probeTimeout = d
	}
}

// WithRamp has a circuit that closes take its traffic back bit by bit: for d, at
// most 24 h, it lets a share through that grows evenly from nothing to all, the
// first request always. Without this option, or with 0, it takes all at once.
func WithRamp(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithRamp", d, 0, longest)
		s.ramp = d
	}
}

// WithStatus sets the status of a refusal, 400 to 599 but not 408, which some
// clients repeat at once; 503 without this option.
func WithStatus(status int) Option {
	return func(s *settings) {
		s.RefusalStatus("WithStatus", status)
		s.status = status
	}
}

// WithMessage sets the sentence that a refused client reads, at most 1024
// bytes.
func WithMessage(message string) Option {
	return func(s *settings) {
		s.Message("WithMessage", message)
		s.message = message
	}
}

// WithRejectionHandler refuses requests in your own way.
func WithRejectionHandler(reject handrail.RejectionHandler) Option {
	return func(s *settings) {
		s.Func("WithRejectionHandler", reject != nil)
		s.reject = reject
	}
}

// WithFallback serves the requests that are refused, from a cache say. It has to
// be able to do so for all of them at once. To those further out that look at
// the outcome, the request stays one that a breaker refused. A
// [Breaker.Transport] has no use for it.
func WithFallback(fallback http.Handler) Option {
	return func(s *settings) {
		s.Given("WithFallback", fallback != nil, "a handler")
		s.fallback = fallback
	}
}

// Event is a change of a circuit's state.
type Event struct {
	Name string
	// Key is that of the circuit, empty where there is one for all. Shared says
	// that it is the circuit of the keys that found no place.
	Key      string
	Shared   bool
	From, To State
	Cause    Cause
	// OpenFor is how long a circuit that opened is going to be open.
	OpenFor time.Duration
	At      time.Time
}

// OnStateChange is told of every change of a state, once, in order, on a
// goroutine of its own; it may use the Breaker. While the callback blocks,
// events beyond 1024 are dropped and counted in Stats. The order is that of each
// circuit: where a key has lost its place and come back, the first event of its
// new circuit may come before the last one of the old.
func OnStateChange(callback func(Event)) Option {
	return func(s *settings) {
		if s.Func("OnStateChange", callback != nil) {
			s.onStateChange = notify.New(callback)
		}
	}
}
