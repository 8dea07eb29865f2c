package retry

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func scheduleOf(t *testing.T, opts ...Option) *schedule {
	t.Helper()
	set := defaults()
	if err := set.apply(opts); err != nil {
		t.Fatal(err)
	}
	return &set.schedule
}

func TestDelaysGrowAsTheirNameSays(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name string
		opt  Option
		want []time.Duration
	}{
		{"nothing", Basic(), []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 30000 * ms, 30000 * ms}},
		{"database", Database(), []time.Duration{50 * ms, 75 * ms, 112500 * time.Microsecond, 168750 * time.Microsecond}},
		{"fixed", WithFixed(7 * ms), []time.Duration{7 * ms, 7 * ms, 7 * ms}},
		{"linear", WithLinear(10*ms, 35*ms), []time.Duration{10 * ms, 20 * ms, 30 * ms, 35 * ms, 35 * ms}},
		{"exponential", WithExponential(1*ms, 50*ms, 3), []time.Duration{1 * ms, 3 * ms, 9 * ms, 27 * ms, 50 * ms, 50 * ms}},
		{"one's own", WithDelay(func(n int) time.Duration { return time.Duration(n-2) * time.Hour * 20 }), []time.Duration{0, 0, 20 * time.Hour, 24 * time.Hour}},
		{"custom", Custom(5, func(n int) time.Duration { return time.Duration(n) }), []time.Duration{1, 2, 3}},
	} {
		s := scheduleOf(t, tc.opt, WithJitter(NoJitter))
		delays := s.begin()
		var got []time.Duration
		for range tc.want {
			got = append(got, s.next(delays))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		delays.Reset()
		if got := s.next(delays); got != tc.want[0] {
			t.Errorf("%s: begins again with %v", tc.name, got)
		}
	}
}

func TestNoDelayIsNegativeOrAboveItsMaximum(t *testing.T) {
	absurd := func(n int) time.Duration { return time.Duration(rand.Int64() - rand.Int64()) }
	for name, opt := range map[string]Option{
		"exponential":      WithExponential(100*time.Millisecond, 30*time.Second, 2),
		"steep":            WithExponential(1, longest, 100),
		"flat":             WithExponential(time.Second, time.Second, 1),
		"linear":           WithLinear(1, longest),
		"linear, to 24 h":  WithLinear(longest, longest),
		"linear, steps":    WithLinear(7*time.Hour, longest),
		"fixed":            WithFixed(longest),
		"absurd functions": WithDelay(absurd),
		"always the least": WithDelay(func(int) time.Duration { return math.MinInt64 }),
		"always the most":  WithDelay(func(int) time.Duration { return math.MaxInt64 }),
	} {
		for _, jitter := range []Jitter{NoJitter, FullJitter, EqualJitter, PlusMinus(0.1), PlusMinus(1)} {
			s := scheduleOf(t, opt, WithJitter(jitter))
			delays := s.begin()
			for n := range 10_000 {
				if d := s.next(delays); d < 0 || d > s.max {
					t.Fatalf("%s with jitter %v: %v after attempt %d", name, jitter, d, n+1)
				}
			}
		}
	}
}

func TestJitterKeepsToItsRangeAndUsesAllOfIt(t *testing.T) {
	const d = time.Second
	for _, tc := range []struct {
		jitter    Jitter
		min, most time.Duration
	}{{NoJitter, d, d}, {FullJitter, 0, d}, {EqualJitter, d / 2, d}, {PlusMinus(0.1), 900 * time.Millisecond, 1100 * time.Millisecond}, {PlusMinus(1), 0, 2 * d}, {PlusMinus(0), d, d}} {
		lowest, highest := tc.jitter.apply(d, 0), tc.jitter.apply(d, 1)
		if diff := max((lowest - tc.min).Abs(), (highest - tc.most).Abs()); diff > 2 {
			t.Errorf("%v: %v to %v, want %v to %v", tc.jitter, lowest, highest, tc.min, tc.most)
		}
	}
	if got := fmt.Sprint(NoJitter, FullJitter, EqualJitter, PlusMinus(0.25), PlusMinus(2)); got != "none full equal ±25% invalid" {
		t.Error(got)
	}
}
