package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/health"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// layer is one of the packages.
type layer uint8

// The layers in the recommended order.
const (
	observing layer = iota
	probing
	shedding
	timing
	retrying
	breaking
	bounding
	layers
)

func (l layer) String() string {
	return [layers]string{"observe", "health", "shed", "timeout", "retry", "breaker", "bulkhead"}[l]
}

// order is the layers from the outside in.
type order [layers]layer

var recommended = order{observing, probing, shedding, timing, retrying, breaking, bounding}

func (o order) String() string {
	var names [layers]string
	for i, l := range o {
		names[i] = l.String()
	}
	return strings.Join(names[:], " → ")
}

// outside says whether a stands outside of b.
func (o order) outside(a, b layer) bool {
	for _, l := range o {
		if l == a || l == b {
			return l == a && a != b
		}
	}
	return false
}

func (o order) reversed() order {
	for i, j := 0, len(o)-1; i < j; i, j = i+1, j-1 {
		o[i], o[j] = o[j], o[i]
	}
	return o
}

// allOrders are all there are, in an order of their own that is always the same.
func allOrders() (all []order) {
	var place func(o order, n int)
	place = func(o order, n int) {
		if n == len(o) {
			all = append(all, o)
			return
		}
		for i := n; i < len(o); i++ {
			o[n], o[i] = o[i], o[n]
			place(o, n+1)
		}
	}
	place(recommended, 0)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// must is for constructors whose options are written here.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// The timeout of requests whose path begins with slow is the short one.
const slow = "/slow"

// stack is one instance of each package. Nothing is refused by it unless it is
// told to.
type stack struct {
	order    order
	sampler  *load.Sampler
	observe  *observe.Observer
	health   *health.Health
	shed     *shed.Shedder
	timeout  *timeout.Timeout
	retry    *retry.Retrier
	breaker  *breaker.Breaker
	bulkhead *bulkhead.Bulkhead
	seen     seen
}

// seen is what the observer told of each exchange.
type seen struct {
	mu  sync.Mutex
	all []exchange
}

type exchange struct {
	route, outcome, policy, id string
	status                     int
	long                       bool
}

func (s *seen) Observe(x *observe.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, exchange{x.Route, x.Cause.Outcome, x.Cause.Policy, x.RequestID, x.Status, x.LongLived})
}

func (s *seen) take() (all []exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.all = s.all, nil
	return all
}

// newStack makes one whose retrier waits for as long as a Retry-After says, up to
// patience.
func newStack(o order, short, patience time.Duration) *stack {
	s := &stack{order: o}
	s.sampler = still()
	s.observe = must(observe.New(observe.WithSink(&s.seen), observe.WithRequestIDs(), observe.WithAttrs(2)))
	s.health = must(health.New(health.WithLogger(quietLogger), health.WithCheck("db", func(context.Context) error { return nil }, health.Every(time.Hour))))
	s.shed = must(shed.New(shed.WithName("the shedder"), shed.WithSampler(s.sampler), shed.WithLimits(64, 64, 1000)))
	s.timeout = must(timeout.New(timeout.WithName("the timeout"), timeout.Basic(time.Minute),
		timeout.PerOperation(time.Minute, map[string]time.Duration{slow: short}),
		timeout.WithOperation(func(r *http.Request) string {
			if strings.HasPrefix(r.URL.Path, slow) {
				return slow
			}
			return ""
		})))
	s.retry = must(retry.New(retry.WithName("the retrier"), retry.WithFixed(time.Millisecond), retry.WithoutBudget(), retry.WithMaxRetryAfter(patience)))
	s.breaker = must(breaker.New(breaker.WithName("the breaker"), breaker.WithConsecutiveFailures(1_000_000),
		breaker.WithFailureRate(0, 1, time.Second, 10)))
	s.bulkhead = must(bulkhead.New(bulkhead.WithName("the bulkhead"), bulkhead.WithLimit(64),
		bulkhead.PerTenant(handrail.ByHost, 64), bulkhead.PerOperation(64)))
	return s
}

// plain has nothing repeated and no header added, so that what handlers do is
// seen once and as it is.
func (s *stack) plain() {
	s.observe = must(observe.New(observe.WithSink(&s.seen), observe.WithAttrs(2)))
	s.retry = must(retry.New(retry.WithBudget(must(retry.NewBudget(0, 0))), retry.WithUnsafeMethods()))
	s.bulkhead = must(bulkhead.New(bulkhead.WithLimit(1000), bulkhead.PerTenant(handrail.ByHost, 1000), bulkhead.PerOperation(1000)))
}

func (s *stack) close() error {
	return errors.Join(s.health.Close(), s.sampler.Close())
}

// wrap puts the layers around h in their order.
func (s *stack) wrap(h http.Handler) http.Handler {
	var chain []func(http.Handler) http.Handler
	for _, l := range s.order {
		chain = append(chain, [layers]func(http.Handler) http.Handler{
			s.observe.Wrap, s.health.Wrap, s.shed.Wrap, s.timeout.Wrap, s.retry.Wrap, s.breaker.Wrap, s.bulkhead.Wrap,
		}[l])
	}
	return handrail.Chain(chain...)(h)
}

// held is what is not zero although no request is there.
func (s *stack) held() (what string) {
	note := func(name string, n int) {
		if n != 0 {
			what += fmt.Sprintf("%s: %d; ", name, n)
		}
	}
	o := s.observe.Stats()
	note("observe in flight", o.InFlight)
	note("observe long-lived", o.LongLived)
	sh := s.shed.Stats()
	note("shed in flight", sh.InFlight)
	note("shed waiting", sh.Waiting)
	note("shed long-lived", sh.LongLived)
	note("sampler in flight", int(sh.Load.InFlight))
	note("sampler long-lived", int(sh.Load.LongLived))
	t := s.timeout.Stats()
	note("timeout overdue", t.Overdue)
	note("timeout long-lived", t.LongLived)
	for _, c := range s.breaker.Stats().Circuits {
		note("breaker probes", c.Probes)
	}
	b := s.bulkhead.Stats()
	note("bulkhead in use", b.InUse)
	note("bulkhead waiting", b.Waiting)
	for _, k := range b.ByTenant {
		note("bulkhead in use by a tenant", k.InUse)
	}
	for _, k := range b.ByOperation {
		note("bulkhead in use by an operation", k.InUse)
	}
	return what
}

// figures are the requests that each layer has counted; health counts none.
type figures struct {
	passed [layers]uint64
	// verdicts are the breaker's: successes, failures, excluded, rejected.
	verdicts [4]uint64
}

func (s *stack) figures() (f figures) {
	sh, b, bh := s.shed.Stats(), s.breaker.Stats(), s.bulkhead.Stats()
	f.verdicts = [4]uint64{b.Successes, b.Failures, b.Excluded, b.Rejected}
	f.passed[observing] = s.observe.Stats().Requests
	f.passed[shedding] = sh.Admitted + sh.Shed + sh.Gone
	f.passed[timing] = s.timeout.Stats().Requests
	f.passed[retrying] = s.retry.Stats().Requests
	f.passed[breaking] = b.Successes + b.Failures + b.Excluded + b.Rejected
	f.passed[bounding] = bh.Admitted + bh.Rejected + bh.Canceled
	return f
}

func (f figures) since(before figures) figures {
	for i := range f.passed {
		f.passed[i] -= before.passed[i]
	}
	for i := range f.verdicts {
		f.verdicts[i] -= before.verdicts[i]
	}
	return f
}

// eventually waits for what a server notices a little after its client, and
// says whether that happened.
func eventually(t testing.TB, what string, happened func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%s: never", what)
			return false
		}
	}
	return true
}

var quiet = log.New(io.Discard, "", 0)
