package shed_test

import (
	"math/rand/v2"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/shed"
)

func TestAHigherLimitLetsInWhoWaitsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		calls := []*call{settled(h), settled(h), settled(h)}
		if calls[1].inside.Load() || calls[2].inside.Load() {
			t.Fatal("more than one inside")
		}
		if err := s.Update(fixed(2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !calls[1].inside.Load() || calls[2].inside.Load() {
			t.Errorf("second inside: %t, third inside: %t", calls[1].inside.Load(), calls[2].inside.Load())
		}
		finish(calls[:2])
		finish(calls)
		empty(t, s)
	})
}

func TestALowerLimitHoldsOnceEnoughHaveLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(5), shed.WithMaxWait(0))
		h := s.Wrap(desk)
		calls := fill(t, h, 5)
		if err := s.Update(fixed(2)); err != nil {
			t.Fatal(err)
		}
		for left := 5; left > 2; left-- {
			if c := settled(h); c.inside.Load() {
				t.Fatalf("let in with %d inside and a limit of 2", left)
			}
			finish(calls[left-1 : left])
		}
		if c := settled(h); c.inside.Load() {
			t.Error("let in with two inside")
		}
		finish(calls[:1])
		if c := settled(h); !c.inside.Load() {
			t.Error("not let in with one inside")
		} else {
			calls = append(calls, c)
		}
		finish(calls)
		empty(t, s)
	})
}

func TestTheModeCanBeChangedWithRequestsInsideAndWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(2))
		h := s.Wrap(desk)
		gated := fill(t, h, 2)
		waiting := settled(h)
		must(t, s.Update(never()))
		if c := settled(h); !c.over.Load() || c.served.Load() {
			t.Error("the new strategy did not decide")
		}
		must(t, s.Update(shed.WithStrategy(shed.Random)))
		free := fill(t, h, 5)
		if st := s.Stats(); st.Strategy != shed.Random || st.InFlight != 2 || st.Load.InFlight != 7 {
			t.Errorf("%v with %d in flight, %d for the sampler", st.Strategy, st.InFlight, st.Load.InFlight)
		}
		finish(gated[:1])
		if !waiting.inside.Load() {
			t.Error("who waited under the old strategy was forgotten")
		}
		must(t, s.Update(shed.Basic()))
		if c := settled(h); c.inside.Load() {
			t.Error("let in above the limit")
		} else {
			c.cancel()
		}
		finish(append(append(gated, free...), waiting))
		empty(t, s)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatAnUpdateDoesNotMentionStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var events atomic.Int64
		s := shedder(t, shed.WithName("front"), fixed(1), shed.WithMaxWait(0), shed.WithStatus(429), shed.WithDryRun(true),
			shed.OnShed(func(shed.Event) { events.Add(1) }))
		must(t, s.Update(shed.WithDryRun(false)))
		h := s.Wrap(desk)
		c := settled(h)
		if got := get(h); got != 429 {
			t.Errorf("status %d", got)
		}
		synctest.Wait()
		if st := s.Stats(); st.Name != "front" || st.Limit != 1 || st.DryRun || events.Load() != 1 {
			t.Errorf("name %q, limit %d, dry run %t, %d events", st.Name, st.Limit, st.DryRun, events.Load())
		}
		finish([]*call{c})
	})
}

func TestAWrongUpdateChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(3), shed.WithName("front"))
		other := idle(t)
		for name, opts := range map[string][]shed.Option{
			"nil":         {nil},
			"status":      {shed.WithName("x"), shed.WithStrategy(shed.Random), shed.WithStatus(1)},
			"limits":      {shed.WithName("x"), shed.WithLimits(5, 4, 3)},
			"sampler":     {shed.WithName("x"), shed.WithSampler(other)},
			"max tenants": {shed.WithName("x"), shed.WithMaxTenants(7)},
			"seed":        {shed.WithName("x"), shed.WithSeed(7)},
		} {
			before := s.Stats()
			err := s.Update(opts...)
			if len(optiontest.Faults(t, err)) != 1 {
				t.Errorf("%s: %v", name, err)
			}
			if after := s.Stats(); !reflect.DeepEqual(before, after) {
				t.Errorf("%s: %+v became %+v", name, before, after)
			}
		}
		if err := s.Update(shed.WithStatus(1), shed.WithSeed(9), shed.WithSampler(other), shed.WithMaxTenants(3)); len(optiontest.Faults(t, err)) < 1 || !strings.Contains(err.Error(), "WithStatus") {
			t.Errorf("%v", err)
		}
		must(t, s.Update())
	})
}

// The same goroutine of the same callback goes on through an update: an event
// is told in order, never beside another.
func TestAnUpdateKeepsTheOrderOfEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		var running, most, told atomic.Int64
		s := shedder(t, never(), shed.OnShed(func(shed.Event) {
			most.Store(max(most.Load(), running.Add(1)))
			<-hold
			running.Add(-1)
			told.Add(1)
		}))
		h := s.Wrap(noop)
		get(h)
		synctest.Wait()
		must(t, s.Update(shed.WithMessage("another")))
		get(h)
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if most.Load() != 1 || told.Load() != 2 {
			t.Errorf("%d events were told, up to %d at once", told.Load(), most.Load())
		}
	})
}

func TestAnUpdateKeepsTheCountOfDroppedEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := shedder(t, never(), shed.OnShed(func(shed.Event) { <-hold }))
		h := s.Wrap(noop)
		for range 1500 {
			get(h)
		}
		before := s.Stats().DroppedEvents
		must(t, s.Update(shed.WithMessage("another")))
		if after := s.Stats().DroppedEvents; before == 0 || after != before {
			t.Errorf("%d dropped events before the update, %d after it", before, after)
		}
		close(hold)
	})
}

func TestUpdatesWhileServingLoseNoSlot(t *testing.T) {
	s := shedder(t, trusting(shed.WithLimits(1, 4, 8))...)
	h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Gosched() }))
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			class := handrail.PriorityOfRank(i % handrail.Priorities).String()
			for !stop.Load() {
				get(h, classHeader, class, tenantHeader, class)
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			st := s.Stats()
			if st.InFlight < 0 || st.Waiting < 0 {
				t.Errorf("%d in flight, %d waiting", st.InFlight, st.Waiting)
				return
			}
			s.Collect(func(handrail.Metric) {})
			runtime.Gosched()
		}
	})
	rng := rand.New(rand.NewPCG(1, 1))
	changes := []func() []shed.Option{
		func() []shed.Option { n := 1 + rng.IntN(16); return []shed.Option{shed.WithLimits(1, n, n)} },
		func() []shed.Option { n := 1 + rng.IntN(4); return []shed.Option{fixed(n)} },
		func() []shed.Option {
			return []shed.Option{shed.ForTarget(time.Duration(1+rng.IntN(50)) * time.Millisecond)}
		},
		func() []shed.Option { return []shed.Option{shed.WithStrategy(shed.Random), shed.WithRates(0, .5)} },
		func() []shed.Option { return []shed.Option{shed.ByPriority(nil)} },
		func() []shed.Option { return []shed.Option{shed.WithCircuit(shed.CircuitSettings{})} },
		func() []shed.Option { return []shed.Option{shed.Basic()} },
		func() []shed.Option {
			return []shed.Option{shed.WithMaxWait(time.Duration(rng.IntN(3)) * time.Millisecond)}
		},
		func() []shed.Option { return []shed.Option{shed.WithDryRun(rng.IntN(2) == 0)} },
		func() []shed.Option { return []shed.Option{shed.WithStatus(400 + rng.IntN(8))} },
		func() []shed.Option { return []shed.Option{shed.OnShed(func(shed.Event) {})} },
		func() []shed.Option { return []shed.Option{shed.WithLimits(3, 2, 1)} }, // wrong
	}
	wrong := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if s.Update(changes[rng.IntN(len(changes))]()...) != nil {
			wrong++
		}
		runtime.Gosched()
	}
	stop.Store(true)
	wg.Wait()
	if st := s.Stats(); st.Admitted == 0 || st.Shed == 0 || wrong == 0 {
		t.Errorf("admitted %d, shed %d, %d wrong updates", st.Admitted, st.Shed, wrong)
	}
	empty(t, s)
}

// A dry run that begins or ends just while a request is decided on neither
// takes a slot for ever nor gives one back that was not taken.
func TestSwitchingTheDryRunWhileServingLosesNoSlot(t *testing.T) {
	s := shedder(t, fixed(2), shed.WithMaxWait(0))
	h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Gosched() }))
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			w, r := &nullWriter{http.Header{}}, request()
			for !stop.Load() {
				h.ServeHTTP(w, r)
			}
		})
	}
	for i, end := 0, time.Now().Add(200*time.Millisecond); time.Now().Before(end); i++ {
		must(t, s.Update(shed.WithDryRun(i%2 == 0)))
		runtime.Gosched()
	}
	stop.Store(true)
	wg.Wait()
	empty(t, s)
}
