package timeout

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
)

func query(n int) string { return "?" + strings.Repeat("&k=v", n) }

func TestComplexityFactorsMultiplyUpToTheCap(t *testing.T) {
	standard := ByComplexity(ComplexityFactors{})
	const mib = 1 << 20
	for _, c := range []struct {
		method, target string
		length         int64
		want           float64
	}{
		{"GET", "/", 0, 0.5},
		{"HEAD", "/", 0, 0.5},
		{"OPTIONS", "/", 0, 0.5},
		{"", "/", 0, 0.5},
		{"POST", "/", 0, 2},
		{"PUT", "/", 0, 2},
		{"PATCH", "/", 0, 2},
		{"DELETE", "/", 0, 3},
		{"TRACE", "/", 0, 1},
		{"PROPFIND", "/", 0, 1},
		{"get", "/", 0, 1}, // methods differ in case (RFC 9110, section 9.1)

		{"GET", "/" + query(5), 0, 0.5},
		{"GET", "/" + query(6), 0, 1},
		{"GET", "/?a&b&c&d&e", 0, 0.5},
		{"GET", "/?a&b&c&d&e&f", 0, 1},
		{"GET", "/?a&b&c&d&e&&&&&&", 0, 0.5},
		{"GET", "/?&&&&&&&&&&", 0, 0.5},
		{"GET", "/?a%26b%26c%26d%26e%26f", 0, 0.5},
		{"GET", "/?a;b;c;d;e;f", 0, 0.5},
		{"GET", "/?%zz&%zz&%zz&%zz&%zz&%zz", 0, 1},
		{"GET", "/" + query(1_000_000), 0, 1},
		{"GET", "/?" + strings.Repeat("x", queryScan-10) + query(6), 0, 0.5}, // beyond what is looked at

		{"POST", "/", mib, 2},
		{"POST", "/", mib + 1, 6},
		{"POST", "/", math.MaxInt64, 6},
		{"POST", "/", -1, 2},
		{"GET", "/", mib + 1, 1.5},
		{"POST", "/" + query(6), mib + 1, 10}, // 12
		{"DELETE", "/" + query(6), 0, 6},
		{"DELETE", "/", mib + 1, 9},
		{"DELETE", "/" + query(6), mib + 1, 10}, // 18
	} {
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: c.method, URL: u, ContentLength: c.length}
		const base = 30 * time.Second
		if got, want := standard.Timeout(r, base), time.Duration(c.want*float64(base)); got != want {
			t.Errorf("%s %.40s with a body of %d: %v, want %v", c.method, c.target, c.length, got, want)
		}
	}

	own := ByComplexity(ComplexityFactors{Read: 1, Write: 1.5, Delete: 7, Query: 1.25, QueryLimit: 1, Body: 1.1, BodyLimit: 10, Max: 8})
	for _, c := range []struct {
		method, target string
		length         int64
		want           time.Duration
	}{
		{"GET", "/", 0, time.Second},
		{"GET", "/?a&b", 0, 1250 * time.Millisecond},
		{"GET", "/", 11, 1100 * time.Millisecond},
		{"PUT", "/", 10, 1500 * time.Millisecond},
		{"DELETE", "/", 0, 7 * time.Second},
		{"DELETE", "/?a&b", 0, 8 * time.Second},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		r.ContentLength = c.length
		if got := own.Timeout(r, time.Second); got != c.want {
			t.Errorf("own factors: %s %s with a body of %d: %v, want %v", c.method, c.target, c.length, got, c.want)
		}
	}
	if got := own.Timeout(&http.Request{Method: "PUT"}, time.Second); got != 1500*time.Millisecond {
		t.Errorf("without a URL: %v", got)
	}
}

func TestWhatMattersMoreGetsMoreTime(t *testing.T) {
	for p, want := range map[handrail.Priority]time.Duration{
		handrail.Critical:   40 * time.Second,
		handrail.High:       16 * time.Second,
		handrail.Normal:     8 * time.Second,
		handrail.Low:        4 * time.Second,
		handrail.Background: 2 * time.Second,
		-100:                8 * time.Second,
		100:                 8 * time.Second,
	} {
		calc := ByPriority(func(*http.Request) handrail.Priority { return p })
		if got := calc.Timeout(nil, 8*time.Second); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
}

func TestLoadLengthensByItsWeights(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		load    Load
		weights LoadWeights
		want    float64
	}{
		{Load{}, LoadWeights{}, 1},
		{Load{CPU: 1}, LoadWeights{}, 1.5},
		{Load{CPU: 0.5}, LoadWeights{}, 1.25},
		{Load{Memory: 1}, LoadWeights{}, 1.3},
		{Load{ErrorRate: 1}, LoadWeights{}, 1.4},
		{Load{InFlight: 100}, LoadWeights{}, 1},
		{Load{InFlight: 101}, LoadWeights{}, 1.2},
		{Load{InFlight: -5}, LoadWeights{}, 1},
		{Load{CPU: 1, Memory: 1, ErrorRate: 1, InFlight: 1 << 40}, LoadWeights{}, 2.4},
		{Load{CPU: 7, Memory: inf, ErrorRate: 1.01}, LoadWeights{}, 2.2},
		{Load{CPU: -1, Memory: -inf, ErrorRate: nan}, LoadWeights{}, 1},
		{Load{CPU: nan, Memory: 1}, LoadWeights{}, 1.3},
		{Load{CPU: 1}, LoadWeights{CPU: 3}, 4},
		{Load{CPU: 1, Memory: 1}, LoadWeights{CPU: 3, Memory: 3}, 5},
		{Load{CPU: 1, Memory: 1}, LoadWeights{CPU: 3, Memory: 3, Max: 100}, 7},
		{Load{ErrorRate: 0.5, InFlight: 8}, LoadWeights{ErrorRate: 1, InFlight: 2, InFlightLimit: 7}, 3.5},
		{Load{CPU: 1}, LoadWeights{Max: 1}, 1},
	} {
		calc := ByLoad(func() Load { return c.load }, c.weights)
		const base = 10 * time.Second
		got, want := calc.Timeout(nil, base), time.Duration(math.Round(c.want*float64(base)))
		if got < want-1 || got > want+1 { // a sum of tenths is not exact
			t.Errorf("%+v with %+v: %v, want %v", c.load, c.weights, got, want)
		}
	}
}

func TestPressureShortensDownToTheFloor(t *testing.T) {
	for _, c := range []struct{ pressure, floor, want float64 }{
		{0, 0, 1}, {0.5, 0, 1}, {1, 0, 1},
		{2, 0, 0.5}, {3.2, 0, 0.3125}, {4, 0, 0.25}, {8, 0, 0.25}, {math.MaxFloat64, 0, 0.25}, {math.Inf(1), 0, 0.25},
		{-1, 0, 1}, {math.Inf(-1), 0, 1}, {math.NaN(), 0, 1},
		{8, 0.125, 0.125}, {100, 0.01, 0.01}, {100, 1, 1},
	} {
		calc := ShortenUnderLoad(func() float64 { return c.pressure }, c.floor)
		const base = 16 * time.Second
		if got, want := calc.Timeout(nil, base), time.Duration(c.want*float64(base)); got != want {
			t.Errorf("pressure %v with floor %v: %v, want %v", c.pressure, c.floor, got, want)
		}
	}
}

func TestComposeAppliesOneAfterTheOther(t *testing.T) {
	times := func(n time.Duration) Calculator {
		return CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration { return n * base })
	}
	plus := CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration { return base + 1 })
	for _, c := range []struct {
		calcs []Calculator
		want  time.Duration
	}{
		{nil, 10},
		{[]Calculator{times(3)}, 30},
		{[]Calculator{times(3), plus}, 31},
		{[]Calculator{plus, times(3)}, 33},
		{[]Calculator{times(3), times(0), plus}, 31},
		{[]Calculator{times(-1), times(3)}, 30},
		{[]Calculator{Compose(plus, times(2)), plus}, 23},
	} {
		if got := Compose(c.calcs...).Timeout(nil, 10); got != c.want {
			t.Errorf("%d calculators: %d, want %d", len(c.calcs), got, c.want)
		}
	}
	calcs := []Calculator{times(3)}
	composed := Compose(calcs...)
	calcs[0] = times(0)
	if got := composed.Timeout(nil, 10); got != 30 {
		t.Errorf("a change of the caller's slice changed the result: %d", got)
	}
}

// any draws a calculator with settings that are allowed.
func anyCalculator(rnd *rand.Rand, depth int) Calculator {
	factor := func() float64 { return math.Exp(rnd.Float64()*13.8 - 6.9) } // 0.001 … 1000
	number := func() float64 {
		numbers := []float64{rnd.Float64(), -1, 1e308, math.NaN(), math.Inf(1), math.Inf(-1), 10 * rnd.Float64()}
		return numbers[rnd.IntN(len(numbers))]
	}
	switch n := rnd.IntN(6); {
	case n == 0:
		return ByComplexity(ComplexityFactors{factor(), factor(), factor(), factor(), 1 + rnd.IntN(9), factor(), 1 + rnd.Int64N(1<<21), factor()})
	case n == 1:
		return ByPriority(func(*http.Request) handrail.Priority { return handrail.Priority(rnd.IntN(9) - 4) })
	case n == 2:
		return ByLoad(func() Load { return Load{number(), number(), number(), rnd.IntN(300)} },
			LoadWeights{100 * rnd.Float64(), 100 * rnd.Float64(), 100 * rnd.Float64(), 100 * rnd.Float64(), 0, 1 + 999*rnd.Float64()})
	case n == 3:
		return ShortenUnderLoad(number, 0.01+0.99*rnd.Float64())
	case n == 4:
		calc := ByQuantile(0.9+0.1*rnd.Float64(), QuantileSettings{MinSamples: 10, Factor: 1.25 + 90*rnd.Float64(), MaxOperations: 1})
		for range rnd.IntN(30) {
			_, lesson := calc.(observer).begin(&http.Request{}, math.MaxInt64)
			lesson.learn(time.Duration(rnd.Int64()-1<<40), rnd.IntN(2) == 0)
		}
		return calc
	case depth > 0:
		calcs := make([]Calculator, rnd.IntN(4))
		for i := range calcs {
			calcs[i] = anyCalculator(rnd, depth-1)
		}
		return Compose(calcs...)
	}
	return ByComplexity(ComplexityFactors{})
}

func TestNoTimeoutIsNothingOrBeyondItsBound(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	methods := []string{"GET", "POST", "DELETE", "BREW", ""}
	for range 3000 {
		calc := anyCalculator(rnd, 2)
		if found := calc.(faulty).faults(); found != nil {
			t.Fatalf("seed %d: %v", seed, found)
		}
		r := &http.Request{Method: methods[rnd.IntN(len(methods))], ContentLength: rnd.Int64N(1<<22) - 1,
			URL: &url.URL{RawQuery: strings.Repeat("a&", rnd.IntN(12))}}
		base := time.Duration(rnd.Int64() >> rnd.IntN(63))
		switch rnd.IntN(8) {
		case 0:
			base = math.MaxInt64
		case 1:
			base = 1
		case 2:
			base = -base
		}
		got := calc.Timeout(r, base)
		if base <= 0 {
			if got != 0 {
				t.Fatalf("seed %d: %T makes %v of %v", seed, calc, got, base)
			}
			continue
		}
		bound, ok := calc.(bounded).bound(base)
		if !ok || got <= 0 || got > bound {
			t.Fatalf("seed %d: %T makes %v of %v, bound %v (%t)", seed, calc, got, base, bound, ok)
		}
	}
}

func TestTheBoundIsReached(t *testing.T) {
	worst := &http.Request{Method: "DELETE", ContentLength: 1 << 30, URL: &url.URL{RawQuery: query(9)[1:]}}
	critical := ByPriority(func(*http.Request) handrail.Priority { return handrail.Critical })
	for name, c := range map[string]struct {
		calc Calculator
		want time.Duration
	}{
		"complexity": {ByComplexity(ComplexityFactors{}), 100 * time.Second},
		"small":      {ByComplexity(ComplexityFactors{Query: 1, Body: 1}), 30 * time.Second},
		"priority":   {critical, 50 * time.Second},
		"load":       {ByLoad(func() Load { return Load{1, 1, 1, 101} }, LoadWeights{}), 24 * time.Second},
		"shortened":  {ShortenUnderLoad(func() float64 { return 0 }, 0), 10 * time.Second},
		"quantile":   {ByQuantile(0.99, QuantileSettings{}), 10 * time.Second},
		"composed":   {Compose(critical, ByComplexity(ComplexityFactors{})), 500 * time.Second},
	} {
		bound, ok := c.calc.(bounded).bound(10 * time.Second)
		got := c.calc.Timeout(worst, 10*time.Second)
		if !ok || bound != c.want || got != c.want {
			t.Errorf("%s: bound %v (%t), result %v, want %v", name, bound, ok, got, c.want)
		}
	}
	foreign := CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration { return base })
	if _, ok := Compose(critical, foreign).(bounded).bound(1); ok {
		t.Error("a calculator that nobody knows has a bound")
	}
}

func TestResultsStopAtTheLongestDuration(t *testing.T) {
	critical := ByPriority(func(*http.Request) handrail.Priority { return handrail.Critical })
	for _, base := range []time.Duration{math.MaxInt64, math.MaxInt64 / 2, math.MaxInt64/5 + 1e6} {
		if got := critical.Timeout(nil, base); got != math.MaxInt64 {
			t.Errorf("5 × %d is %d", base, got)
		}
	}
	if got := critical.Timeout(nil, math.MaxInt64/5); got < math.MaxInt64-1e4 {
		t.Errorf("5 × a fifth is %d", got)
	}
	low := ByPriority(func(*http.Request) handrail.Priority { return handrail.Background })
	if got := low.Timeout(nil, 1); got != 1 {
		t.Errorf("a quarter of the shortest duration is %d", got)
	}
	normal := ByPriority(func(*http.Request) handrail.Priority { return handrail.Normal })
	if got := normal.Timeout(nil, math.MaxInt64-1); got != math.MaxInt64-1 {
		t.Errorf("once the longest but one is %d", got)
	}
}

func TestWhatIsWrongWithACalculatorIsToldByNew(t *testing.T) {
	nan := math.NaN()
	pressure := func() float64 { return 0 }
	fine := CalculatorFunc(func(_ *http.Request, base time.Duration) time.Duration { return base })
	for _, c := range []struct {
		calc Calculator
		want []string
	}{
		{CalculatorFunc(nil), []string{"CalculatorFunc"}},
		{ByPriority(nil), []string{"ByPriority"}},
		{ByComplexity(ComplexityFactors{Read: -1, Write: nan, Delete: math.Inf(1), Query: 1001, Body: 1e-9, Max: -0.5, QueryLimit: -1, BodyLimit: -1}),
			[]string{"ByComplexity.Read", "ByComplexity.Write", "ByComplexity.Delete", "ByComplexity.Query", "ByComplexity.Body",
				"ByComplexity.Max", "ByComplexity.QueryLimit", "ByComplexity.BodyLimit"}},
		{ByLoad(nil, LoadWeights{CPU: -1, Memory: nan, ErrorRate: 101, InFlight: -1, InFlightLimit: -1, Max: 0.5}),
			[]string{"ByLoad", "ByLoad.CPU", "ByLoad.Memory", "ByLoad.ErrorRate", "ByLoad.InFlight", "ByLoad.InFlightLimit", "ByLoad.Max"}},
		{ShortenUnderLoad(nil, 1.5), []string{"ShortenUnderLoad", "ShortenUnderLoad.floor"}},
		{ShortenUnderLoad(pressure, nan), []string{"ShortenUnderLoad.floor"}},
		{ShortenUnderLoad(pressure, -1), []string{"ShortenUnderLoad.floor"}},
		{ByQuantile(0, QuantileSettings{}), []string{"ByQuantile"}},
		{ByQuantile(99, QuantileSettings{}), []string{"ByQuantile"}},
		{ByQuantile(nan, QuantileSettings{Factor: 1, Floor: -1, MinSamples: 1, Window: 1, MaxOperations: -1}),
			[]string{"ByQuantile", "ByQuantile.Factor", "ByQuantile.Floor", "ByQuantile.MinSamples", "ByQuantile.Window", "ByQuantile.MaxOperations"}},
		{Compose(fine, nil, ByPriority(nil)), []string{"Compose[1]", "ByPriority"}},
		{Compose(Compose(nil)), []string{"Compose[0]"}},
		{Compose(fine), nil},
		{ByQuantile(1, QuantileSettings{}), nil},
	} {
		_, err := New(WithCalculator(c.calc))
		var got []string
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				var fault *handrail.OptionError
				if !errors.As(e, &fault) || fault.Package != "timeout" || fault.Reason == "" {
					t.Errorf("%T is told as %v", c.calc, e)
					continue
				}
				got = append(got, fault.Option)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%T has the faults %v, want %v (%v)", c.calc, got, c.want, err)
		}
		if c.want != nil && (err == nil || fmt.Sprint(c.calc) == "") {
			t.Errorf("%T is accepted", c.calc)
		}
		if _, function := c.calc.(CalculatorFunc); c.want != nil && !function {
			if d := c.calc.Timeout(httptest.NewRequest("GET", "/", nil), time.Second); d != time.Second {
				t.Errorf("%T is wrong and returns %v", c.calc, d)
			}
		}
	}
}

func TestAPanicOfTheFunctionIsThatOfTheCalculator(t *testing.T) {
	for name, calc := range map[string]Calculator{
		"ByPriority":       ByPriority(func(*http.Request) handrail.Priority { panic("mine") }),
		"ByLoad":           ByLoad(func() Load { panic("mine") }, LoadWeights{}),
		"ShortenUnderLoad": ShortenUnderLoad(func() float64 { panic("mine") }, 0),
		"ByQuantile":       ByQuantile(0.99, QuantileSettings{Operation: func(*http.Request) string { panic("mine") }}),
	} {
		for _, calc := range []Calculator{calc, Compose(calc)} {
			func() {
				defer func() {
					if got := recover(); got != "mine" {
						t.Errorf("%s: %v", name, got)
					}
				}()
				calc.Timeout(httptest.NewRequest("GET", "/", nil), time.Second)
			}()
		}
	}
}

// lasting serves a request that takes as long as work, or is cut off, and
// reports whether it was served.
func lasting(calc Calculator, r *http.Request, base, work time.Duration) bool {
	d, lesson := calc.(observer).begin(r, base)
	cut := work >= d
	time.Sleep(min(work, d))
	lesson.learn(min(work, d), cut)
	return !cut
}

// traffic sends rate requests a second for so long, and returns the share that
// was served.
func traffic(calc Calculator, base time.Duration, rate int, long time.Duration, work func(i int) time.Duration) float64 {
	r := &http.Request{Pattern: "GET /"}
	var all sync.WaitGroup
	var served atomic.Int64
	n := int(long.Seconds() * float64(rate))
	for i := range n {
		all.Go(func() {
			if lasting(calc, r, base, work(i)) {
				served.Add(1)
			}
		})
		time.Sleep(time.Second / time.Duration(rate))
	}
	all.Wait()
	return float64(served.Load()) / float64(n)
}

func constantly(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func TestTheTimeoutIsTheQuantileOfRecentDurationsTimesTheFactor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		spread := func(i int) time.Duration { return time.Duration(1+i%1000) * time.Millisecond }
		for _, c := range []struct {
			q        float64
			settings QuantileSettings
			want     time.Duration
		}{
			{0.99, QuantileSettings{}, 1980 * time.Millisecond},
			{0.9, QuantileSettings{Factor: 3}, 2700 * time.Millisecond},
			{1, QuantileSettings{Factor: 1.25}, 1250 * time.Millisecond},
			{0.99, QuantileSettings{Floor: 5 * time.Second}, 5 * time.Second},
		} {
			calc := ByQuantile(c.q, c.settings)
			traffic(calc, 10*time.Second, 100, 30*time.Second, spread)
			time.Sleep(time.Second)
			r := &http.Request{Pattern: "GET /"}
			got := calc.Timeout(r, 10*time.Second)
			if got < c.want-c.want/32-1 || got > c.want+c.want/32+1 {
				t.Errorf("q %v with %+v: %v, want %v", c.q, c.settings, got, c.want)
			}
			if got := calc.Timeout(r, time.Second); got != time.Second {
				t.Errorf("with a base of 1 s: %v", got)
			}
			if got := calc.Timeout(&http.Request{Pattern: "PUT /"}, 10*time.Second); got != 10*time.Second {
				t.Errorf("another operation has %v", got)
			}
			time.Sleep(90 * time.Second)
			if got := calc.Timeout(r, 10*time.Second); got != 10*time.Second {
				t.Errorf("after a window without requests: %v", got)
			}
		}
	})
}

func TestTheTimeoutIsNotLearntFromTooFewRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]bool{0: false, 99: false, 100: true} {
			calc, r := ByQuantile(0.99, QuantileSettings{}), &http.Request{}
			for range n {
				_, lesson := calc.(observer).begin(r, time.Minute)
				lesson.learn(time.Second/2, false)
			}
			time.Sleep(time.Second)
			if got := calc.Timeout(r, time.Minute); (got < time.Minute) != want {
				t.Errorf("with %d samples: %v", n, got)
			}
		}
	})
}

func TestATimeoutThatHasBecomeTooShortGrowsUntilItFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate int
		q    float64
		most time.Duration
	}{
		// Each doubling from 100 ms needs 1−q of the window, and a look.
		{100, 0.99, 15 * time.Second},
		{5, 0.99, 15 * time.Second},
		{20, 0.9, 80 * time.Second},
		{20, 1, 10 * time.Second},
	} {
		t.Run(fmt.Sprint(c.rate, " a second at ", c.q), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calc := ByQuantile(c.q, QuantileSettings{})
				if served := traffic(calc, 30*time.Second, c.rate, 2*time.Minute, constantly(3*time.Millisecond)); served != 1 {
					t.Errorf("of the fast ones %.3f were served", served)
				}
				if got := calc.Timeout(&http.Request{Pattern: "GET /"}, 30*time.Second); got != 100*time.Millisecond {
					t.Fatalf("learnt %v, want the floor", got)
				}
				// All of them are too slow for what was learnt.
				traffic(calc, 30*time.Second, c.rate, c.most, constantly(5*time.Second))
				if served := traffic(calc, 30*time.Second, c.rate, 3*time.Minute, constantly(5*time.Second)); served < 0.99 {
					t.Errorf("after %v of being slow %.3f were served", c.most, served)
				}
			})
		})
	}
}

func TestTheTimeoutReachesBaseWhereNothingIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calc, r := ByQuantile(0.99, QuantileSettings{}), &http.Request{Pattern: "GET /"}
		traffic(calc, 30*time.Second, 50, 2*time.Minute, constantly(3*time.Millisecond))
		traffic(calc, 30*time.Second, 50, time.Minute, constantly(time.Hour))
		if got := calc.Timeout(r, 30*time.Second); got != 30*time.Second {
			t.Errorf("while it hangs: %v", got)
		}
		// And it is learnt anew once that is over.
		traffic(calc, 30*time.Second, 50, 2*time.Minute, constantly(3*time.Millisecond))
		if got := calc.Timeout(r, 30*time.Second); got != 100*time.Millisecond {
			t.Errorf("after it was mended: %v", got)
		}
	})
}

// A calculator behind shortens the timeout so far that nothing would be
// served. What is cut off must not count as fast.
func TestALaterCalculatorDoesNotDragTheQuantileDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, calc := range []Calculator{
			Compose(ByQuantile(0.99, QuantileSettings{Floor: time.Millisecond}), ByPriority(func(*http.Request) handrail.Priority { return handrail.Background })),
			Compose(Compose(ByQuantile(0.99, QuantileSettings{Floor: time.Millisecond})), ShortenUnderLoad(func() float64 { return 4 }, 0)),
		} {
			traffic(calc, 20*time.Second, 50, 2*time.Minute, constantly(time.Second))
			if served := traffic(calc, 20*time.Second, 50, 5*time.Minute, constantly(time.Second)); served < 0.95 {
				t.Errorf("%.3f were served", served)
			}
		}
	})
}

// Requests that were cut off before the timeout that was chosen, because their
// client had no more time, make it neither shorter nor longer.
func TestAClientInAHurryTeachesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calc, r := ByQuantile(0.99, QuantileSettings{Floor: time.Millisecond}), &http.Request{}
		for i := range 1000 {
			d, lesson := calc.(observer).begin(r, time.Minute)
			if i%2 == 0 {
				lesson.learn(50*time.Millisecond, false)
			} else {
				lesson.learn(5*time.Millisecond, true)
			}
			if i > 400 && (d < 95*time.Millisecond || d > 105*time.Millisecond) {
				t.Fatalf("after %d requests: %v", i, d)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestDurationsBeyondTheHistogramAreNotLearnt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calc, r := ByQuantile(0.99, QuantileSettings{MinSamples: 10}), &http.Request{}
		for range 20 {
			_, lesson := calc.(observer).begin(r, 24*time.Hour)
			lesson.learn(10*time.Hour, false)
		}
		time.Sleep(time.Second)
		if got := calc.Timeout(r, 24*time.Hour); got != 24*time.Hour {
			t.Errorf("%v for requests of ten hours", got)
		}
	})
}

func TestTheOperationIsThatOfTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calc := ByQuantile(0.99, QuantileSettings{})
		r := httptest.NewRequest("GET", "/", nil)
		for range 100 {
			r.Pattern = "before"
			_, lesson := calc.(observer).begin(r, time.Minute)
			r.Pattern = "after"
			lesson.learn(time.Second, false)
		}
		time.Sleep(time.Second)
		for pattern, want := range map[string]bool{"before": true, "after": false} {
			if got := calc.Timeout(&http.Request{Pattern: pattern}, time.Minute); (got < time.Minute) != want {
				t.Errorf("%s: %v", pattern, got)
			}
		}
	})
}

func TestEachLearningCalculatorOfAComposeIsTaught(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := func(name string) handrail.KeyFunc { return func(*http.Request) string { return name } }
		quantiles := make([]Calculator, 4)
		for i := range quantiles {
			quantiles[i] = ByQuantile(0.99, QuantileSettings{MinSamples: 10, Operation: key(fmt.Sprint(i))})
		}
		plain := ByComplexity(ComplexityFactors{Read: 1})
		calc := Compose(plain, quantiles[0], plain, Compose(quantiles[1], quantiles[2]), quantiles[3])
		r := httptest.NewRequest("GET", "/", nil)
		for range 20 {
			_, lesson := calc.(observer).begin(r, time.Minute)
			lesson.learn(time.Second, false)
		}
		time.Sleep(time.Second)
		for i, q := range quantiles {
			if got := q.Timeout(r, time.Minute); got < 1900*time.Millisecond || got > 2100*time.Millisecond {
				t.Errorf("quantile %d learnt %v", i, got)
			}
		}
		new(lesson).learn(time.Second, true) // of a calculator that learns nothing
	})
}

func TestOperationsAreRememberedWithinABound(t *testing.T) {
	calc := ByQuantile(0.99, QuantileSettings{MaxOperations: 32}).(*byQuantile)
	for i := range 10_000 {
		r := &http.Request{Pattern: fmt.Sprint(strings.Repeat("x", 200*(i%2)), i)}
		_, lesson := calc.begin(r, time.Second)
		lesson.learn(time.Millisecond, false)
	}
	if n := calc.operations.Len(); n > 32 {
		t.Errorf("%d operations are remembered", n)
	}
	calc.operations.Range(func(key string, _ *operation) bool {
		if len(key) > handrail.MaxKeyLen {
			t.Errorf("a key has %d bytes", len(key))
		}
		return true
	})
}

func TestCalculatorsAllocateNothing(t *testing.T) {
	quantile := ByQuantile(0.99, QuantileSettings{Window: time.Hour})
	all := Compose(
		ByComplexity(ComplexityFactors{}),
		ByPriority(func(*http.Request) handrail.Priority { return handrail.High }),
		ByLoad(func() Load { return Load{CPU: 0.5} }, LoadWeights{}),
		ShortenUnderLoad(func() float64 { return 2 }, 0),
		quantile,
	)
	r := httptest.NewRequest("GET", "/"+query(20), nil)
	for name, calc := range map[string]Calculator{"quantile": quantile, "all": all} {
		if n := testing.AllocsPerRun(1000, func() {
			_, lesson := calc.(observer).begin(r, time.Second)
			lesson.learn(time.Millisecond, false)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestCalculatorsAreSharedByManyRequests(t *testing.T) {
	t.Parallel()
	calc := Compose(ByQuantile(0.99, QuantileSettings{MaxOperations: 4, MinSamples: 10}),
		ByComplexity(ComplexityFactors{}), ByQuantile(0.95, QuantileSettings{Window: time.Second, MinSamples: 10}))
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 300 {
				r := &http.Request{Method: "POST", Pattern: fmt.Sprint(i % (g + 1))}
				d, lesson := calc.(observer).begin(r, time.Second)
				if d <= 0 || d > 10*time.Second {
					t.Errorf("%v", d)
				}
				lesson.learn(time.Duration(i)*time.Microsecond, i%7 == 0)
			}
		})
	}
	all.Wait()
}

func BenchmarkByQuantile(b *testing.B) {
	calc, r := ByQuantile(0.99, QuantileSettings{}), &http.Request{Pattern: "GET /items/{id}"}
	b.ReportAllocs()
	for b.Loop() {
		_, lesson := calc.(observer).begin(r, time.Second)
		lesson.learn(time.Millisecond, false)
	}
}

func BenchmarkByComplexity(b *testing.B) {
	calc := ByComplexity(ComplexityFactors{})
	for _, c := range []struct{ name, query string }{{"plain", "?a=b&c=d"}, {"hostile", "?" + strings.Repeat("&", 1<<20)}} {
		r := httptest.NewRequest("GET", "/"+c.query, nil)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				calc.Timeout(r, time.Second)
			}
		})
	}
}
