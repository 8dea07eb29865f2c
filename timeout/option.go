package timeout

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
)

// Option changes one setting of a [Timeout]. A later option wins.
type Option func(*settings)

// settings are all that options can say.
type settings struct {
	option.Faults

	name string

	fallback   time.Duration
	operation  handrail.KeyFunc
	operations map[string]time.Duration
	tenant     handrail.KeyFunc
	tenants    map[string]time.Duration
	calculator Calculator

	deadlineHeader string
	exempt         func(*http.Request) bool

	streams                                StreamPolicy
	idleTimeout, readTimeout, writeTimeout time.Duration
	maxOverdue                             int

	status  int
	message string
	reject  handrail.RejectionHandler

	onTimeout *notify.Queue[Event]
}

const longest = 24 * time.Hour

func defaults() settings {
	return settings{
		Faults:    option.Faults{Package: "timeout"},
		fallback:  30 * time.Second,
		operation: handrail.ByRoute,
		status:    http.StatusServiceUnavailable,
		message:   "The request took too long. Try again later.",
	}
}

func (s *settings) apply(opts []Option) error {
	option.Apply(&s.Faults, s, opts)
	s.check()
	return s.Err()
}

// check finds the faults that no option has alone.
func (s *settings) check() {
	if len(s.tenants) > 0 && s.tenant == nil {
		s.Fault("WithTenants", len(s.tenants), "needs WithTenant to tell tenants apart")
	}
	if f, ok := s.calculator.(faulty); ok {
		s.Add(f.faults()...)
	}
}

// table checks and copies timeouts by key.
func (s *settings) table(option string, timeouts map[string]time.Duration) map[string]time.Duration {
	for _, key := range slices.Sorted(maps.Keys(timeouts)) {
		s.Positive(fmt.Sprintf("%s[%q]", option, key), timeouts[key], longest)
	}
	return maps.Clone(timeouts)
}

// Basic gives every request the same timeout, above 0 and at most 24 h; 30 s
// without this option.
func Basic(d time.Duration) Option {
	return func(s *settings) {
		s.Positive("Basic", d, longest)
		s.fallback = d
		s.operations, s.tenants, s.calculator = nil, nil, nil
	}
}

// PerOperation gives each operation its own timeout, and d to those that
// timeouts does not name. What the operation of a request is, says
// WithOperation.
func PerOperation(d time.Duration, timeouts map[string]time.Duration) Option {
	return func(s *settings) {
		s.Positive("PerOperation", d, longest)
		s.fallback = d
		s.operations = s.table("PerOperation", timeouts)
	}
}

// PerTenant gives each tenant its own timeout, and d to those that timeouts
// does not name. It needs WithTenant.
func PerTenant(d time.Duration, timeouts map[string]time.Duration) Option {
	return func(s *settings) {
		s.Positive("PerTenant", d, longest)
		s.fallback = d
		s.tenants = s.table("PerTenant", timeouts)
	}
}

// Dynamic has each request's timeout calculated from d.
func Dynamic(d time.Duration, calc Calculator) Option {
	return func(s *settings) {
		s.Positive("Dynamic", d, longest)
		s.fallback = d
		WithCalculator(calc)(s)
	}
}

// WithName names this instance in metrics, answers, errors and events. At most
// 64 bytes; empty without this option.
func WithName(name string) Option {
	return func(s *settings) {
		s.Name("WithName", name)
		s.name = name
	}
}

// WithDefault is the timeout of a request that nothing else decides, above 0
// and at most 24 h; 30 s without this option.
func WithDefault(d time.Duration) Option {
	return func(s *settings) {
		s.Positive("WithDefault", d, longest)
		s.fallback = d
	}
}

// WithOperation says what the operation of a request is; [handrail.ByRoute]
// without this option, which knows the route only where a [http.ServeMux] has
// matched it before: see [handrail.ByMux] for a middleware outside of it.
func WithOperation(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithOperation", key != nil)
		s.operation = key
	}
}

// WithOperations gives operations timeouts of their own, each above 0 and at
// most 24 h. It replaces those of an earlier option.
func WithOperations(timeouts map[string]time.Duration) Option {
	return func(s *settings) { s.operations = s.table("WithOperations", timeouts) }
}

// WithTenant says whose a request is. See [handrail.KeyFunc] for who may
// choose the key.
func WithTenant(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithTenant", key != nil)
		s.tenant = key
	}
}

// WithTenants gives tenants timeouts of their own, each above 0 and at most
// 24 h, which go before those of operations. It needs WithTenant, and replaces
// those of an earlier option.
func WithTenants(timeouts map[string]time.Duration) Option {
	return func(s *settings) { s.tenants = s.table("WithTenants", timeouts) }
}

// WithCalculator has the timeout calculated for each request, from what it
// would be otherwise.
func WithCalculator(calc Calculator) Option {
	return func(s *settings) {
		s.Given("WithCalculator", calc != nil, "a calculator")
		s.calculator = calc
	}
}

// WithDeadlineHeader trusts a request header to tell how much time the client
// has left, in whole milliseconds, or in the format of gRPC if it is
// Grpc-Timeout. It can only shorten the timeout; what is repeated or malformed
// is ignored, and 0 is refused before any work is done. So the header may come
// from anybody. A [Timeout.Transport] sets it on the requests it sends. Its name
// must be a token (RFC 9110, section 5.6.2).
func WithDeadlineHeader(header string) Option {
	return func(s *settings) {
		s.deadlineHeader = s.Header("WithDeadlineHeader", header)
	}
}

// WithExempt lets requests pass without a timeout. Choose them by route, not
// by anything a client can claim.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithExempt", exempt != nil)
		s.exempt = exempt
	}
}

// StreamPolicy says what the deadline does to a response that has begun: whose
// first bytes were flushed, or are more than the 2 KiB that are held back.
type StreamPolicy uint8

const (
	// SpareEventStreams aborts a response that has begun, so that the client
	// sees that it is cut, unless its Content-Type is text/event-stream.
	SpareEventStreams StreamPolicy = iota
	// SpareNone aborts event streams too.
	SpareNone
	// SpareAll leaves every response that has begun to finish: the timeout is
	// one for the first byte.
	SpareAll

	streamPolicies = iota
)

var streamPolicyNames = [streamPolicies]string{"spare event streams", "spare none", "spare all"}

// String returns the policy in words.
func (p StreamPolicy) String() string {
	if p >= streamPolicies {
		return "unknown"
	}
	return streamPolicyNames[p]
}

// WithStreams chooses what becomes of a response that has begun;
// SpareEventStreams without this option.
func WithStreams(policy StreamPolicy) Option {
	return func(s *settings) {
		if policy >= streamPolicies {
			s.Fault("WithStreams", uint8(policy), "is none of the policies")
		}
		s.streams = policy
	}
}

// WithIdleTimeout aborts a spared response when nothing has been written to it
// for d, at most 24 h. Without this option, or with 0, it may be silent for as
// long as it likes.
func WithIdleTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithIdleTimeout", d, longest)
		s.idleTimeout = d
	}
}

// WithReadTimeout bounds how long the body of a request may take to arrive, at
// most 24 h: reading it fails from then on. Without this option, or with 0,
// only the deadline does.
func WithReadTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithReadTimeout", d, longest)
		s.readTimeout = d
	}
}

// WithWriteTimeout bounds how long one write of the response may block because
// the client does not read, at most 24 h. Without this option, or with 0, only
// the deadline does. For the time of a write it takes the place of the server's
// WriteTimeout, and of what a handler sets itself ([http.ResponseController]).
func WithWriteTimeout(d time.Duration) Option {
	return func(s *settings) {
		s.Optional("WithWriteTimeout", d, longest)
		s.writeTimeout = d
	}
}

// WithMaxOverdue refuses new requests while n handlers or more are still
// running after their deadlines, 1 to 1,000,000: work that nobody waits for
// must not pile up. Without this option, or with 0, there is no bound.
func WithMaxOverdue(n int) Option {
	return func(s *settings) {
		s.Count("WithMaxOverdue", n, 0, 1_000_000)
		s.maxOverdue = n
	}
}

// WithStatus sets the status of the answer, 400 to 599; 503 without this
// option. 504 suits a gateway (RFC 9110, section 15.6.5). Think twice about
// 408: some clients repeat such a request at once, and whatever its method.
func WithStatus(status int) Option {
	return func(s *settings) {
		s.ErrorStatus("WithStatus", status)
		s.status = status
	}
}

// WithMessage sets the sentence that a client reads, at most 1024 bytes.
func WithMessage(message string) Option {
	return func(s *settings) {
		s.Message("WithMessage", message)
		s.message = message
	}
}

// WithRejectionHandler answers in your own way. The handler that ran out of
// time may still be running: of the request, look only at what it cannot be
// changing. Over HTTP/1 the answer may be collected first, so it should be
// short.
func WithRejectionHandler(reject handrail.RejectionHandler) Option {
	return func(s *settings) {
		s.Func("WithRejectionHandler", reject != nil)
		s.reject = reject
	}
}

// Event is a timeout, or a request that was refused before any work.
type Event struct {
	Name   string
	Reason Reason
	// Timeout is what was chosen for the request, 0 or less where it came
	// after its deadline.
	Timeout time.Duration
	Method  string
	// Pattern is the route where an outer ServeMux has matched one.
	Pattern string
	// Aborted says that the response had begun and was cut off.
	Aborted bool
	At      time.Time
}

// OnTimeout is told of every timeout and refusal, in order, on a goroutine of
// its own. While the callback blocks, events beyond 1024 are dropped and
// counted in Stats.
func OnTimeout(callback func(Event)) Option {
	return func(s *settings) {
		if s.Func("OnTimeout", callback != nil) {
			s.onTimeout = notify.New(callback)
		}
	}
}
