package observe

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/option"
)

// Observer tells its sinks about every request that passes it. It is safe for
// concurrent use, owns no goroutine and needs no Close; a sink may.
type Observer struct {
	set       settings
	starters  []Starter
	followers []Follower
	routes    *routes
	visits    sync.Pool

	tally struct {
		inFlight, longLived atomic.Int64
		skipped             atomic.Uint64
		ended               [endings]atomic.Uint64
		panics, attrsLost   atomic.Uint64
	}
}

// New returns an Observer, or all the faults of its options, joined, each an
// [*handrail.OptionError]. Without a sink it only keeps statistics.
func New(opts ...Option) (*Observer, error) {
	o := &Observer{set: defaults()}
	option.Apply(&o.set.Faults, &o.set, opts)
	if err := o.set.Err(); err != nil {
		return nil, err
	}
	for _, s := range o.set.sinks {
		if s, ok := s.(Starter); ok {
			o.starters = append(o.starters, s)
		}
		if s, ok := s.(Follower); ok {
			o.followers = append(o.followers, s)
		}
	}
	o.routes = newRoutes(o.set.maxRoutes)
	o.visits.New = func() any { return &visit{o: o} }
	return o, nil
}

// Middleware is New and Wrap in one, for an Observer whose statistics nobody
// asks for. It panics where New returns an error.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	o, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return o.Wrap
}

// Wrap puts the Observer in front of next. It panics where next is nil. A
// request that passes the same Observer more than once is observed by the
// outermost.
func (o *Observer) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("observe: Wrap: the handler is nil")
	}
	return &handler{observer: o, next: next}
}

type handler struct {
	observer *Observer
	next     http.Handler
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o := h.observer
	if o.set.skip != nil && o.set.skip(r) {
		o.tally.skipped.Add(1)
		h.next.ServeHTTP(w, r)
		return
	}
	rw, rec, owner := httpwrap.Wrap(w)
	v := o.visits.Get().(*visit)
	if !rec.Follow(o, v) {
		o.visits.Put(v)
		if owner {
			rec.Release()
		}
		h.next.ServeHTTP(w, r)
		return
	}
	v.rec, v.owner = rec, owner
	defer v.end()
	next := v.begin(rw, r)
	if v.long {
		v.follow() // it was before it came here
	}
	h.next.ServeHTTP(rw, next)
	v.returned = true
}

// copies says whether handlers get a context of the Observer's.
func (s *settings) copies() bool { return s.ids || s.maxAttrs > 0 }

// begin returns the request for the handler, which is r itself where nothing of
// it has to differ.
func (v *visit) begin(rw http.ResponseWriter, r *http.Request) *http.Request {
	o, x := v.o, &v.Exchange
	set := &o.set
	o.tally.inFlight.Add(1)
	v.r = r
	x.Request, x.ctx = r, r.Context()
	x.Began = time.Now()
	x.Method, x.Scheme = methodOf(r.Method), "http"
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.RequestBytes = r.ContentLength
	if set.ids {
		x.RequestID = set.requestID(r)
	}
	if len(o.starters) > 0 {
		v.start()
	}
	counted := set.bodies && r.ContentLength < 0 && r.Body != nil && r.Body != http.NoBody
	known := set.copies() || x.Trace != (TraceIDs{})
	if !known && x.ctx == r.Context() && !counted {
		return r
	}
	ctx := x.ctx
	if known {
		h := &holder{Context: ctx, id: x.RequestID, trace: x.Trace, max: set.maxAttrs}
		v.holder, ctx = h, h
		if set.ids {
			h.echo[0] = h.id
			rw.Header()[set.idHeader] = h.echo[:]
		}
	}
	c := r.WithContext(ctx)
	if counted {
		v.body = &countedBody{ReadCloser: r.Body}
		c.Body = v.body
	}
	x.Request, x.ctx = c, ctx
	return c
}

// start tells the starters.
func (v *visit) start() {
	for i := 0; i < len(v.o.starters); {
		i = v.startSome(i)
	}
	if v.ctx == nil {
		v.ctx = v.r.Context() // SetContext was called with nil
	}
}

func (v *visit) startSome(i int) (next int) {
	n := len(v.o.starters)
	defer func() {
		if i < n {
			v.o.tally.panics.Add(1)
			_ = recover() // nil where it is runtime.Goexit, which goes on
			next = i + 1
		}
	}()
	for ; i < n; i++ {
		v.o.starters[i].Start(&v.Exchange)
	}
	return n
}
