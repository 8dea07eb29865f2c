package load

import (
	"math"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"
)

func TestPressureIsTheWorstSignalRelativeToItsThreshold(t *testing.T) {
	standard := defaults().thresholds
	inf := math.Inf(1)
	for _, c := range []struct {
		name string
		t    Thresholds
		u    Usage
		c    Scheduler
		want float64
	}{
		{"nothing known", standard, Usage{}, Scheduler{}, 0},
		{"idle", standard, Usage{CPU: known(0), Memory: known(0)}, quiet(), 0},
		{"CPU at its threshold", standard, Usage{CPU: known(0.8), Memory: known(0.1)}, quiet(), 1},
		{"memory at its threshold", standard, Usage{CPU: known(0.1), Memory: known(0.85)}, quiet(), 1},
		{"runnable goroutines at their threshold", standard, Usage{}, Scheduler{Runnable: 8, Known: true}, 1},
		{"all CPU", standard, Usage{CPU: known(1)}, quiet(), 1.25},
		{"far beyond", standard, Usage{CPU: known(1)}, Scheduler{Runnable: 80, Known: true}, 10},
		{"half of everything", standard, Usage{CPU: known(0.4), Memory: known(0.425)}, Scheduler{Runnable: 4, Known: true}, 0.5},
		{"the machine's CPU does not count", standard, Usage{HostCPU: known(1)}, quiet(), 0},
		{"a scheduler that is not known", standard, Usage{CPU: known(0.4)}, Scheduler{Runnable: 99}, 0.5},
		{"a signal left out", Thresholds{inf, 0.5, inf}, Usage{CPU: known(1), Memory: known(0.25)}, Scheduler{Runnable: 1e9, Known: true}, 0.5},
		{"beyond all numbers", Thresholds{1, 1, math.SmallestNonzeroFloat64}, Usage{}, Scheduler{Runnable: math.MaxFloat64, Known: true}, math.MaxFloat64},
	} {
		if got := c.t.pressure(c.u, c.c); !(math.Abs(got-c.want) < 1e-9 || got == c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPressureIsAlwaysANumber(t *testing.T) {
	values := []float64{0, 1, -1, 0.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	synctest.Test(t, func(t *testing.T) {
		src := &fake{}
		var state Scheduler
		s := mustNew(t, WithSource(src.read), WithScheduler(func() Scheduler { return state }))
		defer s.Close()
		var pressure func() float64 = s.Pressure
		if err := quick.Check(func(cpu, memory, runnable uint8, have uint8) bool {
			pick := func(i uint8) float64 { return values[int(i)%len(values)] }
			src.set(Usage{
				CPU:    Value{pick(cpu), have&1 != 0},
				Memory: Value{pick(memory), have&2 != 0},
			}, nil)
			state = Scheduler{Runnable: pick(runnable), Known: have&4 != 0}
			time.Sleep(1500 * time.Millisecond)
			p := pressure()
			return p >= 0 && !math.IsInf(p, 0)
		}, nil); err != nil {
			t.Error(err)
		}
	})
}
