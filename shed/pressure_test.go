package shed

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handrail-go/handrail/load"
)

func known(v float64) load.Value { return load.Value{V: v, Known: true} }

func TestPressureIsTheWeightedExcessOfTheSignals(t *testing.T) {
	usual := defaults().thresholds
	never := Thresholds{CPU: 1, Memory: 1, Latency: 5 * time.Second, Errors: 1}
	always := Thresholds{CPU: 0, Memory: 0, Latency: time.Millisecond, Errors: 0}
	none := load.Value{}
	for _, tc := range []struct {
		name        string
		thresholds  Thresholds
		cpu, memory load.Value
		samples     int
		p95         time.Duration
		errors      float64
		want        float64
	}{
		{"nothing known", usual, none, none, 0, 0, 0, 0},
		{"a latency and an error rate without samples say nothing", usual, none, none, 0, time.Hour, 1, 0},
		{"all idle", usual, known(0), known(0), 10, 0, 0, 0},
		{"all exactly at the thresholds", usual, known(.80), known(.85), 10, 5 * time.Second, .10, 0},
		{"all at their worst", usual, known(1), known(1), 10, 10 * time.Second, 1, 1},
		{"beyond the worst", usual, known(1), known(1), 10, time.Hour, 1, 1},
		{"CPU alone weighs 0.30", usual, known(1), known(0), 10, 0, 0, .30},
		{"memory alone weighs 0.30", usual, known(0), known(1), 10, 0, 0, .30},
		{"latency alone weighs 0.30", usual, known(0), known(0), 10, 10 * time.Second, 0, .30},
		{"errors alone weigh 0.10", usual, known(0), known(0), 10, 0, 1, .10},
		{"half way above the CPU threshold", usual, known(.90), known(0), 10, 0, 0, .15},
		{"a third of the way above the memory threshold", usual, known(0), known(.90), 10, 0, 0, .10},
		{"latency half above its threshold", usual, known(0), known(0), 10, 7500 * time.Millisecond, 0, .15},
		{"latency is clamped at twice its threshold", usual, known(0), known(0), 10, 50 * time.Second, 0, .30},
		{"latency below its threshold is no relief", usual, known(1), known(0), 10, time.Microsecond, 0, .30},
		{"errors half way", usual, known(0), known(0), 10, 0, .55, .05},
		{"the sum of parts", usual, known(.90), known(.925), 10, 7500 * time.Millisecond, .55, .50},
		{"unknown CPU: the rest is out of 0.70", usual, none, known(1), 10, 0, 0, .30 / .70},
		{"unknown CPU and memory: the rest is out of 0.40", usual, none, none, 10, 10 * time.Second, 0, .75},
		{"unknown CPU and memory: errors", usual, none, none, 10, 0, 1, .25},
		{"no samples: the rest is out of 0.60", usual, known(1), known(0), 0, 0, 0, .5},
		{"only CPU known", usual, known(.90), none, 0, 0, 0, .5},
		{"only memory known", usual, none, known(1), 0, 0, 0, 1},
		{"a threshold of 1 is never exceeded", never, known(1), known(1), 10, 0, 1, 0},
		{"a threshold of 1 keeps its weight", never, known(1), known(1), 10, 10 * time.Second, 1, .30},
		{"a threshold of 0", always, known(.5), known(.25), 10, 0, 0, .225},
		{"the shortest latency threshold", always, known(0), known(0), 10, 1500 * time.Microsecond, 0, .15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.thresholds.pressure(load.Snapshot{
				CPU: tc.cpu, Memory: tc.memory, Samples: tc.samples, P95: tc.p95, ErrorRate: tc.errors,
			})
			if !(math.Abs(got-tc.want) < 1e-12) {
				t.Errorf("pressure %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPressureIsAlwaysAShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	edge := func() float64 {
		return []float64{0, 1, math.SmallestNonzeroFloat64, 1 - 1e-16, rng.Float64()}[rng.IntN(5)]
	}
	span := func() time.Duration {
		return []time.Duration{time.Millisecond, 10 * time.Minute, math.MaxInt64, 1 + time.Duration(rng.Int64N(1e12))}[rng.IntN(4)]
	}
	for range 50_000 {
		thresholds := Thresholds{CPU: edge(), Memory: edge(), Errors: edge(), Latency: min(max(span(), time.Millisecond), 10*time.Minute)}
		s := load.Snapshot{
			CPU:       load.Value{V: edge(), Known: rng.IntN(2) == 0},
			Memory:    load.Value{V: edge(), Known: rng.IntN(2) == 0},
			Samples:   rng.IntN(3),
			P95:       span(),
			ErrorRate: edge(),
		}
		if p := thresholds.pressure(s); !(p >= 0 && p <= 1) {
			t.Fatalf("pressure %v of %+v with thresholds %+v", p, s, thresholds)
		}
	}
}
