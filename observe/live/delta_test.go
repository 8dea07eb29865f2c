package live

import (
	"math"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestACounterThatFallsBeganAgainAtZero(t *testing.T) {
	var p past
	step := func(at int, value float64, known bool, want float64) {
		t.Helper()
		p.begin(begin.Add(time.Duration(at) * time.Second))
		r := reading{0, handrail.Metric{Name: "a_total", Kind: handrail.Counter, Value: value}}
		if got, ok := p.increase(&r); got != want || ok != known {
			t.Errorf("at %d s: %v, %v, want %v, %v", at, got, ok, want, known)
		}
		p.end()
	}
	step(0, 100, false, 0) // what came before nobody saw grow
	step(1, 130, true, 30)
	step(2, 130, true, 0)
	step(3, 7, true, 7)
	step(5, 11, true, 4)
	if p.over != 2 {
		t.Errorf("the last two are %v s apart", p.over)
	}
	p.begin(begin.Add(6 * time.Second))
	p.end() // not told this time
	step(7, 500, false, 0)
	step(8, 501, true, 1)
}

func TestCountersOfDifferentSourcesAndLabelsAreKeptApart(t *testing.T) {
	var p past
	of := func(source int, labels ...handrail.Label) *reading {
		return &reading{source, handrail.Metric{Name: "a_total", Kind: handrail.Counter, Labels: labels}}
	}
	a, b := handrail.Label{Name: "x", Value: "1"}, handrail.Label{Name: "x", Value: "2"}
	all := []*reading{of(0), of(1), of(256), of(0, a), of(0, b), of(0, a, b), of(1, a)}
	p.begin(begin)
	for i, r := range all {
		r.Value = float64(100 * i)
		p.increase(r)
	}
	p.end()
	p.begin(begin.Add(time.Second))
	for i, r := range all {
		r.Value += float64(i)
		if got, ok := p.increase(r); !ok || got != float64(i) {
			t.Errorf("%d grew by %v, %v", i, got, ok)
		}
	}
}

func histogram(count uint64, pairs ...float64) *reading {
	m := handrail.Metric{Name: "h_seconds", Kind: handrail.Histogram, Count: count}
	for i := 0; i < len(pairs); i += 2 {
		m.Buckets = append(m.Buckets, handrail.Bucket{UpperBound: pairs[i], Cumulative: uint64(pairs[i+1])})
	}
	return &reading{0, m}
}

func TestAHistogramTellsWhatCameSinceTheLastTime(t *testing.T) {
	var p past
	step := func(r *reading, want ...uint64) {
		t.Helper()
		p.begin(p.at.Add(time.Second))
		got := p.observed(r)
		p.end()
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i].Cumulative != want[i] {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}
	step(histogram(10, 1, 4, 2, 8))
	step(histogram(15, 1, 6, 2, 12), 2, 4, 5)
	step(histogram(15, 1, 6, 2, 12), 0, 0, 0)
	step(histogram(3, 1, 1, 2, 2), 1, 2, 3)                // began again
	step(histogram(20, 1, 0, 2, 9), 0, 9, 20)              // one of its buckets did
	step(histogram(21, 1, 0, 3, 10), 0, 10, 21)            // other bounds
	step(histogram(22, 1, 0, 3, 10, 9, 12), 0, 10, 12, 22) // more of them
	step(histogram(23), 23)
	step(histogram(25), 2)
}

func TestQuantilesLieWhereObservationsDo(t *testing.T) {
	inf := math.Inf(1)
	of := func(pairs ...float64) (all []handrail.Bucket) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, handrail.Bucket{UpperBound: pairs[i], Cumulative: uint64(pairs[i+1])})
		}
		return all
	}
	for name, tc := range map[string]struct {
		q       float64
		buckets []handrail.Bucket
		want    float64
	}{
		"nothing known":           {0.5, nil, math.NaN()},
		"nothing observed":        {0.5, of(1, 0, inf, 0), math.NaN()},
		"no bounds":               {0.5, of(inf, 7), math.NaN()},
		"half of the first":       {0.5, of(1, 10, 2, 10, inf, 10), 0.5},
		"between two":             {0.5, of(1, 0, 2, 10, inf, 10), 1.5},
		"at a bound":              {0.5, of(1, 5, 2, 10, inf, 10), 1},
		"after an empty one":      {0.75, of(1, 5, 2, 5, 4, 10, inf, 10), 3},
		"above all bounds":        {0.99, of(1, 5, 2, 5, inf, 10), 2},
		"the last of many":        {0.99, of(1, 0, 2, 98, 4, 100, inf, 100), 3},
		"all above":               {0.5, of(1, 0, 2, 0, inf, 3), 2},
		"negative bounds":         {0.5, of(-1, 10, inf, 10), -1},
		"one observation":         {0.99, of(1, 0, 2, 1, inf, 1), 1.99},
		"of three, in the middle": {0.5, of(1, 1, 2, 2, 3, 3, inf, 3), 1.5},
	} {
		got := quantile(tc.q, tc.buckets)
		if math.IsNaN(got) != math.IsNaN(tc.want) || math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
