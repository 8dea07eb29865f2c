package bulkhead

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/keyed"
)

// Bulkhead bounds how many requests are inside at once. One Bulkhead may wrap
// several handlers and serve several clients, which then share its limits. Its
// methods are safe for concurrent use.
type Bulkhead struct {
	set        atomic.Pointer[settled]
	gate       *gate
	tenants    *keyed.Map[tenant]
	operations *keyed.Map[operation]
	exempt     atomic.Int64
	dropped    atomic.Uint64 // events of callbacks that Update has replaced
	epoch      time.Time

	updating sync.Mutex
}

// settled are settings in use, and what is made from them.
type settled struct {
	settings
	answers *answers
	// operationKey is how the middleware names the operation, nil where it does
	// not.
	operationKey handrail.KeyFunc
	// simple says that a request needs nothing but a global slot.
	simple bool
}

// New returns a Bulkhead. Without options it is Basic(100). All faults of the
// options are returned at once, joined, each a *[handrail.OptionError].
func New(opts ...Option) (*Bulkhead, error) {
	set := defaults()
	if err := set.apply(opts); err != nil {
		return nil, err
	}
	b := &Bulkhead{gate: newGate(), epoch: time.Now()}
	b.tenants = keyed.New(keyed.Config[tenant]{Max: set.maxKeys, New: newTenant, NewOverflow: func() *tenant {
		t := newTenant(keyed.Overflow)
		t.shared = true
		return t
	}})
	b.operations = keyed.New(keyed.Config[operation]{Max: set.maxKeys, New: newOperation, NewOverflow: func() *operation {
		o := newOperation(keyed.Overflow)
		o.shared = true
		return o
	}})
	b.use(set)
	return b, nil
}

// Middleware is New and Wrap in one, for a Bulkhead whose statistics nobody asks
// for. It panics where New returns an error.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	b, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return b.Wrap
}

// Update changes settings while requests are served. What an option does not
// mention stays. Requests inside stay there: where a limit is lowered below what
// is in use, nobody is let in until enough have left, and where it is raised,
// those who wait come in at once. WithMaxKeys takes effect at construction only
// and is an error here. On an error nothing changes.
func (b *Bulkhead) Update(opts ...Option) error {
	b.updating.Lock()
	defer b.updating.Unlock()
	old := &b.set.Load().settings
	set := *old
	if err := set.apply(opts); err != nil {
		return err
	}
	if set.maxKeys != old.maxKeys {
		set.Fault("WithMaxKeys", set.maxKeys, "cannot be changed while serving")
		return set.Err()
	}
	b.use(set)
	return nil
}

// use makes settings the current ones.
func (b *Bulkhead) use(set settings) {
	s := &settled{settings: set, answers: newAnswers(&set), simple: set.tenant == nil && !set.byOperation}
	if set.byOperation {
		s.operationKey = set.operation
		if s.operationKey == nil {
			s.operationKey = handrail.ByRoute
		}
	}
	b.gate.configure(set.rules())
	if old := b.set.Swap(s); old != nil && old.onReject != set.onReject {
		b.dropped.Add(old.onReject.Dropped())
	}
}

// now is the time on a monotonic clock.
func (b *Bulkhead) now() time.Duration { return time.Since(b.epoch) }

// Wrap puts the Bulkhead in front of next. It panics where next is nil. A
// request must pass the same Bulkhead only once: twice, it would take two
// slots, and requests that have one each could wait for each other.
func (b *Bulkhead) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("bulkhead: Wrap: the handler is nil")
	}
	return &handler{bulkhead: b, next: next}
}

type handler struct {
	bulkhead *Bulkhead
	next     http.Handler
}

// ServeHTTP implements [http.Handler]. Whatever is taken is given back in a
// defer, and so on every way out: a return, a panic, runtime.Goexit.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := h.bulkhead
	set := b.set.Load()
	if set.exempt != nil && set.exempt(r) {
		b.exempt.Add(1)
		defer b.exempt.Add(-1)
		h.next.ServeHTTP(w, r)
		return
	}
	if set.simple && b.gate.slip() {
		defer b.gate.unslip()
		h.next.ServeHTTP(w, r)
		return
	}
	h.serve(set, w, r)
}

// serve is for requests that need more than a global slot, or have to wait.
func (h *handler) serve(set *settled, w http.ResponseWriter, r *http.Request) {
	b := h.bulkhead
	p := b.permitFor(r, set.tenant, set.operationKey)
	defer p.release()
	if refused := p.obtain(b, &set.settings, r); refused.why != admitted {
		set.answer(w, r, refused)
		return
	}
	h.next.ServeHTTP(w, r)
}
