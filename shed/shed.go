package shed

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/keyed"
	"github.com/handrail-go/handrail/load"
)

// Shedder decides which requests are served while not all can be. One Shedder
// may wrap several handlers, which then share its limit. Its methods are safe
// for concurrent use.
type Shedder struct {
	sampler *load.Sampler
	set     atomic.Pointer[settings]
	answers atomic.Pointer[answers]
	tally   tally
	gate    *gate
	outlook outlook
	circuit circuit
	dice    dice
	anyone  tenant // the account of requests that belong to no tenant
	tenants *keyed.Map[tenant]
	dropped atomic.Uint64 // events of callbacks that Update has replaced

	visits [4]visit

	updating sync.Mutex
}

// turn is a change of the circuit's state.
type turn struct{ from, to CircuitState }

// New returns a Shedder. Without options it is adaptive, reads load.Default,
// and treats all requests alike. All faults of the options are returned at
// once, joined, each a *[handrail.OptionError].
func New(opts ...Option) (*Shedder, error) {
	set := defaults()
	if err := set.apply(opts); err != nil {
		return nil, err
	}
	if set.sampler == nil {
		set.sampler = load.Default()
	}
	if !set.seeded {
		set.seed = rand.Uint64()
	}
	s := &Shedder{sampler: set.sampler}
	s.dice.state.Store(set.seed)
	s.gate = newGate(&set, &s.tally, s.now)
	s.tenants = keyed.New(keyed.Config[tenant]{Max: set.tenants, New: func(string) *tenant { return new(tenant) }})
	for i := range s.visits {
		s.visits[i] = visit{shedder: s, gated: i&1 != 0, counted: i&2 != 0}
	}
	s.circuit.notify = func(from, to CircuitState) { s.set.Load().onStateChange.Raise(turn{from, to}) }
	s.use(&set)
	return s, nil
}

// Middleware is New and Wrap in one, for a Shedder whose statistics nobody
// asks for. It panics where New returns an error.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	s, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return s.Wrap
}

// Update changes settings while requests are served: those inside finish under
// the old ones, those that wait do so under the new limits. What an option does not mention stays. WithMaxTenants,
// WithSeed and WithSampler take effect at construction only and are an error here. On
// an error nothing changes.
func (s *Shedder) Update(opts ...Option) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	old := s.set.Load()
	set := *old
	if err := set.apply(opts); err != nil {
		return err
	}
	if set.sampler != old.sampler {
		set.Fault("WithSampler", nil, "cannot be changed while serving")
	}
	if set.tenants != old.tenants {
		set.Fault("WithMaxTenants", set.tenants, "cannot be changed while serving")
	}
	if set.seed != old.seed {
		set.Fault("WithSeed", set.seed, "cannot be changed while serving")
	}
	if err := set.Err(); err != nil {
		return err
	}
	s.use(&set)
	return nil
}

// use makes settings the current ones.
func (s *Shedder) use(set *settings) {
	s.answers.Store(newAnswers(set))
	s.gate.configure(set)
	if old := s.set.Swap(set); old != nil {
		if old.onShed != set.onShed {
			s.dropped.Add(old.onShed.Dropped())
		}
		if old.onStateChange != set.onStateChange {
			s.dropped.Add(old.onStateChange.Dropped())
		}
	}
}

// now is the time on the sampler's monotonic clock, which the gate shares.
func (s *Shedder) now() time.Duration { return s.sampler.Now() }

// Wrap puts the Shedder in front of next. It panics where next is nil. A
// request must pass the same Shedder only once: twice, it would take two slots.
func (s *Shedder) Wrap(next http.Handler) http.Handler {
	if next == nil {
		panic("shed: Wrap: the handler is nil")
	}
	return &handler{shedder: s, next: next}
}

type handler struct {
	shedder *Shedder
	next    http.Handler
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := h.shedder
	set := s.set.Load()
	if set.exempt != nil && set.exempt(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	a := arrival{ctx: r.Context(), tenant: &s.anyone, dryRun: set.dryRun}
	rank, attempt := handrail.Normal.Rank(), 0
	if set.priority != nil {
		rank = set.priority(r).Rank()
	}
	if set.attempt != nil {
		attempt = set.attempt(r)
	}
	// Whatever belongs to the user is asked before anything is occupied.
	long := set.long != nil && set.long(r)
	a.level = levelOf(rank, attempt > 0)
	s.tally.arrived[a.level].Add(1)

	now := s.now()
	gated, waited := set.strategy == Adaptive, false
	var why Reason
	if gated {
		if set.tenant != nil {
			ref := s.tenants.Acquire(set.tenant(r))
			a.tenant, a.fair = ref.Value(), true
			why, waited = s.gate.enter(now, a)
			ref.Release()
		} else {
			why, waited = s.gate.enter(now, a)
		}
	} else {
		why = s.judge(now, set, a, attempt, r)
	}
	if why != admitted {
		s.tally.refused[rank][why].Add(1)
		s.report(set, rank, why, r)
		if gated {
			s.gate.step(s.now())
		}
		if why == ReasonGone || !set.dryRun {
			s.answer(w, r, why)
			return
		}
		s.tally.spared.Add(1)
	}
	s.tally.admitted[rank].Add(1)
	if waited {
		now = s.now()
	}
	s.serve(h.next, w, r, long, gated, now)
}

// serve runs the handler with everything booked that it occupies, and gives it
// back on every way out: a return, a panic, runtime.Goexit.
func (s *Shedder) serve(next http.Handler, w http.ResponseWriter, r *http.Request, long, gated bool, start time.Duration) {
	if gated {
		s.stepBack(start)
	}
	rw, rec, owner := httpwrap.Wrap(w)
	v := s.visit(gated, s.sampler.Enter(rw))
	returned := false
	defer func() {
		if long || lived(rec, owner, v) {
			v.ended()
		} else {
			v.leave(start, outcome(r.Context(), rec, returned))
		}
		if owner {
			rec.Release()
		}
	}()
	if long {
		v.LongLived()
	} else {
		rec.NotifyLongLived(v)
	}
	next.ServeHTTP(rw, r)
	returned = true
}

// stepBack lets other goroutines run first where the CPU has fallen behind. The
// scheduler runs a connection's goroutine through parsing and handler in one
// slice, so an overload of the CPU stands in the run queue, before any
// middleware: once stepped back, those requests are parsed, reach the gate and
// are ranked. What is admitted holds its slot meanwhile, and its latency begins
// before: the time in the run queue is the only sign of such an overload.
func (s *Shedder) stepBack(now time.Duration) {
	if sched := s.sampler.SchedulerAt(now); sched.Known && sched.Runnable >= 1 {
		runtime.Gosched()
	}
}

// judge decides for the strategies other than adaptive.
func (s *Shedder) judge(now time.Duration, set *settings, a arrival, attempt int, r *http.Request) Reason {
	v := s.outlook.at(now, set, &s.tally)
	switch set.strategy {
	case Random:
		if s.dice.roll() < min(max(v.pressure, set.minRate), set.maxRate) {
			return ReasonPressure
		}
	case Priority:
		if s.dice.roll() < v.rates[a.level/2] {
			return ReasonPressure
		}
	case Circuit:
		if !s.circuit.admit(now, set.thresholds.over(v.load), set.circuit) {
			return ReasonCircuit
		}
	case Custom:
		snapshot := Snapshot{Load: v.load, Pressure: v.pressure, Priority: handrail.PriorityOfRank(a.level / 2), Attempt: attempt}
		if set.decide(snapshot, r) {
			return ReasonCustom
		}
	}
	return admitted
}

// report tells the callback of a refusal.
func (s *Shedder) report(set *settings, rank int, why Reason, r *http.Request) {
	if set.onShed == nil || why == ReasonGone {
		return
	}
	set.onShed.Raise(Event{Name: set.name, Priority: handrail.PriorityOfRank(rank), Reason: why,
		Method: r.Method, Pattern: r.Pattern, DryRun: set.dryRun, At: time.Now()})
}
