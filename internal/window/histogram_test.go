package window

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinFivePercentOfExact(t *testing.T) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	distributions := map[string]func(*rand.Rand) time.Duration{
		"lognormal": func(r *rand.Rand) time.Duration { return seconds(0.010 * math.Exp(1.2*r.NormFloat64())) },
		"uniform":   func(r *rand.Rand) time.Duration { return seconds(0.001 + 0.2*r.Float64()) },
		"bimodal": func(r *rand.Rand) time.Duration {
			if r.Float64() < 0.9 {
				return seconds(math.Abs(0.002 + 0.0003*r.NormFloat64()))
			}
			return seconds(math.Abs(1.5 + 0.2*r.NormFloat64()))
		},
		"microseconds": func(r *rand.Rand) time.Duration { return time.Microsecond + time.Duration(r.IntN(20_000)) },
		"minutes":      func(r *rand.Rand) time.Duration { return time.Duration(1 + r.Int64N(int64(time.Hour))) },
		"constant":     func(*rand.Rand) time.Duration { return 10 * time.Millisecond },
	}
	for name, draw := range distributions {
		for seed := range uint64(3) {
			rng := rand.New(rand.NewPCG(seed, 7))
			h := NewHistogram(30*time.Second, 0)
			var exact []time.Duration
			sum := 0.0
			const n = 20_000
			for i := range n {
				d := draw(rng)
				exact = append(exact, d)
				sum += float64(d)
				h.Record(time.Duration(i)*29*time.Second/n, d)
			}
			slices.Sort(exact)
			var r Reading
			h.Read(29*time.Second, &r)
			for _, q := range []float64{0.5, 0.95, 0.99, 0.999} {
				want := exact[int(math.Ceil(q*n))-1]
				if got := r.Quantile(q); math.Abs(float64(got-want)) > 0.05*float64(want) {
					t.Errorf("%s, seed %d: p%v is %v, exactly %v", name, seed, 100*q, got, want)
				}
			}
			if got, want := float64(r.Mean()), sum/n; math.Abs(got-want) > 1 {
				t.Errorf("%s, seed %d: mean %v, exactly %v", name, seed, got, want)
			}
			if r.Count() != n {
				t.Errorf("%s, seed %d: count %v, want %d", name, seed, r.Count(), n)
			}
		}
	}
}

func TestQuantileOfTheFadingSubBucketIsWeighted(t *testing.T) {
	h := NewHistogram(10*time.Second, 10)
	for range 100 {
		h.Record(0, time.Second)
	}
	for range 100 {
		h.Record(9*time.Second, time.Millisecond)
	}
	var r Reading
	h.Read(10*time.Second+900*time.Millisecond, &r) // a tenth of the first is left
	if !near(r.Count(), 110) {
		t.Errorf("count %v, want 110", r.Count())
	}
	if p := r.Quantile(0.9); p > 2*time.Millisecond {
		t.Errorf("p90 %v although only 9 %% are slow", p)
	}
	if p := r.Quantile(0.95); p < 900*time.Millisecond {
		t.Errorf("p95 %v although 9 %% are slow", p)
	}
}

func TestCellsAreContiguousAndNarrow(t *testing.T) {
	next := time.Duration(0)
	for i := range cells {
		low, high := bounds(i)
		if low != next || high <= low {
			t.Fatalf("cell %d is [%v, %v), the one before ends at %v", i, low, high, next)
		}
		if cell(low) != i || cell(high-1) != i {
			t.Fatalf("the ends of cell %d are in cells %d and %d", i, cell(low), cell(high-1))
		}
		if low > time.Microsecond && float64(high-low) > float64(low)/32 {
			t.Fatalf("cell %d, [%v, %v), is wider than 1/32", i, low, high)
		}
		next = high
	}
	if next != MaxLatency+1 {
		t.Errorf("the last cell ends at %v, want %v", next, MaxLatency+1)
	}
	if MaxLatency < time.Hour {
		t.Errorf("the range ends at %v, before an hour", MaxLatency)
	}
}

func TestLatenciesOutsideTheRangeAreClamped(t *testing.T) {
	h := NewHistogram(time.Second, 0)
	h.Record(0, -time.Hour)
	h.Record(0, math.MinInt64)
	var r Reading
	h.Read(0, &r)
	if r.Mean() != 0 || r.Quantile(1) > time.Microsecond {
		t.Errorf("negative latencies read as mean %v, maximum %v", r.Mean(), r.Quantile(1))
	}
	h.Record(0, math.MaxInt64)
	h.Read(0, &r)
	if p := r.Quantile(1); p < MaxLatency-MaxLatency/32 || p > MaxLatency+1 {
		t.Errorf("a latency beyond the range reads as %v", p)
	}
}

func TestQuantileArguments(t *testing.T) {
	var r Reading
	if r.Quantile(0.5) != 0 || r.Mean() != 0 || r.Rate() != 0 || r.Count() != 0 {
		t.Error("the zero Reading is not empty")
	}
	h := NewHistogram(time.Second, 0)
	for d := time.Millisecond; d <= 100*time.Millisecond; d += time.Millisecond {
		h.Record(0, d)
	}
	h.Read(0, &r)
	lowest, highest := r.Quantile(0), r.Quantile(1)
	if lowest > time.Millisecond || highest < 99*time.Millisecond {
		t.Errorf("from %v to %v, want 1ms to 100ms", lowest, highest)
	}
	for _, q := range []float64{-1, math.Inf(-1), math.NaN()} {
		if got := r.Quantile(q); got != lowest {
			t.Errorf("Quantile(%v) = %v, want %v", q, got, lowest)
		}
	}
	for _, q := range []float64{2, math.Inf(1)} {
		if got := r.Quantile(q); got != highest {
			t.Errorf("Quantile(%v) = %v, want %v", q, got, highest)
		}
	}
	last := time.Duration(0)
	for q := 0.0; q <= 1; q += 0.001 {
		if got := r.Quantile(q); got < last {
			t.Fatalf("Quantile(%v) = %v, less than a smaller quantile", q, got)
		} else {
			last = got
		}
	}
}

func FuzzCell(f *testing.F) {
	for _, d := range []int64{0, 1, 31, 32, 1023, 1024, 1 << 41, int64(MaxLatency)} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, ns int64) {
		d := min(max(time.Duration(ns), 0), MaxLatency)
		i := cell(d)
		if i < 0 || i >= cells {
			t.Fatalf("cell(%v) = %d of %d", d, i, cells)
		}
		if low, high := bounds(i); d < low || d >= high {
			t.Fatalf("%v is in cell %d, which is [%v, %v)", d, i, low, high)
		}
	})
}
