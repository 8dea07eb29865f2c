package shed_test

import (
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

func TestWithoutOptionsTheStrategyIsAdaptive(t *testing.T) {
	s, err := shed.New()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Strategy; got != shed.Adaptive {
		t.Errorf("New() is %v", got)
	}
}

func TestPresetsChooseTheirStrategy(t *testing.T) {
	never := func(shed.Snapshot, *http.Request) bool { return false }
	for want, opt := range map[string]shed.Option{
		"adaptive": shed.Basic(),
		"priority": shed.ByPriority(nil),
		"circuit":  shed.WithCircuit(shed.CircuitSettings{}),
		"custom":   shed.Using(never),
		"random":   shed.WithStrategy(shed.Random),
	} {
		s := shedder(t, opt)
		if got := s.Stats().Strategy.String(); got != want {
			t.Errorf("strategy %q, want %q", got, want)
		}
	}
	if got := shedder(t, shed.WithStrategy(shed.Random), shed.ForTarget(time.Second)).Stats().Strategy; got != shed.Adaptive {
		t.Errorf("ForTarget chose %v", got)
	}
	if got := shed.Strategy(200).String(); got != "unknown" {
		t.Errorf("no strategy is called %q", got)
	}
}

// shedShare sends n requests at one moment and returns the share that was shed.
func shedShare(h http.Handler, n int, headers ...string) float64 {
	refused := 0
	r := request(headers...)
	for range n {
		w := &statusWriter{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status == http.StatusServiceUnavailable {
			refused++
		}
	}
	return float64(refused) / float64(n)
}

// statusWriter keeps the status alone.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header { return w.header }
func (w *statusWriter) WriteHeader(s int) {
	if w.status == 0 {
		w.status = s
	}
}
func (w *statusWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

func TestRandomShedsTheRateThatPressureAsksFor(t *testing.T) {
	for _, tc := range []struct {
		name        string
		cpu, memory float64
		options     []shed.Option
		want        float64
	}{
		{"no pressure", .5, .5, nil, 0},
		{"at the thresholds", .80, .85, nil, 0},
		{"a little", .84, .85, nil, .06},
		{"some", .90, .925, nil, .30},
		{"all that CPU and memory can ask for", 1, 1, nil, .60},
		{"at least the minimum", .5, .5, []shed.Option{shed.WithRates(.25, .5)}, .25},
		{"at most the maximum", 1, 1, []shed.Option{shed.WithRates(0, .45)}, .45},
		{"a minimum below what is asked changes nothing", .90, .925, []shed.Option{shed.WithRates(.1, .5)}, .30},
		{"everything", .5, .5, []shed.Option{shed.WithRates(1, 1)}, 1},
		{"own thresholds", .75, .5, []shed.Option{shed.WithThresholds(shed.Thresholds{CPU: .5, Memory: 1, Latency: time.Second, Errors: 1})}, .15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := new(machine)
				m.set(tc.cpu, tc.memory)
				s := shedder(t, append([]shed.Option{shed.WithStrategy(shed.Random), shed.WithSeed(42), shed.WithSampler(m.sampler(t))}, tc.options...)...)
				h := s.Wrap(noop)
				// Until the first requests have ended, latency and errors
				// are unknown, and the rest weighs more.
				for range 100 {
					get(h)
				}
				time.Sleep(200 * time.Millisecond)
				if got := shedShare(h, 10_000); math.Abs(got-tc.want) > .03 {
					t.Errorf("shed %.3f of the requests, want %.3f", got, tc.want)
				}
			})
		})
	}
}

func TestRandomNeverShedsMoreThanNinetyPercentByDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(1, 1)
		s := shedder(t, shed.WithStrategy(shed.Random), shed.WithSeed(1), shed.WithSampler(m.sampler(t)),
			shed.WithThresholds(shed.Thresholds{CPU: .8, Memory: .8, Latency: time.Millisecond, Errors: .1}))
		h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Millisecond)
			w.WriteHeader(http.StatusInternalServerError)
		}))
		for range 100 {
			get(h)
		}
		time.Sleep(200 * time.Millisecond)
		if p := s.Stats().Pressure; p != 1 {
			t.Fatalf("pressure %v with every signal at its worst", p)
		}
		var ended atomic.Int64
		for range 10_000 {
			go func() {
				if get(h) == http.StatusServiceUnavailable {
					ended.Add(1)
				}
			}()
		}
		synctest.Wait()
		if got := float64(ended.Load()) / 10_000; math.Abs(got-.9) > .03 {
			t.Errorf("shed %.3f of the requests, want 0.9", got)
		}
		time.Sleep(time.Second)
	})
}

func TestTheSameSeedShedsTheSameRequests(t *testing.T) {
	decisions := func(seed uint64) (d [200]bool) {
		h := shedder(t, shed.WithStrategy(shed.Random), shed.WithRates(.5, .5), shed.WithSeed(seed)).Wrap(noop)
		for i := range d {
			d[i] = get(h) == http.StatusOK
		}
		return d
	}
	if once, again := decisions(7), decisions(7); once != again {
		t.Error("two Shedders with one seed decided differently")
	}
	if decisions(7) == decisions(8) {
		t.Error("two seeds led to the same decisions")
	}
}

func TestPriorityShedsFromTheLeastImportantClassUpToItsCap(t *testing.T) {
	names := [handrail.Priorities]string{"critical", "high", "normal", "low", "background"}
	for _, tc := range []struct {
		name        string
		cpu, memory float64
		caps        map[handrail.Priority]float64
		want        [handrail.Priorities]float64 // by rank, each class a fifth of the traffic
	}{
		{"no pressure", .5, .5, nil, [5]float64{}},
		{"the background alone carries a little", .84, .85, nil, [5]float64{4: .30}},
		{"then low as well", .90, .925, nil, [5]float64{3: .60, 4: .90}},
		{"then everything to its cap, and critical never", 1, 1, nil, [5]float64{1: .30, 2: .60, 3: .80, 4: .90}},
		{"a class that is not named keeps its cap", 1, 1, map[handrail.Priority]float64{handrail.Background: 1, handrail.Normal: 0}, [5]float64{1: .30, 3: .80, 4: 1}},
		{"caps of zero shed nothing at all", 1, 1, map[handrail.Priority]float64{handrail.Background: 0, handrail.Low: 0, handrail.Normal: 0, handrail.High: 0}, [5]float64{}},
		{"what one class may not shed the next one has to", .90, .925, map[handrail.Priority]float64{handrail.Background: .5}, [5]float64{2: .20, 3: .80, 4: .50}},
		{"critical where it is allowed", 1, 1, map[handrail.Priority]float64{handrail.Critical: .1}, [5]float64{.10, .30, .60, .80, .90}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := new(machine)
				m.set(tc.cpu, tc.memory)
				s := shedder(t, shed.ByPriority(tc.caps), shed.WithPriorityHeader(classHeader), shed.WithSeed(5), shed.WithSampler(m.sampler(t)))
				h := s.Wrap(noop)
				round := func(n int) (refused [handrail.Priorities]int) {
					for range n {
						for rank, name := range names {
							if get(h, classHeader, name) == http.StatusServiceUnavailable {
								refused[rank]++
							}
						}
					}
					return refused
				}
				for range 20 { // the shares of the classes are learnt
					round(5)
					time.Sleep(200 * time.Millisecond)
				}
				const n = 1000
				refused := round(n)
				for rank, want := range tc.want {
					got := float64(refused[rank]) / n
					if want == 0 && refused[rank] != 0 || want == 1 && refused[rank] != n || math.Abs(got-want) > .04 {
						t.Errorf("%s: shed %.3f, want %.3f", names[rank], got, want)
					}
				}
			})
		})
	}
}

func TestPriorityShedsAtLeastTheMinimumAndAtMostTheMaximum(t *testing.T) {
	for _, tc := range []struct{ cpu, least, most, want float64 }{
		{1, 0, .12, .12}, // CPU and memory ask for 0.60
		{.5, .25, .5, .25},
		{.5, 0, 1, 0},
	} {
		bubble(t, func(t *testing.T) {
			m := new(machine)
			m.set(tc.cpu, tc.cpu)
			s := shedder(t, shed.ByPriority(map[handrail.Priority]float64{handrail.Background: 1}), shed.WithRates(tc.least, tc.most),
				shed.WithPriorityHeader(classHeader), shed.WithSeed(3), shed.WithSampler(m.sampler(t)))
			h := s.Wrap(noop)
			for range 100 {
				get(h, classHeader, "background")
			}
			time.Sleep(200 * time.Millisecond)
			if got := shedShare(h, 4000, classHeader, "background"); math.Abs(got-tc.want) > .03 {
				t.Errorf("between %v and %v: shed %.3f, want %.2f", tc.least, tc.most, got, tc.want)
			}
		})
	}
}

func TestPriorityShedsTheRareClassFirstEvenWhereItIsNotEnough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(.90, .925) // asks for 30 % of all
		s := shedder(t, shed.ByPriority(nil), shed.WithPriorityHeader(classHeader), shed.WithSeed(5), shed.WithSampler(m.sampler(t)))
		h := s.Wrap(noop)
		var sent, refused [2]int
		round := func(n int) {
			for range n {
				for i := range 20 { // 5 % background, the rest normal
					class := 1
					if i == 0 {
						class = 0
					}
					sent[class]++
					if get(h, classHeader, []string{"background", "normal"}[class]) == http.StatusServiceUnavailable {
						refused[class]++
					}
				}
			}
		}
		for range 20 {
			round(2)
			time.Sleep(200 * time.Millisecond)
		}
		sent, refused = [2]int{}, [2]int{}
		round(500)
		all := float64(refused[0]+refused[1]) / float64(sent[0]+sent[1])
		if math.Abs(all-.30) > .03 {
			t.Errorf("shed %.3f of all, want 0.30", all)
		}
		if got := float64(refused[0]) / float64(sent[0]); math.Abs(got-.9) > .06 {
			t.Errorf("shed %.3f of the background, want 0.90", got)
		}
	})
}

func TestCustomDecidesOnASnapshotOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(.90, .925)
		var seen []shed.Snapshot
		var requests []*http.Request
		s := shedder(t, trusting(shed.WithSampler(m.sampler(t)), shed.Using(func(s shed.Snapshot, r *http.Request) bool {
			seen = append(seen, s)
			requests = append(requests, r)
			// What is done to the copy reaches nobody.
			s.Load = load.Snapshot{}
			s.Pressure, s.Priority, s.Attempt = -1, handrail.Background, 99
			return r.Header.Get("X-Refuse") != ""
		}))...)
		h := s.Wrap(noop)
		if got := get(h); got != http.StatusOK {
			t.Errorf("status %d where the function said yes", got)
		}
		if got := get(h, "X-Refuse", "1"); got != http.StatusServiceUnavailable {
			t.Errorf("status %d where the function said no", got)
		}
		time.Sleep(200 * time.Millisecond)
		r := request(classHeader, "High", attemptHeader, "3")
		h.ServeHTTP(&statusWriter{header: http.Header{}}, r)

		if len(seen) != 3 {
			t.Fatalf("asked %d times for three requests", len(seen))
		}
		last := seen[2]
		if last.Priority != handrail.High || last.Attempt != 3 {
			t.Errorf("told priority %v and attempt %d, want high and 3", last.Priority, last.Attempt)
		}
		if requests[2] != r {
			t.Error("told another request")
		}
		if !last.Load.CPU.Known || last.Load.CPU.V != .90 || last.Load.Memory.V != .925 || last.Load.Samples == 0 {
			t.Errorf("told the load %+v", last.Load)
		}
		if math.Abs(last.Pressure-.30) > 1e-9 {
			t.Errorf("told the pressure %v, want 0.30", last.Pressure)
		}
		if got := s.Stats(); got.Pressure != last.Pressure || got.Reasons[shed.ReasonCustom] != 1 {
			t.Errorf("afterwards the Shedder has pressure %v and reasons %v", got.Pressure, got.Reasons)
		}
	})
}

func TestCustomThatPanicsIsTheHandlersPanic(t *testing.T) {
	s := shedder(t, shed.Using(func(shed.Snapshot, *http.Request) bool { panic("decide") }))
	func() {
		defer func() {
			if got := recover(); got != "decide" {
				t.Errorf("recovered %v", got)
			}
		}()
		get(s.Wrap(noop))
	}()
	empty(t, s)
}

func TestFiguresOfOtherStrategiesAreAtMostATenthOfASecondOld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(.5, .5)
		var at []load.Value
		s := shedder(t, shed.WithSampler(m.sampler(t)), shed.Using(func(s shed.Snapshot, _ *http.Request) bool {
			at = append(at, s.Load.CPU)
			return false
		}))
		h := s.Wrap(noop)
		get(h)
		m.set(.75, .5)
		time.Sleep(20*time.Millisecond + 100*time.Millisecond) // an interval of the sampler, then
		get(h)
		if at[0].V != .5 || at[1].V != .75 {
			t.Errorf("saw CPU %v, then %v", at[0], at[1])
		}
	})
}
