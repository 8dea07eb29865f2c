package shed_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/shed"
)

// Clients leave at the very moment at which slots become free, and as many
// times as it takes for every interleaving to happen.
func TestAGrantThatMeetsItsClientsLeavingGoesToTheNext(t *testing.T) {
	const limit, crowd = 2, 8
	rounds := race.Either(16_000, 1000)
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(limit))
		entered := make(chan chan struct{}, crowd+limit)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			leave := make(chan struct{})
			entered <- leave
			<-leave
		}))
		w, r := &nullWriter{http.Header{}}, request()
		rng := rand.New(rand.NewPCG(1, 1))
		// sent keeps the room full; each has its own way to leave.
		var cancels []context.CancelFunc
		var inside []chan struct{}
		races := 0
		for round := range rounds {
			for s.Stats().Waiting < crowd/2 {
				ctx, cancel := context.WithCancel(context.Background())
				cancels = append(cancels, cancel)
				go func() {
					h.ServeHTTP(&nullWriter{w.h}, r.WithContext(ctx))
					cancel()
				}()
				synctest.Wait()
			}
			for len(entered) > 0 {
				inside = append(inside, <-entered)
			}
			// All of that at once: every slot is given back, clients leave, one
			// more arrives.
			for range 1 + rng.IntN(len(inside)) {
				leave := inside[len(inside)-1]
				inside = inside[:len(inside)-1]
				go close(leave)
				races++
			}
			rng.Shuffle(len(cancels), func(i, j int) { cancels[i], cancels[j] = cancels[j], cancels[i] })
			for range min(len(cancels), 1+rng.IntN(crowd)) {
				cancel := cancels[len(cancels)-1]
				cancels = cancels[:len(cancels)-1]
				go cancel()
				races++
			}
			if rng.IntN(4) == 0 {
				go h.ServeHTTP(&nullWriter{w.h}, r)
			}
			synctest.Wait()
			if st := s.Stats(); st.InFlight > limit || st.Waiting > 0 && st.InFlight < limit || st.InFlight < 0 || st.Waiting < 0 {
				t.Fatalf("round %d: %d in flight of %d, %d waiting", round, st.InFlight, limit, st.Waiting)
			}
		}
		for _, cancel := range cancels {
			cancel()
		}
		for {
			synctest.Wait()
			for len(entered) > 0 {
				inside = append(inside, <-entered)
			}
			if len(inside) == 0 {
				break
			}
			close(inside[0])
			inside = inside[1:]
		}
		if races < 4*rounds {
			t.Errorf("only %d races", races)
		}
		if st := s.Stats(); st.Gone == 0 || st.Admitted == 0 {
			t.Errorf("%d gone, %d admitted", st.Gone, st.Admitted)
		}
		empty(t, s)
	})
}

// The last one inside leaves at the moment at which another request finds the
// slots taken: one of the two has to see the other.
func TestAnArrivalThatMeetsTheLastDepartureIsNotForgotten(t *testing.T) {
	rounds := race.Either(20_000, 4000)
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		entered := make(chan chan struct{}, 2)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			leave := make(chan struct{})
			entered <- leave
			<-leave
		}))
		r := request()
		send := func() { h.ServeHTTP(&nullWriter{http.Header{}}, r) }
		go send()
		synctest.Wait()
		var ready atomic.Int64
		for round := range rounds {
			leave := <-entered
			ready.Store(0)
			together := func(f func()) {
				ready.Add(1)
				for i := 0; ready.Load() < 2 && i < 1000; i++ {
					runtime.Gosched()
				}
				f()
			}
			go together(func() { close(leave) })
			go together(send)
			synctest.Wait()
			if len(entered) != 1 {
				t.Errorf("round %d: a request waits although nobody is inside", round)
				time.Sleep(time.Minute) // it gives up
				return
			}
		}
		close(<-entered)
		synctest.Wait()
		empty(t, s)
	})
}

func TestHundredThousandDeparturesLeaveNothingBehind(t *testing.T) {
	leaktest.Check(t)
	const workers = 8 // and as many that cancel
	each := 100_000 / workers
	s := shedder(t, trusting(fixed(2))...)
	h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Gosched() }))
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			r := request(classHeader, handrail.PriorityOfRank(i%handrail.Priorities).String(), tenantHeader, string(rune('a'+i%7)))
			w := &nullWriter{http.Header{}}
			cancels := make(chan context.CancelFunc)
			defer close(cancels)
			wg.Go(func() {
				for cancel := range cancels {
					for range rng.IntN(4) {
						runtime.Gosched()
					}
					cancel()
				}
			})
			for range each {
				ctx, cancel := context.WithCancel(context.Background())
				cancels <- cancel
				h.ServeHTTP(w, r.WithContext(ctx))
			}
		})
	}
	wg.Wait()
	st := s.Stats()
	if st.Gone == 0 || st.Admitted == 0 || st.Admitted+st.Shed+st.Gone != uint64(each*workers) {
		t.Errorf("%d admitted, %d shed, %d gone of %d", st.Admitted, st.Shed, st.Gone, each*workers)
	}
	consistent(t, st)
	empty(t, s)
}

func TestASlotComesBackOnEveryWayOut(t *testing.T) {
	for _, way := range ways {
		bubble(t, func(t *testing.T) {
			s := shedder(t, fixed(1))
			h := s.Wrap(desk)
			c := settled(h)
			next := settled(h)
			if way.cancel {
				c.cancel()
			}
			c.release <- way.end
			synctest.Wait()
			if !next.inside.Load() {
				t.Errorf("%s: the slot went to nobody", way.name)
			}
			finish([]*call{next})
			empty(t, s)
		})
	}
}

func TestAClientThatLeavesTheRoomGivesItsPlaceBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		busy := settled(h)
		for range 1000 { // far beyond what the room holds at once
			c := settled(h)
			if c.over.Load() {
				t.Fatal("the room is full although everybody left it")
			}
			c.cancel()
			synctest.Wait()
			if !c.over.Load() {
				t.Fatal("still waits although its client left")
			}
		}
		if st := s.Stats(); st.Gone != 1000 || st.Shed != 0 || st.Waiting != 0 {
			t.Errorf("gone %d, shed %d, waiting %d", st.Gone, st.Shed, st.Waiting)
		}
		finish([]*call{busy})
		empty(t, s)
	})
}

func TestSixtyFourGoroutinesShareOneShedder(t *testing.T) {
	leaktest.Check(t)
	for name, opts := range map[string][]shed.Option{
		"adaptive": {shed.WithLimits(2, 4, 64)},
		"random":   {shed.WithStrategy(shed.Random), shed.WithRates(.2, .8)},
		"priority": {shed.ByPriority(map[handrail.Priority]float64{handrail.Normal: .5}), shed.WithRates(.2, .8)},
		"circuit":  {shed.WithCircuit(shed.CircuitSettings{Hold: time.Millisecond, CoolDown: 10 * time.Millisecond, ProbeFor: 10 * time.Millisecond})},
		"custom":   {shed.Using(func(s shed.Snapshot, _ *http.Request) bool { return s.Priority < handrail.Normal })},
	} {
		t.Run(name, func(t *testing.T) {
			m := new(machine)
			sampler := m.sampler(t)
			var events, turns atomic.Int64
			s := shedder(t, trusting(append(opts, shed.WithSampler(sampler), shed.WithMaxTenants(8),
				shed.WithExempt(func(r *http.Request) bool { return r.Header.Get("X-Exempt") != "" }),
				shed.WithLongLived(func(r *http.Request) bool { return r.Header.Get("X-Watch") != "" }),
				shed.OnShed(func(shed.Event) { events.Add(1) }),
				shed.OnStateChange(func(_, _ shed.CircuitState) { turns.Add(1) }))...)...)
			h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Header.Get("X-Way") {
				case "panic":
					panic(http.ErrAbortHandler)
				case "stream":
					w.Header().Set("Content-Type", "text/event-stream")
					w.Write([]byte("data: 1\n\n"))
				case "fail":
					w.WriteHeader(http.StatusInternalServerError)
				}
			}))
			var wg sync.WaitGroup
			const each = 100
			for i := range 64 {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(i), 2))
					for range each {
						headers := []string{
							classHeader, handrail.PriorityOfRank(rng.IntN(handrail.Priorities)).String(),
							tenantHeader, string(rune('a' + rng.IntN(26))), attemptHeader, string(rune('0' + rng.IntN(2))),
							"X-Way", []string{"", "panic", "stream", "fail"}[rng.IntN(4)],
						}
						if rng.IntN(10) == 0 {
							headers = append(headers, "X-Watch", "1")
						}
						if rng.IntN(100) == 0 {
							m.set(float64(rng.IntN(2)), .5)
							s.Stats()
							s.Collect(func(handrail.Metric) {})
						}
						func() {
							defer func() { recover() }()
							get(h, headers...)
						}()
					}
				})
			}
			wg.Wait()
			st := s.Stats()
			if st.Admitted+st.Shed != 64*each {
				t.Errorf("%d admitted and %d shed of %d", st.Admitted, st.Shed, 64*each)
			}
			consistent(t, st)
			empty(t, s)
		})
	}
}

func TestNothingRunsOnceTheRequestsAreServed(t *testing.T) {
	leaktest.Check(t)
	for _, opts := range [][]shed.Option{
		{fixed(1)},
		{shed.WithStrategy(shed.Random), shed.WithRates(.5, .5)},
		{shed.WithCircuit(shed.CircuitSettings{})},
	} {
		sampler := idle(t)
		s := shedder(t, append(opts, shed.WithSampler(sampler), shed.OnShed(func(shed.Event) {}))...)
		h := s.Wrap(noop)
		for range 100 {
			get(h)
		}
		// A Shedder has nothing to close; only the sampler runs something.
		sampler.Close()
	}
}
