package refuse_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/refuse"
)

// ends are the least and the most that a Jitter can choose.
func ends(longest, drain time.Duration) (low, high time.Duration) {
	first := refuse.Jitter{Max: longest, IntN: func(int64) int64 { return 0 }}
	last := refuse.Jitter{Max: longest, IntN: func(n int64) int64 { return n - 1 }}
	return first.RetryAfter(drain), last.RetryAfter(drain)
}

func TestTheChoiceIsFromTheDrainTimeToTwiceThat(t *testing.T) {
	const s = time.Second
	for _, c := range []struct{ longest, drain, low, high time.Duration }{
		{60 * s, 10 * s, 10 * s, 20 * s},
		{60 * s, 9*s + s/2, 10 * s, 19 * s},
		{60 * s, 9*s + s/2 + 1, 10 * s, 20 * s},
		{60 * s, 9*s + 1, 10 * s, 19 * s},
		// Never only one second for all.
		{60 * s, -s, 1 * s, 2 * s},
		{60 * s, 0, 1 * s, 2 * s},
		{60 * s, s / 10, 1 * s, 2 * s},
		{60 * s, s, 1 * s, 2 * s},
		// Never only the longest for all.
		{60 * s, 29 * s, 29 * s, 58 * s},
		{60 * s, 31 * s, 30 * s, 60 * s},
		{60 * s, 60 * s, 30 * s, 60 * s},
		{60 * s, math.MaxInt64, 30 * s, 60 * s},
		{5 * s, time.Hour, 3 * s, 5 * s},
		{2 * s, time.Hour, 1 * s, 2 * s},
		// Where there is no choice there is none.
		{s, time.Hour, s, s},
		{1, time.Hour, s, s},
		{s + s/2, 0, s, s},
		// The default.
		{0, time.Hour, refuse.DefaultMax / 2, refuse.DefaultMax},
		{-s, time.Hour, refuse.DefaultMax / 2, refuse.DefaultMax},
		{math.MaxInt64, math.MaxInt64, 4611686018 * s, 9223372036 * s},
	} {
		if low, high := ends(c.longest, c.drain); low != c.low || high != c.high {
			t.Errorf("Max %v, drain %v: %v to %v, want %v to %v", c.longest, c.drain, low, high, c.low, c.high)
		}
	}
}

func TestTheChoiceIsWithinItsBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		longest := time.Duration(random.Int64() >> random.IntN(63))
		drain := time.Duration(random.Int64() >> random.IntN(63))
		got := refuse.Jitter{Max: longest, IntN: random.Int64N}.RetryAfter(drain)
		low, high := ends(longest, drain)
		bound := max(longest.Truncate(time.Second), time.Second)
		if longest <= 0 {
			bound = refuse.DefaultMax
		}
		switch {
		case got%time.Second != 0, got < time.Second, got > bound, got < low, got > high:
			t.Fatalf("Max %v, drain %v: %v, from %v to %v", longest, drain, got, low, high)
		case bound >= 2*time.Second && low == high:
			t.Fatalf("Max %v, drain %v: always %v", longest, drain, got)
		case drain <= bound/2 && low < drain:
			t.Fatalf("Max %v, drain %v: as early as %v", longest, drain, low)
		case drain < bound/2 && high > 2*max(drain, time.Second)+time.Second:
			t.Fatalf("Max %v, drain %v: as late as %v", longest, drain, high)
		}
	}
}

func TestTheSameSourceGivesTheSameChoices(t *testing.T) {
	draw := func() (got []time.Duration) {
		j := refuse.Jitter{IntN: rand.New(rand.NewPCG(7, 7)).Int64N}
		for i := range 100 {
			got = append(got, j.RetryAfter(time.Duration(i)*time.Second))
		}
		return got
	}
	first, second := draw(), draw()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("draw %d: %v, then %v", i, first[i], second[i])
		}
	}
}

func TestEveryChoiceIsEquallyLikely(t *testing.T) {
	j := refuse.Jitter{IntN: rand.New(rand.NewPCG(3, 4)).Int64N}
	counts := map[time.Duration]int{}
	const draws = 110_000
	for range draws {
		counts[j.RetryAfter(10*time.Second)]++
	}
	if len(counts) != 11 {
		t.Fatalf("%d different choices of 11", len(counts))
	}
	for after, n := range counts {
		// Five standard deviations, and the source is seeded.
		if math.Abs(float64(n-draws/11)) > 500 {
			t.Errorf("%v: %d times, want about %d", after, n, draws/11)
		}
	}
}

func TestTheZeroJitterIsReady(t *testing.T) {
	var j refuse.Jitter
	for range 100 {
		if got := j.RetryAfter(10 * time.Second); got < 10*time.Second || got > 20*time.Second {
			t.Fatal(got)
		}
	}
}
