package shed_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/shed"
)

// fate is what became of a request.
type fate uint8

const (
	waiting fate = iota
	inside
	served
	refused
	gone
)

// orderCheck drives one Shedder with a fixed limit through random steps and
// compares what happens after each with what strict order allows.
type orderCheck struct {
	*shed.Shedder
	t     *testing.T
	h     http.Handler
	limit int
	calls []*tracked
	trail []string

	mu      sync.Mutex
	reasons map[string]shed.Reason
}

// tracked is a call of which the last look is remembered.
type tracked struct {
	*call
	id    string
	level int // 0 is a first attempt of a critical request, 9 a repeated one of background
	fate  fate
	left  bool
}

func newOrderCheck(t *testing.T, limit int, opts ...shed.Option) *orderCheck {
	o := &orderCheck{t: t, limit: limit, reasons: map[string]shed.Reason{}}
	o.Shedder = shedder(t, append(trusting(fixed(limit), shed.OnShed(func(e shed.Event) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.reasons[e.Pattern] = e.Reason
	})), opts...)...)
	// The route tells the events apart.
	wrapped := o.Wrap(desk)
	o.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = r.Header.Get("X-Id")
		wrapped.ServeHTTP(w, r)
	})
	return o
}

func (o *orderCheck) arrive(level int) *tracked {
	id := fmt.Sprint(len(o.trail))
	attempt := fmt.Sprint(level % 2)
	c := &tracked{id: id, level: level, call: start(o.h, "X-Id", id,
		classHeader, handrail.PriorityOfRank(level/2).String(), attemptHeader, attempt)}
	o.calls = append(o.calls, c)
	return c
}

// look brings the fates up to date and says what changed.
func (o *orderCheck) look() (granted, turned []*tracked) {
	synctest.Wait()
	kept := o.calls[:0]
	for _, c := range o.calls {
		was := c.fate
		switch {
		case c.inside.Load():
			c.fate = inside
		case c.served.Load():
			c.fate = served
		case c.over.Load() && c.left:
			c.fate = gone
		case c.over.Load():
			c.fate = refused
		}
		if was == waiting && c.served.Load() {
			granted = append(granted, c)
		}
		if was == waiting && c.fate == refused {
			turned = append(turned, c)
		}
		if c.fate == waiting || c.fate == inside {
			kept = append(kept, c)
		}
	}
	o.calls = kept
	return granted, turned
}

// why is the reason that an event gave, 0 where there was none.
func (o *orderCheck) why(c *tracked) shed.Reason {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reasons[c.id]
}

func (o *orderCheck) with(f fate) (calls []*tracked) {
	for _, c := range o.calls {
		if c.fate == f {
			calls = append(calls, c)
		}
	}
	return calls
}

func (o *orderCheck) fail(format string, args ...any) {
	o.t.Helper()
	last := o.trail[max(0, len(o.trail)-12):]
	o.t.Fatalf("step %d: %s\n%s", len(o.trail), fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

// check is called after each step, which says what was done.
func (o *orderCheck) check(step string) {
	o.t.Helper()
	granted, turned := o.look()
	line := step
	for _, c := range granted {
		line += fmt.Sprintf("; %s (level %d) let in", c.id, c.level)
	}
	for _, c := range turned {
		line += fmt.Sprintf("; %s (level %d) refused: %v", c.id, c.level, o.why(c))
	}
	o.trail = append(o.trail, line)

	in, queue := o.with(inside), o.with(waiting)
	if len(in) > o.limit {
		o.fail("%d inside with a limit of %d", len(in), o.limit)
	}
	if len(queue) > 0 && len(in) < o.limit {
		o.fail("%d wait while only %d of %d slots are taken", len(queue), len(in), o.limit)
	}
	if st := o.Stats(); st.InFlight != len(in) || st.Waiting != len(queue) {
		o.fail("counted %d and %d, there are %d inside and %d waiting", st.InFlight, st.Waiting, len(in), len(queue))
	}
	for _, g := range granted {
		for _, q := range queue {
			if q.level < g.level {
				o.fail("level %d was let in while level %d waits", g.level, q.level)
			}
			if q.level == g.level && q.since.Before(g.since) {
				o.fail("of level %d the younger request was let in first", g.level)
			}
		}
		for _, c := range turned {
			if c.level < g.level {
				o.fail("level %d was let in at the moment that level %d was refused (%v)", g.level, c.level, o.why(c))
			}
		}
	}
	for _, c := range turned {
		why := o.why(c)
		if why == 0 {
			o.fail("%s was refused without an event", c.id)
		}
		if why != shed.ReasonLimit && why != shed.ReasonDisplaced {
			continue
		}
		for _, q := range queue {
			if q.level > c.level {
				o.fail("level %d was refused (%v) while level %d stays waiting", c.level, why, q.level)
			}
		}
	}
}

func TestNoRequestIsShedWhileOneThatMattersLessIsLetIn(t *testing.T) {
	seen := map[shed.Reason]int{}
	var admitted uint64
	for seed := range race.Either[uint64](10, 4) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 99))
			limit := 1 + rng.IntN(8)
			o := newOrderCheck(t, limit)
			// Some runs crowd the room, others hardly fill it.
			arrivals := 2 + rng.IntN(6)
			pause := time.Duration(1+rng.IntN(30)) * time.Millisecond
			for range 1200 {
				switch n := rng.IntN(10); {
				case n < arrivals:
					level := rng.IntN(10)
					if rng.IntN(3) == 0 {
						level = rng.IntN(4)
					}
					c := o.arrive(level)
					o.check(fmt.Sprintf("%s (level %d) arrives", c.id, level))
				case n == 9 && rng.IntN(2) == 0:
					if q := o.with(waiting); len(q) > 0 {
						c := q[rng.IntN(len(q))]
						c.left = true
						c.cancel()
						o.check(c.id + " leaves")
					}
				case n >= 8:
					time.Sleep(time.Duration(rng.Int64N(int64(pause))))
					o.check("time passes")
				default:
					if in := o.with(inside); len(in) > 0 {
						c := in[rng.IntN(len(in))]
						c.end()
						o.check(c.id + " is done")
					}
				}
			}
			for len(o.calls) > 0 {
				for _, c := range o.with(inside) {
					c.end()
				}
				o.check("all inside are done")
			}
			for _, why := range o.reasons {
				seen[why]++
			}
			admitted += o.Stats().Admitted
			empty(t, o.Shedder)
		})
	}
	// The steps have to lead where the order matters.
	for _, why := range []shed.Reason{shed.ReasonLimit, shed.ReasonDisplaced, shed.ReasonTimeout} {
		if seen[why] < 20 {
			t.Errorf("only %d requests were refused for %v; %d admitted", seen[why], why, admitted)
		}
	}
}

func TestWaitingRequestsAreLetInByClassThenFirstAttemptsThenAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOrderCheck(t, 1)
		first := o.arrive(4)
		o.look()
		// In the room there are places for four at each class's own count.
		var queue []*tracked
		for _, level := range []int{9, 4, 0, 5} {
			queue = append(queue, o.arrive(level))
			o.look()
			time.Sleep(time.Millisecond)
		}
		var order []int
		for c := first; c != nil; {
			c.end()
			granted, _ := o.look()
			c = nil
			for _, g := range granted {
				order = append(order, g.level)
				c = g
			}
		}
		if fmt.Sprint(order) != "[0 4 5 9]" {
			t.Errorf("let in by level %v", order)
		}
		for _, q := range queue {
			if q.fate != served {
				t.Errorf("level %d was not served", q.level)
			}
		}
	})
}

func TestNewcomersTakeThePlacesOfTheLeastImportantWaitersOldestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOrderCheck(t, 1)
		o.arrive(4)
		o.look()
		// Each class in turn fills the room, the least important one first.
		displaced := 0
		for _, level := range []int{8, 6, 4, 2, 0} {
			for range 1000 {
				before := o.with(waiting)
				c := o.arrive(level)
				_, turned := o.look()
				time.Sleep(time.Microsecond)
				if len(turned) == 0 {
					continue
				}
				if turned[0] == c {
					break // nobody matters less
				}
				displaced++
				if o.why(turned[0]) != shed.ReasonDisplaced || len(turned) > 1 {
					t.Fatalf("%d turned away, the first for %v", len(turned), o.why(turned[0]))
				}
				for _, w := range before {
					if w.level > turned[0].level || w.level == turned[0].level && w.since.Before(turned[0].since) {
						t.Fatalf("a request of level %d, %v old, made way instead of one of level %d, %v old",
							turned[0].level, time.Since(turned[0].since), w.level, time.Since(w.since))
					}
				}
			}
			if c := o.with(waiting); len(c) > 500 {
				t.Fatal("the room has no end")
			}
		}
		if st := o.Stats(); displaced < 4 || st.Reasons[shed.ReasonDisplaced] != uint64(displaced) {
			t.Errorf("%d displaced, counted %v", displaced, st.Reasons)
		}
	})
}

func TestOverloadIsCarriedByTheLeastImportantClasses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Twenty slots of 10 ms are 2000 requests a second; 6000 come, a fifth
		// of each class. Critical fits, and two thirds of high.
		s := shedder(t, trusting(fixed(20))...)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(10 * time.Millisecond) }))
		var senders []sender
		for rank := range handrail.Priorities {
			senders = append(senders, sender{rate: 1200, headers: []string{classHeader, handrail.PriorityOfRank(rank).String()}})
		}
		got := traffic(t, h, 3, race.Either(4*time.Second, 2*time.Second), senders)
		for rank, want := range []float64{1, 2000./1200 - 1, 0, 0, 0} {
			if share := got[rank].share(); share < want-.05 || share > want+.05 {
				t.Errorf("%v: served %.3f, want %.2f", handrail.PriorityOfRank(rank), share, want)
			}
		}
		if got[0].share() < .995 {
			t.Errorf("critical: served %.4f", got[0].share())
		}
		empty(t, s)
	})
}
