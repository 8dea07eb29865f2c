package shed_test

import (
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// burn keeps every processor busy until the returned function is called.
func burn() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for x := 1.; ; {
				select {
				case <-done:
					return
				default:
					for range 20_000 {
						x = x*1.0000001 + 1e-9
					}
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// This one is in real time, on the machine's real load: nothing less proves
// that the figures reach the decision.
func TestRandomAndCircuitShedWhileTheCPUReallyBurnsAndNothingBefore(t *testing.T) {
	sampler, err := load.New(load.WithInterval(20 * time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer sampler.Close()
	// Far below what a burner gets of a machine that others use as well, far
	// above what an idle test takes.
	thresholds := shed.WithThresholds(shed.Thresholds{CPU: .25, Memory: 1, Latency: time.Minute, Errors: 1})
	with := func(opts ...shed.Option) http.Handler {
		s, err := shed.New(append(opts, shed.WithSampler(sampler), thresholds)...)
		if err != nil {
			t.Fatal(err)
		}
		return s.Wrap(noop)
	}
	handlers := map[string]http.Handler{
		"random":  with(shed.WithStrategy(shed.Random)),
		"circuit": with(shed.WithCircuit(shed.CircuitSettings{Signals: 1, Hold: time.Millisecond, CoolDown: time.Minute})),
	}
	sampler.Usage() // starts the readings
	if usage := awaitUsage(sampler, func(u load.Usage) bool { return u.CPU.Known && u.CPU.V < .25 }); !usage.CPU.Known {
		t.Skip("this system does not tell the CPU time of a process")
	}
	for name, h := range handlers {
		for range 5 {
			if refused := shedShare(h, 50); refused != 0 {
				t.Errorf("%s: shed %.3f of the requests on an idle CPU", name, refused)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	stop := burn()
	defer stop()
	if usage := awaitUsage(sampler, func(u load.Usage) bool { return u.CPU.V > .3 }); usage.CPU.V <= .3 {
		t.Fatalf("the CPU burns, but its use is %v", usage.CPU)
	}
	for name, h := range handlers {
		for end := time.Now().Add(10 * time.Second); shedShare(h, 200) == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: nothing shed while the CPU burns", name)
				break
			}
		}
	}
}

// awaitUsage returns the first usage that pleases, or the last one after a
// patience that is only spent where none does.
func awaitUsage(s *load.Sampler, pleases func(load.Usage) bool) load.Usage {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if u := s.Usage(); pleases(u) || time.Now().After(end) {
			return u
		}
	}
}
