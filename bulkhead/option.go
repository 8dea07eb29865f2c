package bulkhead

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

// Option changes one setting of a [Bulkhead]. A later option wins.
type Option func(*settings)

// Unlimited is the limit that never binds. 0 is one too: nobody gets in.
const Unlimited = -1

// most is the highest limit, and the longest queue.
const most = 1_000_000

// settings are all that options can say. They are immutable once a Bulkhead
// uses them; Update makes a copy.
type settings struct {
	option.Faults

	name string

	limit int

	tenant       handrail.KeyFunc
	tenantLimit  int
	tenantLimits map[string]int
	guarantees   map[string]int

	byOperation     bool
	operation       handrail.KeyFunc // nil is the route, or a Transport's host
	operationLimit  int
	operationLimits map[string]int

	maxKeys int

	maxWait     time.Duration
	maxQueue    int
	tenantQueue int // halfOfQueue unless an option says otherwise
	priority    handrail.PriorityFunc
	ageing      time.Duration

	exempt func(*http.Request) bool

	status, tenantStatus int
	message              string
	maxRetryAfter        time.Duration
	reject               handrail.RejectionHandler

	// A queue and not the callback, so that it lives as long as that.
	onReject *notify.Queue[Event]
}

const halfOfQueue = -1

func defaults() settings {
	return settings{
		Faults:         option.Faults{Package: "bulkhead"},
		limit:          100,
		tenantLimit:    10,
		operationLimit: 20,
		maxKeys:        4096,
		maxWait:        time.Second,
		maxQueue:       1000,
		tenantQueue:    halfOfQueue,
		ageing:         100 * time.Millisecond,
		status:         http.StatusServiceUnavailable,
		tenantStatus:   http.StatusTooManyRequests,
		message:        "Too many requests are being served. Try again later.",
		maxRetryAfter:  30 * time.Second,
	}
}

func (s *settings) apply(opts []Option) error {
	option.Apply(&s.Faults, s, opts)
	s.check()
	return s.Err()
}

// check finds the faults that no option has alone.
func (s *settings) check() {
	if s.tenant == nil {
		if len(s.tenantLimits) > 0 {
			s.Fault("WithTenantLimits", len(s.tenantLimits), "needs WithTenant to tell tenants apart")
		}
		if len(s.guarantees) > 0 {
			s.Fault("WithGuarantees", len(s.guarantees), "needs WithTenant to tell tenants apart")
		}
	}
	if len(s.guarantees) == 0 {
		return
	}
	if s.maxWait == 0 {
		s.Fault("WithGuarantees", len(s.guarantees), "needs WithMaxWait above 0: slots that are lent come back one by one")
	}
	sum := 0
	for _, key := range slices.Sorted(maps.Keys(s.guarantees)) {
		n := s.guarantees[key]
		sum += n
		limit, own := s.tenantLimits[key]
		if !own {
			limit = s.tenantLimit
		}
		if limit != Unlimited && n > limit {
			s.Fault(fmt.Sprintf("WithGuarantees[%q]", key), n, fmt.Sprintf("must not be above the tenant's limit, %d", limit))
		}
	}
	if s.limit != Unlimited && sum > s.limit {
		s.Fault("WithGuarantees", sum, fmt.Sprintf("must not be more in sum than the limit, %d", s.limit))
	}
}

func (s *settings) limited(option string, n int) {
	if n != Unlimited && (n < 0 || n > most) {
		s.Fault(option, n, fmt.Sprintf("must be between 0 and %d, or Unlimited", most))
	}
}

// table checks and copies numbers by key.
func (s *settings) table(option string, numbers map[string]int, check func(string, int)) map[string]int {
	for _, key := range slices.Sorted(maps.Keys(numbers)) {
		if len(key) > handrail.MaxKeyLen {
			s.Fault(option, len(key), fmt.Sprintf("a key must not be longer than %d bytes", handrail.MaxKeyLen))
			continue
		}
		check(fmt.Sprintf("%s[%q]", option, key), numbers[key])
	}
	return maps.Clone(numbers)
}

// rules are the settings that the gate goes by.
func (s *settings) rules() rules {
	r := rules{
		limit:           effective(s.limit),
		locked:          s.tenant != nil || s.byOperation,
		tenantLimit:     effective(s.tenantLimit),
		operationLimit:  effective(s.operationLimit),
		tenantLimits:    maps.Clone(s.tenantLimits),
		operationLimits: maps.Clone(s.operationLimits),
		guarantees:      s.guarantees,
		wait:            s.maxWait > 0,
		queue:           s.maxQueue,
		tenantsQueue:    s.tenantQueue,
		ageing:          s.ageing,
	}
	for _, limits := range []map[string]int{r.tenantLimits, r.operationLimits} {
		for key, n := range limits {
			limits[key] = effective(n)
		}
	}
	if r.tenantsQueue == halfOfQueue {
		r.tenantsQueue = (s.maxQueue + 1) / 2
	}
	if r.ageing == 0 {
		r.ageing = forever
	}
	return r
}

// forever is longer than any process lives, and four times of it is no overflow.
const forever = 1 << 59

func effective(limit int) int {
	if limit == Unlimited {
		return endless
	}
	return limit
}

// Basic gives all requests together one limit, 0 to 1,000,000 or Unlimited; 100
// without this option. It takes back what earlier options said of tenants and
// operations.
func Basic(limit int) Option {
	return func(s *settings) {
		s.limited("Basic", limit)
		s.limit = limit
		d := defaults()
		s.tenant, s.tenantLimit, s.tenantLimits, s.guarantees = nil, d.tenantLimit, nil, nil
		s.byOperation, s.operation, s.operationLimit, s.operationLimits = false, nil, d.operationLimit, nil
	}
}

// PerTenant gives each tenant a limit, 0 to 1,000,000 or Unlimited, within that
// of all; 10 is a good one to begin with. See [handrail.KeyFunc] for who may
// choose the key.
func PerTenant(key handrail.KeyFunc, limit int) Option {
	return func(s *settings) {
		s.Func("PerTenant", key != nil)
		s.limited("PerTenant", limit)
		s.tenant, s.tenantLimit = key, limit
	}
}

// PerOperation gives each operation a limit, 0 to 1,000,000 or Unlimited,
// within that of all; 20 is a good one to begin with. What the operation of a
// request is, says WithOperation.
func PerOperation(limit int) Option {
	return func(s *settings) {
		s.limited("PerOperation", limit)
		s.byOperation, s.operationLimit = true, limit
	}
}

// ByPriority has those that wait served by class, the most important first.
func ByPriority(priority handrail.PriorityFunc) Option {
	return func(s *settings) {
		s.Func("ByPriority", priority != nil)
		s.priority = priority
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

// WithLimit bounds how many requests are inside at once, 0 to 1,000,000 or
// Unlimited; 100 without this option. 0 lets nobody in.
func WithLimit(limit int) Option {
	return func(s *settings) {
		s.limited("WithLimit", limit)
		s.limit = limit
	}
}

// WithTenant says whose a request is, and so gives each tenant a limit. See
// [handrail.KeyFunc] for who may choose the key; what is longer than
// [handrail.MaxKeyLen] is cut.
func WithTenant(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithTenant", key != nil)
		s.tenant = key
	}
}

// WithTenantLimit is the limit of a tenant that WithTenantLimits does not name,
// 0 to 1,000,000 or Unlimited; 10 without this option. It means nothing without
// WithTenant.
func WithTenantLimit(limit int) Option {
	return func(s *settings) {
		s.limited("WithTenantLimit", limit)
		s.tenantLimit = limit
	}
}

// WithTenantLimits gives tenants limits of their own, each 0 to 1,000,000 or
// Unlimited. It needs WithTenant, and replaces those of an earlier option.
func WithTenantLimits(limits map[string]int) Option {
	return func(s *settings) { s.tenantLimits = s.table("WithTenantLimits", limits, s.limited) }
}

// WithGuarantees guarantees slots to tenants, each 0 to 1,000,000, not above the
// tenant's limit, and in sum not above that of all. Slots a tenant does not use
// serve others, and as long as it has fewer than it is guaranteed, the next that
// become free are its own, whatever the class of those that wait. For that it
// may have to wait, which it always may: up to its guarantee, its requests take
// no place in the queue. It needs WithTenant and WithMaxWait above 0, and
// replaces the guarantees of an earlier option.
func WithGuarantees(slots map[string]int) Option {
	return func(s *settings) {
		s.guarantees = s.table("WithGuarantees", slots, func(option string, n int) { s.Count(option, n, 0, most) })
	}
}

// WithOperation says what the operation of a request is, and so gives each a
// limit; what is longer than [handrail.MaxKeyLen] is cut. Where another option
// does so, it is [handrail.ByRoute], which knows the route only where a
// [http.ServeMux] has matched it before: see [handrail.ByMux] for a middleware
// outside of it, where otherwise all requests are one operation. For a
// [Bulkhead.Transport] it is the host unless this option says otherwise.
func WithOperation(key handrail.KeyFunc) Option {
	return func(s *settings) {
		s.Func("WithOperation", key != nil)
		s.byOperation, s.operation = true, key
	}
}

// WithOperationLimit is the limit of an operation that WithOperationLimits does
// not name, 0 to 1,000,000 or Unlimited; 20 without this option.
func WithOperationLimit(limit int) Option {
	return func(s *settings) {
		s.limited("WithOperationLimit", limit)
		s.byOperation, s.operationLimit = true, limit
	}
}

// WithOperationLimits gives operations limits of their own, each 0 to 1,000,000
// or Unlimited. It replaces those of an earlier option.
func WithOperationLimits(limits map[string]int) Option {
	return func(s *settings) {
		s.byOperation, s.operationLimits = true, s.table("WithOperationLimits", limits, s.limited)
	}
}

// WithMaxKeys bounds how many tenants are told apart, and how many operations, 1
// to 1,000,000; 4096 of each without this option, about half a KiB each. Beyond
// it ones that have long been idle are forgotten, never one that has a request
// inside or waiting; where none is found to be idle, newcomers share one account
// and the limit that nobody was given by name, also those that were given one:
// choose n well above the number of keys that are busy at once. It takes effect
// at construction only.
func WithMaxKeys(n int) Option {
	return func(s *settings) {
		s.Count("WithMaxKeys", n, 1, most)
		s.maxKeys = n
	}
}

// WithMaxWait bounds how long a request may wait for a slot, 0 to 1 min; 1 s
// without this option. 0 means nobody waits. Those who wait already do so for
// as long as was said when they came.
func WithMaxWait(d time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithMaxWait", d, 0, time.Minute)
		s.maxWait = d
	}
}

// WithMaxQueue bounds how many requests may wait, 0 to 1,000,000; 1000 without
// this option. Into a full queue comes only who goes before the last in it,
// which then is refused. 0 means nobody waits but for guaranteed slots.
func WithMaxQueue(n int) Option {
	return func(s *settings) {
		s.Count("WithMaxQueue", n, 0, most)
		s.maxQueue = n
	}
}

// WithTenantQueue bounds how many requests of one tenant may wait, 0 to
// 1,000,000; half of the queue without this option, so that nobody can fill it
// alone.
func WithTenantQueue(n int) Option {
	return func(s *settings) {
		s.Count("WithTenantQueue", n, 0, most)
		s.tenantQueue = n
	}
}

// WithPriority chooses the class of a request, by which those that wait are
// served. It is asked only about a request that is not let in at once. Without
// this option all are Normal.
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

// WithAgeing has a request that waits rise by one class each time it has waited
// that long, compared with those that come then, 0 to 1 min; 100 ms without
// this option. So a background request is passed only by critical ones that
// come within four intervals of it. 0 is never: then what matters less may wait
// in vain for as long as there is enough that matters more. To be of use, four
// intervals must be shorter than WithMaxWait.
func WithAgeing(interval time.Duration) Option {
	return func(s *settings) {
		s.Lasting("WithAgeing", interval, 0, time.Minute)
		s.ageing = interval
	}
}

// WithExempt lets requests pass that must always be served, such as health
// checks and metrics: they take no slot, never wait, and are counted apart.
// Choose them by route, not by anything a client can claim.
func WithExempt(exempt func(*http.Request) bool) Option {
	return func(s *settings) {
		s.Func("WithExempt", exempt != nil)
		s.exempt = exempt
	}
}

// WithStatus sets the status of a rejection, 400 to 599 but not 408, which some
// clients repeat at once; 503 without this option.
func WithStatus(status int) Option {
	return func(s *settings) {
		s.RefusalStatus("WithStatus", status)
		s.status = status
	}
}

// WithTenantStatus sets the status of a rejection for which the tenant's own
// limit is the cause, 400 to 599 but not 408; 429 without this option (RFC
// 6585, section 4).
func WithTenantStatus(status int) Option {
	return func(s *settings) {
		s.RefusalStatus("WithTenantStatus", status)
		s.tenantStatus = status
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

// WithMaxRetryAfter bounds the Retry-After of a rejection, 1 s to 24 h; 30 s
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

// Event is a rejection.
type Event struct {
	Name   string
	Reason Reason
	// Limit is the limit that was in the way: ReasonGlobal, ReasonTenant or
	// ReasonOperation.
	Limit Reason
	// Tenant and Operation are the keys of the request, at most
	// [handrail.MaxKeyLen] bytes each, empty where they are not told apart. A
	// Transport's operation is the host.
	Tenant, Operation string
	Priority          handrail.Priority
	// Waited is how long it was in the queue.
	Waited time.Duration
	Method string
	// Pattern is the route where an outer ServeMux has matched one.
	Pattern string
	At      time.Time
}

// OnReject is told of every rejection, in order, on a goroutine of its own.
// While the callback blocks, events beyond 1024 are dropped and counted in
// Stats.
func OnReject(callback func(Event)) Option {
	return func(s *settings) {
		if s.Func("OnReject", callback != nil) {
			s.onReject = notify.New(callback)
		}
	}
}
