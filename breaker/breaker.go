package breaker

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/keyed"
)

// Breaker keeps requests from what fails. It holds one circuit, or one for each
// key. One Breaker may wrap several handlers, which then share its circuits. It
// is safe for concurrent use.
type Breaker struct {
	set   settings
	epoch time.Time
	timed bool // somebody asks how long a request takes

	one   *circuit // of requests that have no key
	keyed *keyed.Map[circuit]

	mode     atomic.Uint32
	ownModes atomic.Pointer[map[string]Mode] // by key, nil if there is none
	changing sync.Mutex                      // of ownModes

	answers answers
	tally   tally
}

// New returns a Breaker with one circuit for all requests, unless an option
// says otherwise. All faults of the options are returned at once, joined, each
// a *[handrail.OptionError].
func New(opts ...Option) (*Breaker, error) {
	b := &Breaker{set: defaults(), epoch: time.Now()}
	if err := b.set.apply(opts); err != nil {
		return nil, err
	}
	b.timed = b.set.slowCall > 0 || b.set.classifier != nil
	b.mode.Store(uint32(b.set.mode))
	b.answers = newAnswers(&b.set)
	b.one = newCircuit(b, "", false)
	b.keyed = keyed.New(keyed.Config[circuit]{
		Max:         b.set.maxKeys,
		New:         func(key string) *circuit { return newCircuit(b, key, false) },
		NewOverflow: func() *circuit { return newCircuit(b, keyed.Overflow, true) },
		Idle:        (*circuit).idle,
		OnEvict:     func(_ string, c *circuit) { c.forgotten() },
	})
	return b, nil
}

// Middleware is [New] and [Breaker.Wrap] in one, for a Breaker that nobody
// asks or tells anything. It panics where New returns an error.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	b, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return b.Wrap
}

// now is the time since the Breaker was made, on the monotonic clock.
func (b *Breaker) now() time.Duration { return time.Since(b.epoch) }

func (b *Breaker) at(now time.Duration) time.Time { return b.epoch.Add(now) }

// Wrap puts the Breaker in front of next. It panics where next is nil. A
// request should pass the same Breaker only once: twice, it counts twice.
func (b *Breaker) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("breaker: Wrap: the handler is nil")
	}
	return &handler{b: b, next: next}
}

type handler struct {
	b    *Breaker
	next http.Handler
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := h.b
	if b.set.exempt != nil && b.set.exempt(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	key := ""
	if b.set.key != nil {
		key = keyed.Cut(b.set.key(r))
	}
	mode := b.modeOf(key)
	if mode == Disabled {
		h.next.ServeHTTP(w, r)
		return
	}
	c, ref := b.circuit(key, b.set.key != nil)
	t, why, retry := c.admit(mode)
	if why != admitted {
		ref.Release()
		b.refuse(w, r, why, retry)
		return
	}
	x := exchanges.Get().(*exchange)
	b.begin(x, t, c, ref, r)
	h.serve(w, r, x)
}

// serve runs the handler, and reports on every way out: a return, a panic,
// runtime.Goexit.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, x *exchange) {
	var rec *httpwrap.Recorder
	owner, returned := false, false
	defer func() {
		if rec == nil {
			x.settle(Excluded, -1, 0) // an Unwrap of somebody else's panicked
			return
		}
		// Somebody further out may own the recorder, and the exchange may
		// become long-lived after this.
		mine := rec.Unsubscribe(x)
		x.served(returned, false)
		if owner {
			rec.Release()
		}
		if mine {
			x.recycle()
		}
	}()
	w, rec, owner = httpwrap.Wrap(w)
	x.rec, x.before = rec, rec.Outcome()
	rec.NotifyLongLived(x)
	h.next.ServeHTTP(w, r)
	returned = true
}

// circuit returns the circuit of a key, to be released, or the one of all.
func (b *Breaker) circuit(key string, byKey bool) (*circuit, keyed.Ref[circuit]) {
	if !byKey {
		return b.one, keyed.Ref[circuit]{}
	}
	ref := b.keyed.Acquire(key)
	return ref.Value(), ref
}

// each visits the circuits that are in use: the one of all requests where there
// are no keys, and those of keys, which include the hosts of a Transport.
func (b *Breaker) each(visit func(*circuit)) {
	if b.set.key == nil {
		visit(b.one)
	}
	b.keyed.Range(func(_ string, c *circuit) bool {
		visit(c)
		return true
	})
	if c := b.keyed.Overflow(); c != nil {
		visit(c)
	}
}
