package window

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// model keeps every sample and weighs it as the package promises.
type model struct {
	window  time.Duration
	buckets int64
	samples []sample
}

type sample struct{ at, latency time.Duration }

func (m *model) record(at, latency time.Duration) {
	m.samples = append(m.samples, sample{max(at, 0), max(latency, 0)})
}

func (m *model) totals(now time.Duration) (count, mean float64) {
	width := int64(m.window) / m.buckets
	sum := 0.0
	for _, s := range m.samples {
		age := int64(max(now, 0))/width - int64(s.at)/width
		weight := 0.0
		switch {
		case age < 0 || age > m.buckets:
		case age == m.buckets:
			weight = 1 - float64(int64(now)%width)/float64(width)
		default:
			weight = 1
		}
		count += weight
		sum += weight * float64(s.latency)
	}
	if count == 0 {
		return 0, 0
	}
	return count, sum / count
}

func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
}

func TestTotalsAgreeWithAnExactModel(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		window := time.Duration(1+rng.Int64N(60_000)) * time.Millisecond
		buckets := 1 + rng.Int64N(20)
		h := NewHistogram(window, int(buckets))
		c := NewCounter(window, int(buckets))
		m := model{window: window, buckets: buckets}
		now := time.Duration(0)
		for step := range 1000 {
			switch rng.IntN(20) {
			case 0: // longer than the window
				now += window + time.Duration(rng.Int64N(int64(10*window)))
			case 1: // exactly to a boundary
				width := window / time.Duration(buckets)
				now = (now/width + 1) * width
			default:
				now += time.Duration(rng.Int64N(int64(window)/8 + 1))
			}
			d := time.Duration(rng.Int64N(int64(time.Second)))
			// Somewhat late, as a recorder that was held up would be, but
			// not so late that its place might be taken.
			at := max(now-time.Duration(rng.Int64N(int64(window)/int64(buckets)+1)), 0)
			h.Record(at, d)
			c.Add(at, 1)
			m.record(at, d)

			count, mean := m.totals(now)
			if got := c.Count(now); !near(got, count) {
				t.Fatalf("seed %d, step %d: counted %v, exact %v", seed, step, got, count)
			}
			gotCount, gotMean := h.Totals(now)
			if !near(gotCount, count) || math.Abs(float64(gotMean)-mean) > 1 {
				t.Fatalf("seed %d, step %d: %v with mean %v, exact %v with %v", seed, step, gotCount, float64(gotMean), count, mean)
			}
			if len(m.samples) > 400 {
				m.samples = m.samples[200:]
				h, c = NewHistogram(window, int(buckets)), NewCounter(window, int(buckets))
				for _, s := range m.samples {
					h.Record(s.at, s.latency)
					c.Add(s.at, 1)
				}
			}
		}
	}
}

func TestRateHasNoCliffAtABoundary(t *testing.T) {
	const window = 10 * time.Second
	c := NewCounter(window, 10)
	next := time.Duration(0)
	for now := window; now < 5*window; now += 7 * time.Millisecond {
		for ; next <= now; next += time.Millisecond {
			c.Add(next, 1)
		}
		if rate := c.Rate(now); math.Abs(rate-1000) > 2 {
			t.Fatalf("a steady 1000 a second reads %v at %v", rate, now)
		}
	}
}

func TestOldSamplesAreGone(t *testing.T) {
	const window, width = 10 * time.Second, time.Second
	for _, start := range []time.Duration{0, 3 * time.Second, 12345 * time.Millisecond} {
		h := NewHistogram(window, 10)
		h.Record(start, time.Millisecond)
		if count, _ := h.Totals(start); count != 1 {
			t.Fatalf("recorded at %v, counts %v", start, count)
		}
		last := 1.0
		for now := start; now <= start+window+width; now += 100 * time.Millisecond {
			count, _ := h.Totals(now)
			if count > last {
				t.Errorf("recorded at %v, grew to %v at %v", start, count, now)
			}
			if last-count > 0.101 {
				t.Errorf("recorded at %v, fell from %v to %v at %v", start, last, count, now)
			}
			last = count
		}
		for _, later := range []time.Duration{window + width, time.Minute, 11 * time.Second, 22 * time.Second, 110 * time.Second, time.Hour, 24 * 365 * time.Hour} {
			var r Reading
			h.Read(start+later, &r)
			if later >= window+width && (r.Count() != 0 || r.Mean() != 0 || r.Quantile(0.99) != 0 || r.Rate() != 0) {
				t.Errorf("recorded at %v, still there %v later: %v", start, later, r.Count())
			}
		}
		// A new sample after the pause stands alone.
		h.Record(start+time.Hour, 4*time.Millisecond)
		if count, mean := h.Totals(start + time.Hour); count != 1 || mean != 4*time.Millisecond {
			t.Errorf("after an hour of silence one sample reads as %v with mean %v", count, mean)
		}
	}
}

func TestLateRecorderLosesOnlyItsOwnSample(t *testing.T) {
	const window = 10 * time.Second
	c := NewCounter(window, 10)
	c.Add(100*time.Second, 5)
	c.Add(100*time.Second-11*time.Second, 1000) // the same slot, one turn before
	c.Add(100*time.Second-110*time.Second, 1000)
	if got := c.Count(100 * time.Second); got != 5 {
		t.Errorf("counts %v after recorders that were too late, want 5", got)
	}
	c.Add(98*time.Second, 1) // late, and in time
	if got := c.Count(100 * time.Second); got != 6 {
		t.Errorf("counts %v after a recorder that was late but within the window, want 6", got)
	}
}

func TestRecorderThatHoldsAStaleBucketDoesNotBringItBack(t *testing.T) {
	c := NewCounter(10*time.Second, 10)
	held := c.ring.at(0) // suspended between finding its place and counting
	c.Add(11*time.Second, 3)
	held.Add(1000)
	if got := c.Count(11 * time.Second); got != 3 {
		t.Errorf("counts %v, want 3", got)
	}
}

// All recorders find the same stale bucket at once, again and again.
func TestConcurrentRecordersOfAStaleBucketLoseNothing(t *testing.T) {
	const goroutines, each, rounds = 16, 3, 200
	const window, width = 1000 * time.Millisecond, 100 * time.Millisecond
	h := NewHistogram(window, 10)
	c := NewCounter(window, 10)
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Duration(0)
	expected := model{window: window, buckets: 10}
	for range rounds {
		now += width * time.Duration(1+rng.IntN(30))
		gate := make(chan struct{})
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				<-gate
				for range each {
					h.Record(now, time.Millisecond)
					c.Add(now, 1)
				}
			})
		}
		close(gate)
		wg.Wait()
		for range goroutines * each {
			expected.record(now, time.Millisecond)
		}
		want, _ := expected.totals(now)
		count, mean := h.Totals(now)
		if got := c.Count(now); !near(got, want) || !near(count, want) || mean != time.Millisecond {
			t.Fatalf("at %v: counter %v, histogram %v with mean %v, exact %v", now, got, count, mean, want)
		}
	}
}

func TestReadersSeePlausibleFiguresWhileTheClockRuns(t *testing.T) {
	const window = time.Second
	h := NewHistogram(window, 10)
	var clock, recorded atomic.Int64
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		writers.Go(func() {
			for range 10_000 {
				now := time.Duration(clock.Add(int64(50 * time.Microsecond)))
				recorded.Add(1)
				h.Record(now, 2*time.Millisecond)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			var r Reading
			for {
				select {
				case <-done:
					return
				default:
				}
				h.Read(time.Duration(clock.Load()), &r)
				if r.Count() > float64(recorded.Load()) {
					t.Errorf("read %v of %v recorded", r.Count(), recorded.Load())
					return
				}
				if p := r.Quantile(0.5); p != 0 && math.Abs(p.Seconds()-0.002) > 0.002/32 {
					t.Errorf("median %v of samples that are all 2ms", p)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	// 4 × 10 000 samples, 50 µs apart: a second holds 20 000 of them.
	if count, _ := h.Totals(time.Duration(clock.Load())); math.Abs(count-20_000) > 200 {
		t.Errorf("the last second holds %v samples, want 20000", count)
	}
}

func TestRateBeforeTheFirstWindowIsOver(t *testing.T) {
	c := NewCounter(10*time.Second, 10)
	h := NewHistogram(10*time.Second, 10)
	for now := time.Duration(0); now < 2*time.Second; now += 10 * time.Millisecond {
		c.Add(now, 1)
		h.Record(now, time.Millisecond)
	}
	if rate := c.Rate(2 * time.Second); !near(rate, 100) {
		t.Errorf("100 a second for 2 s reads %v", rate)
	}
	if rate := h.Rate(2 * time.Second); !near(rate, 100) {
		t.Errorf("100 a second for 2 s reads %v", rate)
	}
	first := NewCounter(10*time.Second, 10)
	first.Add(0, 1)
	if rate := first.Rate(0); rate != 1 {
		t.Errorf("the first sample at once reads %v a second, want 1 in a sub-bucket of a second", rate)
	}
}

func TestTimeBeforeTheEpochIsTheEpoch(t *testing.T) {
	c := NewCounter(time.Second, 0)
	c.Add(math.MinInt64, 1)
	c.Add(-1, 1)
	if got := c.Count(-time.Hour); got != 2 {
		t.Errorf("counts %v, want 2", got)
	}
	c.Add(math.MaxInt64, 1)
	if got := c.Count(math.MaxInt64); got != 1 {
		t.Errorf("counts %v at the end of time, want 1", got)
	}
}

func TestRecordingAllocatesNothingWithinASubBucket(t *testing.T) {
	h := NewHistogram(time.Hour, 0)
	c := NewCounter(time.Hour, 0)
	now := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += time.Microsecond
		h.Record(now, now)
		c.Add(now, 1)
		h.Totals(now)
		c.Rate(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var r Reading
	if n := testing.AllocsPerRun(100, func() { h.Read(now, &r) }); n != 0 {
		t.Errorf("reading: %v allocations", n)
	}
}

func TestMemoryIsBoundByTheSubBuckets(t *testing.T) {
	h := NewHistogram(time.Second, 10)
	for now := time.Duration(0); now < time.Minute; now += 10 * time.Millisecond {
		h.Record(now, now)
	}
	if n := len(h.ring.slots); n != 11 {
		t.Errorf("%d sub-buckets", n)
	}
}

func TestImpossibleWindowPanics(t *testing.T) {
	for _, c := range []struct {
		window  time.Duration
		buckets int
	}{{0, 0}, {-time.Second, 10}, {9, 0}, {time.Second, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewCounter(%d, %d) did not panic", c.window, c.buckets)
				}
			}()
			NewCounter(c.window, c.buckets)
		}()
	}
	if w := NewHistogram(time.Second, 3).Window(); w != 999_999_999 {
		t.Errorf("a second in three parts is a window of %v", w)
	}
}

func FuzzCounterAgainstTheModel(f *testing.F) {
	f.Add(int64(1000), uint8(10), []byte{1, 2, 3, 200, 0, 0, 9})
	f.Fuzz(func(t *testing.T, window int64, buckets uint8, steps []byte) {
		if buckets == 0 || buckets > 64 || window < int64(buckets) || window > int64(time.Hour) || len(steps) > 500 {
			return
		}
		c := NewCounter(time.Duration(window), int(buckets))
		m := model{window: time.Duration(window), buckets: int64(buckets)}
		now := time.Duration(0)
		for _, step := range steps {
			now += time.Duration(step) * time.Duration(window) / 64
			c.Add(now, 1)
			m.record(now, 0)
			if want, _ := m.totals(now); !near(c.Count(now), want) {
				t.Fatalf("counts %v at %v, exact %v", c.Count(now), now, want)
			}
		}
	})
}
