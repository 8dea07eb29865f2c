package shed_test

import (
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
)

func TestADryRunDecidesCountsAndReportsButRefusesNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		opts []shed.Option
		why  shed.Reason
	}{
		"random":   {[]shed.Option{shed.WithStrategy(shed.Random), shed.WithRates(1, 1)}, shed.ReasonPressure},
		"priority": {[]shed.Option{shed.ByPriority(map[handrail.Priority]float64{handrail.Normal: 1}), shed.WithRates(1, 1)}, shed.ReasonPressure},
		"circuit":  {[]shed.Option{shed.WithCircuit(shed.CircuitSettings{Hold: 1})}, shed.ReasonCircuit},
		"custom":   {[]shed.Option{shed.Using(func(shed.Snapshot, *http.Request) bool { return true })}, shed.ReasonCustom},
		"adaptive": {[]shed.Option{fixed(1), shed.WithMaxWait(0)}, shed.ReasonLimit},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := new(machine)
				m.set(1, .5)
				var mu sync.Mutex
				var events []shed.Event
				s := shedder(t, append(tc.opts, shed.WithSampler(m.sampler(t)), shed.WithDryRun(true), shed.OnShed(func(e shed.Event) {
					mu.Lock()
					defer mu.Unlock()
					events = append(events, e)
				}))...)
				h := s.Wrap(desk)
				const n = 60
				var calls []*call
				for i := range n {
					c := settled(h)
					if !c.inside.Load() {
						t.Fatalf("request %d was refused or held back", i)
					}
					calls = append(calls, c)
					time.Sleep(time.Millisecond)
				}
				st := s.Stats()
				if !st.DryRun || st.Admitted != n || st.Waiting != 0 {
					t.Errorf("dry run %t, admitted %d, waiting %d", st.DryRun, st.Admitted, st.Waiting)
				}
				if st.Shed < n-20 || st.Reasons[tc.why] != st.Shed {
					t.Errorf("would have shed %d for %v", st.Shed, st.Reasons)
				}
				if got := float64(st.Shed) / n; st.ShedRate != got {
					t.Errorf("shed rate %v, want %v", st.ShedRate, got)
				}
				synctest.Wait()
				if uint64(len(events)) != st.Shed {
					t.Errorf("reported %d of %d", len(events), st.Shed)
				}
				for _, e := range events {
					if !e.DryRun || e.Reason != tc.why {
						t.Fatalf("reported %+v", e)
					}
				}
				for _, c := range calls {
					c.release <- status(http.StatusNoContent)
				}
				synctest.Wait()
				for _, c := range calls {
					if c.answer.Code != http.StatusNoContent {
						t.Errorf("status %d", c.answer.Code)
					}
				}
				if l := s.Stats().Load; l.Samples != n {
					t.Errorf("%d latencies of %d requests", l.Samples, n)
				}
				empty(t, s)
			})
		})
	}
}

func TestADryRunCountsOnlyWhatTheRoomWouldNotHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(10), shed.WithDryRun(true))
		h := s.Wrap(desk)
		calls := fill(t, h, 10)
		if got := s.Stats().Shed; got != 0 {
			t.Errorf("would have shed %d with slots for all", got)
		}
		calls = append(calls, fill(t, h, 1)...)
		if got := s.Stats().Shed; got != 0 {
			t.Errorf("would have shed %d although the room was empty", got)
		}
		calls = append(calls, fill(t, h, 100)...)
		if got := s.Stats().Shed; got < 50 {
			t.Errorf("would have shed %d of 111 with ten slots", got)
		}
		finish(calls)
		empty(t, s)
	})
}

func TestADryRunCountsTheSlotsOfWhatShortMemoryWouldHaveRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newShortage(t, shed.WithDryRun(true))
		s.become(.99)
		n := runtime.GOMAXPROCS(0) + 10
		for range n {
			if c := s.try(handrail.Background); !c.inside.Load() {
				t.Fatal("refused in a dry run")
			}
		}
		st := s.Stats()
		if st.InFlight != n || st.Reasons[shed.ReasonMemory] == 0 {
			t.Errorf("%d in flight, %d are inside; refused for %v", st.InFlight, n, st.Reasons)
		}
		finish(s.calls)
		empty(t, s.Shedder)
	})
}
