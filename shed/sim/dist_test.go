package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func moments(d Dist, n int) (mean, cv float64) {
	r := rand.New(rand.NewPCG(1, 2))
	var sum, squares float64
	for range n {
		x := float64(d.Draw(r))
		sum += x
		squares += x * x
	}
	mean = sum / float64(n)
	return mean, math.Sqrt(squares/float64(n)-mean*mean) / mean
}

func TestDistributionsHaveTheirMeanAndVariation(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for _, c := range []struct {
		d  Dist
		cv float64
	}{
		{Constant(7 * ms), 0},
		{Exponential(7 * ms), 1},
		{LogNormal(7*ms, .5), .5},
		{LogNormal(7*ms, 0), 0},
		{LogNormal(7*ms, 2), 2},
		// Second moment .9·1 + .1·61² = 373, mean 7.
		{Bimodal(Constant(1*ms), Constant(61*ms), .1), math.Sqrt(373-49) / 7},
	} {
		if c.d.Mean().Round(time.Nanosecond) != 7*ms {
			t.Errorf("%v: Mean() = %v", c.d, c.d.Mean())
		}
		mean, cv := moments(c.d, 400_000)
		if math.Abs(mean/float64(7*ms)-1) > .01 || math.Abs(cv-c.cv) > .05*max(c.cv, .01) {
			t.Errorf("%v: mean %v, cv %.3f, want 7ms, %.3f", c.d, time.Duration(mean), cv, c.cv)
		}
	}
}

func TestBadDistributionsAreFaults(t *testing.T) {
	for _, d := range []Dist{
		Constant(-1), Constant(25 * time.Hour),
		Exponential(0), Exponential(-time.Second),
		LogNormal(0, 1), LogNormal(time.Second, -1), LogNormal(time.Second, math.NaN()), LogNormal(time.Second, 11),
		Bimodal(nil, Constant(1), .5), Bimodal(Constant(1), Constant(1), 1.1),
		Bimodal(Constant(1), Exponential(0), math.NaN()), Bimodal(Constant(1), Exponential(0), .5),
	} {
		if d.(checker).fault() == "" {
			t.Errorf("%v is accepted", d)
		}
		if (Scenario{Service: Delay{d}, Unit: 1, Shape: Steady(time.Second, 1)}).Validate() == nil {
			t.Errorf("%v is accepted as service time", d)
		}
	}
	if (Scenario{Service: Delay{Constant(0)}, Unit: 1, Shape: Steady(time.Second, 1)}).Validate() == nil {
		t.Error("a service that takes no time is accepted, which has no capacity")
	}
}
