package retry

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Retrier]. A later option wins.
type Option func(*settings)

// settings are all that options can say.
type settings struct {
	option.Faults

	name     string
	attempts int
	schedule schedule

	methods        []string
	unsafe         bool
	idempotencyKey string
	statuses       statusSet
	classify       func(Result) Verdict
	exempt         func(*http.Request) bool
	panics         bool

	maxBody, maxHeld             int
	attemptTimeout, totalTimeout time.Duration
	maxRetryAfter                time.Duration

	budget        *Budget
	unbudgeted    bool
	ownBudget     bool
	attemptHeader string

	hedgeDelay time.Duration
	hedges     int

	onRetry  *notify.Queue[Event]
	onGiveUp *notify.Queue[GiveUp]
}

const longest = 24 * time.Hour

func defaults() settings {
	return settings{
		Faults:         option.Faults{Package: "retry"},
		attempts:       3,
		schedule:       exponentially(100*time.Millisecond, 30*time.Second, 2),
		methods:        idempotent,
		idempotencyKey: "Idempotency-Key",
		statuses:       newStatusSet(transient),
		maxBody:        64 << 10,
		maxHeld:        64 << 10,
		maxRetryAfter:  30 * time.Second,
	}
}

func exponentially(initial, max time.Duration, factor float64) schedule {
	return schedule{growth: exponential, initial: initial, max: max, factor: factor, jitter: FullJitter}
}

func (s *settings) apply(opts []Option) error {
	option.Apply(&s.Faults, s, opts)
	if s.budget == nil && !s.unbudgeted {
		s.budget, s.ownBudget = newBudget(0.2, 1), true
	}
	return s.Err()
}

// Basic sets what holds without any option: three attempts in all, delays of
// 100 ms that double up to 30 s with full jitter, the idempotent methods, and
// the statuses 429, 500, 502, 503 and 504.
func Basic() Option {
	return func(s *settings) {
		d := defaults()
		s.attempts, s.schedule = d.attempts, d.schedule
		s.methods, s.unsafe, s.idempotencyKey, s.statuses = d.methods, d.unsafe, d.idempotencyKey, d.statuses
	}
}

// HTTP is for calling other services, and for standing in front of them: as
// Basic, but a pause that a service asks for is kept up to a minute.
func HTTP() Option {
	return func(s *settings) {
		Basic()(s)
		s.maxRetryAfter = time.Minute
	}
}

// Database is for handlers whose failures are those of a database: as Basic,
// with delays of 50 ms that grow by half up to 5 s.
func Database() Option {
	return func(s *settings) {
		Basic()(s)
		s.schedule = exponentially(50*time.Millisecond, 5*time.Second, 1.5)
	}
}

// Custom is Basic with so many attempts in all, 1 to 100, and with your own
// delays, see [WithDelay].
func Custom(attempts int, delay func(attempt int) time.Duration) Option {
	return func(s *settings) {
		Basic()(s)
		s.setAttempts("Custom", attempts)
		s.setDelay("Custom", delay)
	}
}

// WithName names this instance in metrics, errors and events. At most 64
// bytes; empty without this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithAttempts sets how many attempts there are in all, the first one among
// them: 1 to 100, and 3 without this option.
func WithAttempts(n int) Option {
	return func(s *settings) { s.setAttempts("WithAttempts", n) }
}

func (s *settings) setAttempts(option string, n int) {
	if n < 1 || n > 100 {
		s.Fault(option, n, "there must be between 1 and 100 attempts")
	}
	s.attempts = n
}

// WithFixed waits for d between attempts, above 0 and at most 24 h. Jitter
// stays as it was set, full without WithJitter.
func WithFixed(d time.Duration) Option {
	return func(s *settings) {
		s.Positive("WithFixed", d, longest)
		s.schedule.growth, s.schedule.initial, s.schedule.max = fixed, d, d
	}
}

// WithLinear waits for initial, twice initial and so on, up to max. Both are
// above 0 and at most 24 h.
func WithLinear(initial, max time.Duration) Option {
	return func(s *settings) {
		s.interval("WithLinear", initial, max)
		s.schedule.growth, s.schedule.initial, s.schedule.max = linear, initial, max
	}
}

// WithExponential waits for initial, and from attempt to attempt factor times
// longer, up to max. Durations are above 0 and at most 24 h, the factor is 1
// to 100. Without this option they are 100 ms, 30 s and 2.
func WithExponential(initial, max time.Duration, factor float64) Option {
	return func(s *settings) {
		s.interval("WithExponential", initial, max)
		if !(factor >= 1 && factor <= 100) {
			s.Fault("WithExponential", factor, "the factor must be between 1 and 100")
		}
		s.schedule.growth, s.schedule.initial, s.schedule.max, s.schedule.factor = exponential, initial, max, factor
	}
}

func (s *settings) interval(option string, initial, max time.Duration) {
	switch {
	case initial <= 0 || initial > longest:
		s.Positive(option, initial, longest)
	case max < initial || max > longest:
		s.Fault(option, max, fmt.Sprintf("the maximum must be between the first delay and %v", longest))
	}
}

// WithDelay has your function say how long to wait after attempt 1, 2 and so
// on. It may be called concurrently. What is negative counts as 0, what is
// above 24 h as that; jitter comes on top, see [WithJitter].
func WithDelay(delay func(attempt int) time.Duration) Option {
	return func(s *settings) { s.setDelay("WithDelay", delay) }
}

func (s *settings) setDelay(option string, delay func(int) time.Duration) {
	s.Func(option, delay != nil)
	s.schedule.growth, s.schedule.initial, s.schedule.max, s.schedule.fn = custom, 0, longest, delay
}

// WithJitter spreads the delays; FullJitter without this option. No delay is
// above the maximum whatever the jitter, and none is shorter than a
// Retry-After.
func WithJitter(j Jitter) Option {
	return func(s *settings) {
		if !j.valid() {
			s.Fault("WithJitter", float64(j), "must be one of this package's")
		}
		s.schedule.jitter = j
	}
}

// WithMethods sets which methods may be repeated, in upper case; GET, HEAD,
// OPTIONS, TRACE, PUT and DELETE without this option, which are idempotent
// (RFC 9110, section 9.2.2). Any other that you name must be so too, in this
// service. CONNECT is a fault.
func WithMethods(methods ...string) Option {
	return func(s *settings) {
		for _, m := range methods {
			if m == "" || m == http.MethodConnect {
				s.Fault("WithMethods", m, "cannot be repeated")
			}
		}
		s.methods = slices.Clone(methods)
	}
}

// WithUnsafeMethods has POST and PATCH repeated also without a key. What the
// first attempt did is done again.
func WithUnsafeMethods() Option { return func(s *settings) { s.unsafe = true } }

// WithIdempotencyKey names the request header by which a POST or PATCH may be
// repeated, because the receiver knows from its value that it is the same
// request again. Each attempt has the same value; none is made up.
// Idempotency-Key without this option. An empty name means none; any other must
// be a token (RFC 9110, section 5.6.2).
func WithIdempotencyKey(header string) Option {
	return func(s *settings) {
		s.idempotencyKey = ""
		if header != "" {
			s.idempotencyKey = s.Header("WithIdempotencyKey", header)
		}
	}
}

// WithStatuses sets which statuses are failures worth repeating, 402 to 599;
// 429, 500, 502, 503 and 504 without this option. 403, 404 and 422 are faults,
// as are 400 and 401: the same request gets the same answer.
func WithStatuses(statuses ...int) Option {
	return func(s *settings) {
		for _, status := range statuses {
			switch {
			case status < 400 || status > 599:
				s.Fault("WithStatuses", status, "must be between 402 and 599")
			case slices.Contains(hopeless, status):
				s.Fault("WithStatuses", status, "is the client's fault, which a repetition does not mend")
			}
		}
		s.statuses = newStatusSet(statuses)
	}
}

// WithClassifier asks your function about each answer and each error first.
// It may be called concurrently, on a server from inside of the handler's
// WriteHeader, and must not keep or change what it is given.
func WithClassifier(classify func(Result) Verdict) Option {
	return func(s *settings) {
		s.Func("WithClassifier", classify != nil)
		s.classify = classify
	}
}

// WithExempt lets requests pass untouched and uncounted.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithExempt", exempt != nil)
		s.exempt = exempt
	}
}

// WithRetryPanics says whether an attempt that panics before its response has
// begun counts as a failure; it does not without this option. A panic that is
// not repeated goes on with its value, but with a stack of its own.
// [http.ErrAbortHandler] is never repeated.
func WithRetryPanics(on bool) Option { return func(s *settings) { s.panics = on } }

// WithMaxBody sets how many bytes of a request's body are kept for further
// attempts, 0 to 64 MiB; 64 KiB without this option. A longer one streams
// through, and is not repeated. It is for handlers: a Transport repeats what
// has a GetBody.
func WithMaxBody(bytes int) Option {
	return func(s *settings) {
		s.Count("WithMaxBody", bytes, 0, 64<<20)
		s.maxBody = bytes
	}
}

// WithMaxHeld sets how many bytes of a failed response's body are held back, 0
// to 64 MiB; 64 KiB without this option. A longer one goes to the client, and is not
// repeated.
func WithMaxHeld(bytes int) Option {
	return func(s *settings) {
		s.Count("WithMaxHeld", bytes, 0, 64<<20)
		s.maxHeld = bytes
	}
}

// WithAttemptTimeout cancels each attempt's context after d, at most 24 h,
// unless its response has begun by then; that counts as a failure of the
// attempt. Without this option, or with 0, there is no such timeout. A handler
// has to heed its context; package timeout answers for one that does not.
func WithAttemptTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithAttemptTimeout", d, longest)
		s.attemptTimeout = d
	}
}

// WithTotalTimeout bounds all attempts and the delays between them, at most
// 24 h; in a Transport also the response's body, while a handler's response that
// has begun is left to finish. Without this option, or with 0, only the caller's
// deadline counts.
func WithTotalTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithTotalTimeout", d, longest)
		s.totalTimeout = d
	}
}

// WithMaxRetryAfter sets the longest pause that a Retry-After may ask for, 0 to
// 24 h; 30 s without this option. A response that asks for more is not
// repeated. With 0, none is that asks for a pause.
func WithMaxRetryAfter(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithMaxRetryAfter", d, longest)
		s.maxRetryAfter = d
	}
}

// WithBudget shares a budget with other instances. Without this option an
// instance has its own: a fifth of its requests, and one a second where those
// are few.
func WithBudget(b *Budget) Option {
	return func(s *settings) {
		s.Given("WithBudget", b != nil, "a budget; see WithoutBudget")
		s.budget, s.unbudgeted = b, false
	}
}

// WithoutBudget lets every failure be repeated, however many there are. It is
// for tests and for tools: of a service that is down, it multiplies the load.
func WithoutBudget() Option {
	return func(s *settings) { s.budget, s.unbudgeted = nil, true }
}

// WithAttemptHeader numbers further attempts in a request header: 1 is the
// first repetition. The first attempt is left as it is. Package shed reads it
// under the same option, and refuses repetitions first. Its name must be a token
// (RFC 9110, section 5.6.2). Without this option attempts are not numbered.
func WithAttemptHeader(header string) Option {
	return func(s *settings) {
		s.attemptHeader = s.Header("WithAttemptHeader", header)
	}
}

// WithHedging lets a Transport send a request again while it has no answer
// after delay, up to max further times and delay apart, and take the first good
// answer; the others are canceled. It is for GET, HEAD, OPTIONS and TRACE
// without a body (RFC 9110, section 9.2.1), and each one needs a token of the
// budget. The delay is above 0 and at most 24 h, a high quantile of the usual
// latency; max is 1 to 10. A handler is never hedged.
func WithHedging(delay time.Duration, max int) Option {
	return func(s *settings) {
		s.Positive("WithHedging", delay, longest)
		s.Count("WithHedging", max, 1, 10)
		s.hedgeDelay, s.hedges = delay, max
	}
}

// Event is a failed attempt that is going to be repeated.
type Event struct {
	Name string
	// Attempt is the number of the one that failed, from 1.
	Attempt int
	// Status is its answer's, and Err its error; one of both is not zero, or
	// else the attempt panicked.
	Status int
	Err    error
	// Delay is how long until the next attempt.
	Delay  time.Duration
	Method string
	// Pattern is the route where a ServeMux has matched one.
	Pattern string
	At      time.Time
}

// GiveUp is a failure that is not, or not any more, repeated.
type GiveUp struct {
	Name   string
	Reason Reason
	// Attempts is how many there were.
	Attempts int
	// Status and Err are those of the last one, as in Event.
	Status  int
	Err     error
	Method  string
	Pattern string
	At      time.Time
}

// OnRetry is told of every failed attempt that is going to be repeated, in
// order, on a goroutine of its own. While the callback blocks, events beyond
// 1024 are dropped and counted in Stats.
func OnRetry(callback func(Event)) Option {
	return func(s *settings) {
		if s.Func("OnRetry", callback != nil) {
			s.onRetry = notify.New(callback)
		}
	}
}

// OnGiveUp is told of every failure that is not repeated, of requests that may
// be, like OnRetry.
func OnGiveUp(callback func(GiveUp)) Option {
	return func(s *settings) {
		if s.Func("OnGiveUp", callback != nil) {
			s.onGiveUp = notify.New(callback)
		}
	}
}
