package shed

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
	"github.com/handrail-go/handrail/load"
)

// Option changes one setting of a [Shedder]. A later option wins.
type Option func(*settings)

// settings are all that options can say. They are immutable once a Shedder
// uses them; Update makes a copy.
type settings struct {
	option.Faults

	name     string
	sampler  *load.Sampler
	strategy Strategy
	decide   Func

	priority handrail.PriorityFunc
	tenant   handrail.KeyFunc
	tenants  int
	attempt  func(*http.Request) int
	exempt   func(*http.Request) bool
	long     func(*http.Request) bool
	dryRun   bool

	minLimit, initialLimit, maxLimit int
	target                           time.Duration
	maxWait                          time.Duration

	thresholds       Thresholds
	minRate, maxRate float64
	caps             [handrail.Priorities]float64
	circuit          CircuitSettings
	seed             uint64
	seeded           bool

	status        int
	message       string
	maxRetryAfter time.Duration
	reject        handrail.RejectionHandler

	// Queues and not callbacks, so that a queue lives as long as its callback.
	onShed        *notify.Queue[Event]
	onStateChange *notify.Queue[turn]
}

func defaults() settings {
	return settings{
		Faults:        option.Faults{Package: "shed"},
		strategy:      Adaptive,
		tenants:       4096,
		minLimit:      2,
		initialLimit:  32,
		maxLimit:      10_000,
		maxWait:       time.Second,
		thresholds:    Thresholds{CPU: .80, Memory: .85, Latency: 5 * time.Second, Errors: .10},
		maxRate:       .9,
		caps:          [handrail.Priorities]float64{0, .30, .60, .80, .90},
		circuit:       CircuitSettings{Signals: 1, Hold: 2 * time.Second, CoolDown: 5 * time.Second, Probes: 10, ProbeFor: 5 * time.Second},
		status:        http.StatusServiceUnavailable,
		message:       "The service is overloaded. Try again later.",
		maxRetryAfter: 30 * time.Second,
	}
}

func (s *settings) apply(opts []Option) error {
	option.Apply(&s.Faults, s, opts)
	s.check()
	return s.Err()
}

// check finds the faults that no option has alone.
func (s *settings) check() {
	if s.strategy == Custom && s.decide == nil {
		s.Fault("WithStrategy", s.strategy, "needs a decision: say Using(fn)")
	}
	if s.minRate > s.maxRate {
		s.Fault("WithRates", fmt.Sprintf("%v, %v", s.minRate, s.maxRate), "the minimum must not be above the maximum")
	}
	if s.minLimit > s.initialLimit || s.initialLimit > s.maxLimit {
		s.Fault("WithLimits", fmt.Sprintf("%d, %d, %d", s.minLimit, s.initialLimit, s.maxLimit), "must be in ascending order")
	}
}

// Basic is what New does without an option: the adaptive strategy with its own
// limits and without a latency target. In an Update it takes those back.
func Basic() Option {
	return func(s *settings) {
		d := defaults()
		s.strategy, s.target = Adaptive, 0
		s.minLimit, s.initialLimit, s.maxLimit = d.minLimit, d.initialLimit, d.maxLimit
	}
}

// ByPriority chooses the priority strategy: it sheds the rate that pressure
// asks for from the least important class upwards, and of no class more than
// its cap, a share between 0 and 1. Cap 0 means the class is never shed. A
// class that caps does not name keeps its default: critical 0, high 0.30,
// normal 0.60, low 0.80, background 0.90. A nil map is fine.
func ByPriority(caps map[handrail.Priority]float64) Option {
	return func(s *settings) {
		s.strategy = Priority
		for p, limit := range caps {
			if !p.Valid() {
				s.Fault("ByPriority", p, "is no priority")
				continue
			}
			s.Within("ByPriority", limit, 0, 1)
			s.caps[p.Rank()] = limit
		}
	}
}

// ForTarget chooses the adaptive strategy with a latency target of your own,
// between 1 ms and 10 min: while more than one request in twenty spends longer
// than that in the handler, fewer are let in, whatever the other signals say.
func ForTarget(d time.Duration) Option {
	return func(s *settings) {
		s.strategy = Adaptive
		s.Lasting("ForTarget", d, time.Millisecond, 10*time.Minute)
		s.target = d
	}
}

// Using chooses a strategy of your own.
func Using(decide Func) Option {
	return func(s *settings) {
		s.Func("Using", decide != nil)
		s.strategy, s.decide = Custom, decide
	}
}

// WithStrategy chooses one of the strategies; Adaptive without this option.
func WithStrategy(strategy Strategy) Option {
	return func(s *settings) {
		if strategy >= strategies {
			s.Fault("WithStrategy", strategy, "is none of the strategies")
		}
		s.strategy = strategy
	}
}

// WithName names this instance in metrics, rejections and events. At most 64
// bytes; empty without this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithSampler reads the load from this sampler instead of [load.Default]. Give
// all packages of one service the same one.
func WithSampler(sampler *load.Sampler) Option {
	return func(s *settings) {
		s.Given("WithSampler", sampler != nil, "a sampler")
		s.sampler = sampler
	}
}

// WithPriority chooses the class of a request. Without this option all are
// Normal.
func WithPriority(priority handrail.PriorityFunc) Option {
	return func(s *settings) {
		s.Func("WithPriority", priority != nil)
		s.priority = priority
	}
}

// WithPriorityHeader trusts a request header to name the class: critical,
// high, normal, low or background in any letter case; anything else is Normal.
// Whoever can set it can jump the queue, so use it only where your gateway
// removes it from outside requests or where all callers are your own. Its name
// must be a token (RFC 9110, section 5.6.2).
func WithPriorityHeader(header string) Option {
	return func(s *settings) {
		s.priority = handrail.PriorityFromHeader(s.Header("WithPriorityHeader", header))
	}
}

// WithTenant shares capacity fairly between tenants (max–min inside a class).
// See [handrail.KeyFunc] for who may choose the key.
func WithTenant(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithTenant", key != nil)
		s.tenant = key
	}
}

// WithMaxTenants bounds how many tenants are told apart, 1 to 1,000,000; 4096
// without this option, about 1 KiB each. Beyond it the ones that have been
// idle longest are forgotten, and while none is idle newcomers share one
// account. It takes effect at construction only.
func WithMaxTenants(n int) Option {
	return func(s *settings) {
		s.Within("WithMaxTenants", float64(n), 1, 1e6)
		s.tenants = n
	}
}

// WithAttempt tells how often a request has been tried before: 0 for a first
// attempt. Repeated attempts are shed before first ones of their class.
func WithAttempt(attempt func(*http.Request) int) Option {
	return func(s *settings) {
		s.Func("WithAttempt", attempt != nil)
		s.attempt = attempt
	}
}

// WithAttemptHeader trusts a request header to tell how often a request has
// been tried before, a whole number; absent or anything else is 0. A client
// that lies gains the place of a first attempt and no more, so the header may
// come from outside. Its name must be a token (RFC 9110, section 5.6.2).
func WithAttemptHeader(header string) Option {
	return func(s *settings) {
		header := s.Header("WithAttemptHeader", header)
		s.attempt = func(r *http.Request) int { return parseAttempt(r.Header[header]) }
	}
}

// parseAttempt reads the number of earlier attempts.
func parseAttempt(values []string) int {
	if len(values) != 1 || len(values[0]) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// WithExempt lets requests pass that must always be served, such as health
// checks and metrics: they are never shed, never wait and enter no statistic.
// Choose them by route, not by anything a client can claim.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithExempt", exempt != nil)
		s.exempt = exempt
	}
}

// WithLongLived marks requests that are long by nature, such as watches and
// downloads: they are admitted like any other, then counted apart, hold no
// slot, and their duration is no latency. Hijacked connections and event
// streams are recognised without it. Choose them by route.
func WithLongLived(long func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithLongLived", long != nil)
		s.long = long
	}
}

// WithDryRun decides, counts and reports, but refuses nothing and holds nobody
// back.
func WithDryRun(on bool) Option {
	return func(s *settings) { s.dryRun = on }
}

// WithLimits bounds the adaptive limit on requests in the handler and says
// where it starts: 2, 32 and 10,000 without this option. 1 ≤ least ≤ initial
// ≤ most ≤ 1,000,000.
func WithLimits(least, initial, most int) Option {
	return func(s *settings) {
		for _, n := range []int{least, initial, most} {
			s.Within("WithLimits", float64(n), 1, 1e6)
		}
		s.minLimit, s.initialLimit, s.maxLimit = least, initial, most
	}
}

// WithMaxWait bounds how long a request may wait for a slot, 0 to 1 min; 1 s
// without this option. 0 means nobody waits.
func WithMaxWait(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithMaxWait", d, 0, time.Minute)
		s.maxWait = d
	}
}

// Thresholds are where the signals of the random, priority and circuit
// strategies begin to count.
type Thresholds struct {
	// CPU and Memory are shares of what the process may use, 0 to 1.
	CPU, Memory float64
	// Latency is compared with the 95th percentile, 1 ms to 10 min.
	Latency time.Duration
	// Errors is the share of answers that failed, 0 to 1.
	Errors float64
}

// WithThresholds replaces all thresholds: CPU 0.80, memory 0.85, latency 5 s
// and errors 0.10 without this option. All fields are taken as they are; a
// share of 1 means that signal never counts.
func WithThresholds(t Thresholds) Option {
	return func(s *settings) {
		s.Within("WithThresholds.CPU", t.CPU, 0, 1)
		s.Within("WithThresholds.Memory", t.Memory, 0, 1)
		s.Within("WithThresholds.Errors", t.Errors, 0, 1)
		s.Lasting("WithThresholds.Latency", t.Latency, time.Millisecond, 10*time.Minute)
		s.thresholds = t
	}
}

// WithRates bounds the share that the random and the priority strategy shed,
// each between 0 and 1: from 0 to 0.9 without this option.
func WithRates(least, most float64) Option {
	return func(s *settings) {
		s.Within("WithRates", least, 0, 1)
		s.Within("WithRates", most, 0, 1)
		s.minRate, s.maxRate = least, most
	}
}

// CircuitSettings govern the circuit strategy.
type CircuitSettings struct {
	// Signals is how many of the four signals must be over their thresholds,
	// 1 to 4.
	Signals int
	// Hold is how long they must stay there, above 0, up to 10 min.
	Hold time.Duration
	// CoolDown is how long everything is shed, 10 ms to 1 h.
	CoolDown time.Duration
	// Probes is how many requests a second are then let through, above 0, up
	// to 1,000,000, for ProbeFor, 10 ms to 1 h; the circuit closes after that
	// if the signals stayed below their thresholds.
	Probes   float64
	ProbeFor time.Duration
}

// WithCircuit chooses the circuit strategy. Zero fields keep their defaults:
// one signal for 2 s, a cool-down of 5 s, ten probes a second for 5 s.
func WithCircuit(c CircuitSettings) Option {
	return func(s *settings) {
		s.strategy = Circuit
		d := defaults().circuit
		if c.Signals != 0 {
			d.Signals = c.Signals
			s.Within("WithCircuit.Signals", float64(c.Signals), 1, 4)
		}
		if c.Hold != 0 {
			d.Hold = c.Hold
			s.Lasting("WithCircuit.Hold", c.Hold, 0, 10*time.Minute)
		}
		if c.CoolDown != 0 {
			d.CoolDown = c.CoolDown
			s.Lasting("WithCircuit.CoolDown", c.CoolDown, 10*time.Millisecond, time.Hour)
		}
		if c.Probes != 0 {
			d.Probes = c.Probes
			s.Within("WithCircuit.Probes", c.Probes, math.SmallestNonzeroFloat64, 1e6)
		}
		if c.ProbeFor != 0 {
			d.ProbeFor = c.ProbeFor
			s.Lasting("WithCircuit.ProbeFor", c.ProbeFor, 10*time.Millisecond, time.Hour)
		}
		s.circuit = d
	}
}

// WithSeed seeds the draws of the random and the priority strategy, so that a
// test sees the same ones again. Without it the seed is random.
func WithSeed(seed uint64) Option {
	return func(s *settings) { s.seed, s.seeded = seed, true }
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

// WithMaxRetryAfter bounds the Retry-After of a refusal, 1 s to 24 h; 30 s
// without this option.
func WithMaxRetryAfter(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithMaxRetryAfter", d, time.Second, 24*time.Hour)
		s.maxRetryAfter = d
	}
}

// WithRejectionHandler answers refused requests in your own way.
func WithRejectionHandler(reject handrail.RejectionHandler) Option {
	return func(s *settings) {
		s.Func("WithRejectionHandler", reject != nil)
		s.reject = reject
	}
}

// Event is a refusal, or in a dry run what would have been one.
type Event struct {
	Name     string
	Priority handrail.Priority
	Reason   Reason
	Method   string
	// Pattern is the route where an outer ServeMux has matched one.
	Pattern string
	DryRun  bool
	At      time.Time
}

// OnShed is told of every refusal, in order, on a goroutine of its own. While
// the callback blocks, events beyond 1024 are dropped and counted in Stats.
func OnShed(callback func(Event)) Option {
	return func(s *settings) {
		s.Func("OnShed", callback != nil)
		s.onShed = notify.New(callback)
	}
}

// OnStateChange is told when the circuit strategy opens, probes and closes, in
// order, on a goroutine of its own.
func OnStateChange(callback func(from, to CircuitState)) Option {
	return func(s *settings) {
		if s.Func("OnStateChange", callback != nil) {
			s.onStateChange = notify.New(func(t turn) { callback(t.from, t.to) })
		}
	}
}
