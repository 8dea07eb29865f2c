package shed_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// look is longer than what a strategy's figures are old: a sampler's interval
// and a tenth of a second.
const look = 225 * time.Millisecond

// The two states of the CPU in these tests.
const (
	calm = .5
	over = .9
)

var quick = shed.CircuitSettings{Signals: 1, Hold: time.Second, CoolDown: 2 * time.Second, Probes: 4, ProbeFor: 3 * time.Second}

// breaker is a circuit strategy on a machine of its own.
type breaker struct {
	*shed.Shedder
	m     *machine
	h     http.Handler
	turns *[]string
}

func newBreaker(t *testing.T, set shed.CircuitSettings, opts ...shed.Option) breaker {
	b := breaker{m: new(machine), turns: new([]string)}
	b.m.set(calm, calm)
	b.Shedder = shedder(t, append([]shed.Option{
		shed.WithSampler(b.m.sampler(t, load.WithInterval(100*time.Millisecond))), shed.WithCircuit(set),
		shed.OnStateChange(func(from, to shed.CircuitState) {
			*b.turns = append(*b.turns, fmt.Sprintf("%v→%v", from, to))
		}),
	}, opts...)...)
	b.h = b.Wrap(noop)
	return b
}

// after lets time pass with the CPU as given, a request every half second and
// one at its end, whose fate it returns.
func (b breaker) after(d time.Duration, cpu float64) (admitted bool) {
	b.m.set(cpu, calm)
	for d > 750*time.Millisecond {
		time.Sleep(500 * time.Millisecond)
		d -= 500 * time.Millisecond
		get(b.h)
	}
	time.Sleep(d)
	return get(b.h) == http.StatusOK
}

func TestCircuitStatesFollowTheSignals(t *testing.T) {
	type step struct {
		after    time.Duration
		cpu      float64
		admitted bool
		state    shed.CircuitState
	}
	// The signal is seen to be over at the first request of a step, half a
	// second into it where the step is longer.
	opened := []step{{2 * time.Second, over, false, shed.CircuitOpen}}
	probing := append(opened, step{2500 * time.Millisecond, calm, true, shed.CircuitProbing})
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"closed while nothing is over", []step{{10 * time.Second, calm, true, shed.CircuitClosed}}},
		{"closed before the hold time is over", []step{{500 * time.Millisecond, over, true, shed.CircuitClosed}, {750 * time.Millisecond, over, true, shed.CircuitClosed}}},
		{"open after the hold time", opened},
		{"a short excess does not add up with the next one", []step{
			{750 * time.Millisecond, over, true, shed.CircuitClosed},
			{500 * time.Millisecond, calm, true, shed.CircuitClosed},
			{750 * time.Millisecond, over, true, shed.CircuitClosed},
			{750 * time.Millisecond, over, true, shed.CircuitClosed},
		}},
		{"open for the whole cool-down, however calm", append(opened, step{1250 * time.Millisecond, calm, false, shed.CircuitOpen})},
		{"probing after the cool-down", probing},
		{"probing after the cool-down although still over", append(opened, step{2100 * time.Millisecond, over, true, shed.CircuitProbing})},
		{"open again when over for the hold time while probing", append(opened,
			step{2100 * time.Millisecond, over, true, shed.CircuitProbing}, step{1500 * time.Millisecond, over, false, shed.CircuitOpen})},
		{"still probing after a short excess", append(probing,
			step{500 * time.Millisecond, over, true, shed.CircuitProbing}, step{500 * time.Millisecond, calm, true, shed.CircuitProbing})},
		{"closed once it was calm for the whole probe", append(probing,
			step{1500 * time.Millisecond, calm, true, shed.CircuitProbing}, step{1500 * time.Millisecond, calm, true, shed.CircuitClosed})},
		{"a full circle and open once more", append(probing,
			step{4 * time.Second, calm, true, shed.CircuitClosed}, step{2 * time.Second, over, false, shed.CircuitOpen})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := newBreaker(t, quick)
				get(b.h)
				for i, s := range tc.steps {
					if admitted := b.after(s.after, s.cpu); admitted != s.admitted || b.Stats().Circuit != s.state {
						t.Fatalf("after step %d: admitted %t in state %v, want %t in %v", i+1, admitted, b.Stats().Circuit, s.admitted, s.state)
					}
				}
			})
		})
	}
}

func TestCircuitTellsEachChangeOnceAndInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBreaker(t, quick, shed.WithName("front"))
		get(b.h)
		b.after(2*time.Second, over)
		b.after(4*time.Second, over)
		b.after(3*time.Second, calm)
		b.after(6*time.Second, calm)
		synctest.Wait()
		want := []string{"closed→open", "open→probing", "probing→open", "open→probing", "probing→closed"}
		if !slices.Equal(*b.turns, want) {
			t.Errorf("told %v, want %v", *b.turns, want)
		}
	})
}

func TestCircuitOpensWhenEnoughSignalsAreOver(t *testing.T) {
	thresholds := shed.WithThresholds(shed.Thresholds{CPU: .8, Memory: .85, Latency: 50 * time.Millisecond, Errors: .1})
	for k := 1; k <= 4; k++ {
		for n := 0; n <= 4; n++ {
			t.Run(fmt.Sprintf("%d of the needed %d", n, k), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					m := new(machine)
					cpu, memory, status, took := .5, .5, http.StatusOK, time.Millisecond
					// Each n takes other signals, so that all four count.
					for i := range n {
						switch (i + k) % 4 {
						case 0:
							cpu = .81
						case 1:
							memory = .86
						case 2:
							status = http.StatusBadGateway
						case 3:
							took = 60 * time.Millisecond
						}
					}
					m.set(cpu, memory)
					s := shedder(t, shed.WithSampler(m.sampler(t)), thresholds,
						shed.WithCircuit(shed.CircuitSettings{Signals: k, Hold: 100 * time.Millisecond}))
					h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(took)
						w.WriteHeader(status)
					}))
					for range 20 {
						get(h)
						time.Sleep(look)
					}
					want := shed.CircuitClosed
					if n >= k {
						want = shed.CircuitOpen
					}
					if st := s.Stats(); st.Circuit != want {
						t.Errorf("%v with %d signals over; load %+v", st.Circuit, n, st.Load)
					}
				})
			})
		}
	}
}

func TestCircuitLetsATrickleThroughWhileItProbes(t *testing.T) {
	for _, rate := range race.Either([]float64{1, 4, 50, 300}, []float64{4, 50}) {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				set := quick
				set.Probes, set.ProbeFor = rate, 10*time.Second
				b := newBreaker(t, set)
				get(b.h)
				b.after(2*time.Second, over)
				b.m.set(calm, calm)
				for b.Stats().Circuit != shed.CircuitProbing {
					time.Sleep(time.Millisecond)
					get(b.h)
				}
				passed := 0.
				for range 4000 {
					time.Sleep(time.Millisecond)
					if get(b.h) == http.StatusOK {
						passed++
					}
				}
				burst := max(1, rate/10)
				if passed < 4*rate-1 || passed > 4*rate+burst {
					t.Errorf("%v requests passed in 4 s, want %v a second", passed, rate)
				}
			})
		})
	}
}

func TestCircuitShedsEverythingFromEverybodyWhileOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBreaker(t, shed.CircuitSettings{}, shed.WithPriorityHeader(classHeader))
		get(b.h)
		b.after(4*time.Second, over)
		for _, class := range []string{"critical", "high", "normal", "low", "background"} {
			if share := shedShare(b.h, 100, classHeader, class); share != 1 {
				t.Errorf("shed %v of %s while open", share, class)
			}
		}
		if st := b.Stats(); st.Reasons[shed.ReasonCircuit] != st.Shed || st.Shed < 500 {
			t.Errorf("%d shed, for the reasons %v", st.Shed, st.Reasons)
		}
	})
}

// circuitModel says in the plainest way what the circuit strategy should do. It
// keeps all that ever was and reads the rules off it.
type circuitModel struct {
	set   shed.CircuitSettings
	state shed.CircuitState
	since time.Duration
	log   []struct {
		at   time.Duration
		over bool
	}
}

func (m *circuitModel) request(now time.Duration, over bool) shed.CircuitState {
	m.log = append(m.log, struct {
		at   time.Duration
		over bool
	}{now, over})
	// For how long has every request seen it so, and since the state began?
	lasted := func(want bool, from time.Duration) time.Duration {
		at := now
		for i := len(m.log) - 1; i >= 0 && m.log[i].over == want; i-- {
			at = m.log[i].at
		}
		return now - max(at, from)
	}
	next := m.state
	switch m.state {
	case shed.CircuitClosed:
		if over && lasted(true, 0) >= m.set.Hold {
			next = shed.CircuitOpen
		}
	case shed.CircuitOpen:
		if now-m.since >= m.set.CoolDown {
			next = shed.CircuitProbing
		}
	case shed.CircuitProbing:
		if over && lasted(true, m.since) >= m.set.Hold {
			next = shed.CircuitOpen
		} else if !over && now-m.since >= m.set.ProbeFor {
			next = shed.CircuitClosed
		}
	}
	if next != m.state {
		m.state, m.since = next, now
	}
	return m.state
}

func TestCircuitAgreesWithAPlainModel(t *testing.T) {
	for seed := range race.Either[uint64](10, 2) {
		bubble(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			span := func(most time.Duration) time.Duration {
				return 10*time.Millisecond + time.Duration(rng.Int64N(int64(most)))
			}
			set := shed.CircuitSettings{Signals: 1, Hold: span(2 * time.Second), CoolDown: span(5 * time.Second), Probes: 2, ProbeFor: span(5 * time.Second)}
			b := newBreaker(t, set)
			model := circuitModel{set: set}
			began := time.Now()
			visited := map[shed.CircuitState]int{}
			excess, odds := false, 1+rng.IntN(20)
			for step := range 500 {
				if rng.IntN(odds) == 0 {
					excess = !excess
				}
				if excess {
					b.m.set(over, calm)
				} else {
					b.m.set(calm, calm)
				}
				time.Sleep(look + time.Duration(rng.Int64N(int64(200*time.Millisecond))))
				status := get(b.h)
				want := model.request(time.Since(began), excess)
				visited[want]++
				st := b.Stats()
				if st.Circuit != want || st.CircuitFor != time.Since(began)-model.since {
					t.Fatalf("seed %d, step %d: %v for %v, want %v for %v", seed, step, st.Circuit, st.CircuitFor, want, time.Since(began)-model.since)
				}
				if want == shed.CircuitClosed && status != http.StatusOK || want == shed.CircuitOpen && status == http.StatusOK {
					t.Fatalf("seed %d, step %d: status %d while %v", seed, step, status, want)
				}
			}
			if len(visited) != 3 {
				t.Errorf("seed %d: only went through %v", seed, visited)
			}
		})
	}
}

func TestCircuitStatesHaveNames(t *testing.T) {
	for state, want := range map[shed.CircuitState]string{
		shed.CircuitClosed: "closed", shed.CircuitOpen: "open", shed.CircuitProbing: "probing",
	} {
		if got := state.String(); got != want {
			t.Errorf("state %d is called %q, want %q", state, got, want)
		}
	}
}
