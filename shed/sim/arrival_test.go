package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func times(shape Shape, unit float64, kind Arrivals, seed uint64) (all []time.Duration) {
	a := newArrivals(shape, unit, kind, rand.New(rand.NewPCG(seed, 1)))
	for at, ok := a.next(); ok; at, ok = a.next() {
		all = append(all, at)
	}
	return all
}

func counts(all []time.Duration, width, end time.Duration) []float64 {
	n := make([]float64, end/width)
	for _, at := range all {
		n[min(int(at/width), len(n)-1)]++
	}
	return n
}

func TestPoissonArrivalsHaveTheVarianceOfTheirMean(t *testing.T) {
	n := counts(times(Steady(1000*time.Second, .5), 200, Poisson, 1), 100*time.Millisecond, 1000*time.Second)
	var sum, squares, lag float64
	for i, x := range n {
		sum += x
		squares += (x - 10) * (x - 10)
		if i > 0 {
			lag += (x - 10) * (n[i-1] - 10)
		}
	}
	about(t, "mean", sum/float64(len(n)), 10, .01)
	about(t, "variance", squares/float64(len(n)), 10, .05)
	if correlation := lag / squares; math.Abs(correlation) > .04 {
		t.Errorf("neighbouring counts correlate by %v", correlation)
	}
}

func TestPoissonGapsAreExponential(t *testing.T) {
	all := times(Steady(1000*time.Second, 1), 100, Poisson, 2)
	longer := make([]int, 4)
	for i := 1; i < len(all); i++ {
		for k := range longer {
			if all[i]-all[i-1] > time.Duration(k)*10*time.Millisecond {
				longer[k]++
			}
		}
	}
	for k, n := range longer {
		about(t, "share of longer gaps", float64(n)/float64(len(all)-1), math.Exp(-float64(k)), .03)
	}
}

func TestEvenArrivalsKeepTheirDistance(t *testing.T) {
	all := times(Steady(10*time.Second, 2), 50, Even, 1)
	if len(all) != 999 && len(all) != 1000 {
		t.Fatalf("%d arrivals, want 1000, or 999 if the last is the end", len(all))
	}
	for i, at := range all {
		if want := time.Duration(i+1) * 10 * time.Millisecond; (at - want).Abs() > time.Microsecond {
			t.Fatalf("arrival %d at %v, want %v", i, at, want)
		}
	}
}

func TestRampIsInvertedExactly(t *testing.T) {
	for _, shape := range []Shape{
		Ramp(10*time.Second, 0, 4),
		Ramp(10*time.Second, 4, 0),
		Ramp(10*time.Second, 1, 1+1e-12),
		Ramp(10*time.Second, 1, 3),
	} {
		p, all := shape[0], times(shape, 100, Even, 1)
		slope := (p.To - p.From) * 100 / 10
		for i, at := range all {
			s := at.Seconds()
			if area := p.From*100*s + slope*s*s/2; math.Abs(area-float64(i+1)) > 1e-3 {
				t.Fatalf("%+v: arrival %d at %v, where the integral is %v", p, i, at, area)
			}
		}
		if want := (p.From + p.To) / 2 * 1000; math.Abs(float64(len(all))-want) > 1.5 {
			t.Errorf("%+v: %d arrivals, want %v", p, len(all), want)
		}
	}
}

func TestPhasesFollowEachOtherWithoutGapOrOverlap(t *testing.T) {
	shape := append(Spike(.5, 5, 100*time.Second, 100*time.Second, 100*time.Second), Shape{
		{Duration: 100 * time.Second},
		{Duration: 100 * time.Second, From: 1, To: 1, Burst: 300},
	}...)
	all := times(shape, 100, Poisson, 3)
	n := counts(all, 100*time.Second, 500*time.Second)
	for i, want := range []float64{5000, 50000, 5000, 0, 10300} {
		if math.Abs(n[i]-want) > 4*math.Sqrt(want) {
			t.Errorf("phase %d: %v arrivals, want about %v", i, n[i], want)
		}
	}
	burst := 0
	for i, at := range all {
		if at == 400*time.Second {
			burst++
		}
		if i > 0 && at < all[i-1] {
			t.Fatalf("arrival %d at %v is before the one at %v", i, at, all[i-1])
		}
	}
	if burst != 300 {
		t.Errorf("%d arrivals in the burst, want 300", burst)
	}
}

func TestBurstComesFromIdle(t *testing.T) {
	all := times(Burst(60, time.Second, time.Second), 1000, Poisson, 1)
	if len(all) != 60 || all[0] != time.Second || all[59] != time.Second {
		t.Errorf("%v, want 60 arrivals after 1 s", all)
	}
}
