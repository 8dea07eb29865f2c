package timeout

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const millisHeader = "X-Request-Timeout-Ms"

func TestRemainingTimeIsParsedStrictly(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		want   time.Duration
		ok     bool
	}{
		{millisHeader, []string{"0"}, 0, true},
		{millisHeader, []string{"1"}, time.Millisecond, true},
		{millisHeader, []string{"1500"}, 1500 * time.Millisecond, true},
		{millisHeader, []string{"0000000015"}, 15 * time.Millisecond, true},
		{millisHeader, []string{"9999999999"}, 9999999999 * time.Millisecond, true},
		{millisHeader, nil, 0, false},
		{millisHeader, []string{}, 0, false},
		{millisHeader, []string{"5", "6"}, 0, false},
		{millisHeader, []string{"5", "5"}, 0, false},
		{millisHeader, []string{""}, 0, false},
		{millisHeader, []string{"10000000000"}, 0, false},
		{millisHeader, []string{"00000000015"}, 0, false},
		{millisHeader, []string{strings.Repeat("9", 1<<20)}, 0, false},
		{millisHeader, []string{"-1"}, 0, false},
		{millisHeader, []string{"+1"}, 0, false},
		{millisHeader, []string{" 1"}, 0, false},
		{millisHeader, []string{"1 "}, 0, false},
		{millisHeader, []string{"1.5"}, 0, false},
		{millisHeader, []string{"1e3"}, 0, false},
		{millisHeader, []string{"0x10"}, 0, false},
		{millisHeader, []string{"1_000"}, 0, false},
		{millisHeader, []string{"٣"}, 0, false},
		{millisHeader, []string{"5,6"}, 0, false},
		{millisHeader, []string{"5m"}, 0, false},
		{millisHeader, []string{"5S"}, 0, false},

		{grpcTimeout, []string{"0n"}, 0, true},
		{grpcTimeout, []string{"7n"}, 7 * time.Nanosecond, true},
		{grpcTimeout, []string{"7u"}, 7 * time.Microsecond, true},
		{grpcTimeout, []string{"7m"}, 7 * time.Millisecond, true},
		{grpcTimeout, []string{"7S"}, 7 * time.Second, true},
		{grpcTimeout, []string{"7M"}, 7 * time.Minute, true},
		{grpcTimeout, []string{"7H"}, 7 * time.Hour, true},
		{grpcTimeout, []string{"99999999S"}, 99999999 * time.Second, true},
		{grpcTimeout, []string{"00000001m"}, time.Millisecond, true},
		{grpcTimeout, []string{"2562047H"}, 2562047 * time.Hour, true},
		{grpcTimeout, []string{"2562048H"}, 0, false},
		{grpcTimeout, []string{"99999999H"}, 0, false},
		{grpcTimeout, []string{"99999999M"}, 99999999 * time.Minute, true},
		{grpcTimeout, []string{"100000000n"}, 0, false},
		{grpcTimeout, []string{"7"}, 0, false},
		{grpcTimeout, []string{"n"}, 0, false},
		{grpcTimeout, []string{""}, 0, false},
		{grpcTimeout, []string{"7s"}, 0, false},
		{grpcTimeout, []string{"7h"}, 0, false},
		{grpcTimeout, []string{"7mm"}, 0, false},
		{grpcTimeout, []string{"-7m"}, 0, false},
		{grpcTimeout, []string{"7 m"}, 0, false},
		{grpcTimeout, []string{"7m", "7m"}, 0, false},
		{grpcTimeout, nil, 0, false},
	} {
		got, ok := parseRemaining(c.name, c.values)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %.40q is %v, %t; want %v, %t", c.name, c.values, got, ok, c.want, c.ok)
		}
	}
}

func TestRemainingTimeIsRoundedDownButNotToNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		d    time.Duration
		want string
	}{
		{millisHeader, math.MinInt64, "0"},
		{millisHeader, -1, "0"},
		{millisHeader, 0, "0"},
		{millisHeader, 1, "1"},
		{millisHeader, time.Millisecond - 1, "1"},
		{millisHeader, 2*time.Millisecond - 1, "1"},
		{millisHeader, 1500 * time.Millisecond, "1500"},
		{millisHeader, math.MaxInt64, "9999999999"},

		{grpcTimeout, -time.Hour, "0n"},
		{grpcTimeout, 0, "0n"},
		{grpcTimeout, 1, "1n"},
		{grpcTimeout, 99_999_999, "99999999n"},
		{grpcTimeout, 100_000_000, "100000u"},
		{grpcTimeout, 100_000_999, "100000u"},
		{grpcTimeout, 30 * time.Second, "30000000u"},
		{grpcTimeout, 100 * time.Second, "100000m"},
		{grpcTimeout, 28 * time.Hour, "100800S"},
		{grpcTimeout, 100_000_000 * time.Second, "1666666M"},
		{grpcTimeout, math.MaxInt64, "2562047H"},
	} {
		if got := formatRemaining(c.name, c.d); got != c.want {
			t.Errorf("%s: %v is %q, want %q", c.name, c.d, got, c.want)
		}
	}
}

// checkRoundTrip: what is written can be read, says no more than there is
// except that it does not round to nothing, and loses less than a step.
func checkRoundTrip(t *testing.T, name string, d time.Duration) {
	t.Helper()
	text := formatRemaining(name, d)
	got, ok := parseRemaining(name, []string{text})
	least := time.Nanosecond
	if name != grpcTimeout {
		least = time.Millisecond
	}
	switch {
	case !ok:
		t.Errorf("%s: %v is written as %q, which cannot be read", name, d, text)
	case d <= 0 && got != 0:
		t.Errorf("%s: %v is written as %q", name, d, text)
	case d > 0 && got <= 0:
		t.Errorf("%s: %v is written as %q, which is nothing", name, d, text)
	case d > 0 && got > max(d, least):
		t.Errorf("%s: %v is written as %q, which is more", name, d, text)
	case d > 0 && d <= 9999999999*time.Millisecond && got < d-max(time.Millisecond, d/1e4):
		t.Errorf("%s: %v is written as %q, which loses %v", name, d, text, d-got)
	}
}

// FuzzParseRemaining: whatever comes, the time is one that the header really
// says.
func FuzzParseRemaining(f *testing.F) {
	for _, seed := range []string{"", "0", "1", "9999999999", "10000000000", "-1", "+1", " 1", "1 ", "1.5", "0x1", "٣",
		"0n", "99999999H", "2562047H", "2562048H", "7m", "7M", "7s", "\x00", "1,2", strings.Repeat("9", 1<<12)} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Add("1", true)
	millis, grpc := regexp.MustCompile(`^[0-9]{1,10}$`), regexp.MustCompile(`^([0-9]{1,8})([HMSmun])$`)
	units := map[string]time.Duration{"H": time.Hour, "M": time.Minute, "S": time.Second,
		"m": time.Millisecond, "u": time.Microsecond, "n": time.Nanosecond}
	f.Fuzz(func(t *testing.T, value string, repeated bool) {
		values := []string{value}
		if repeated {
			values = append(values, value)
		}
		var want time.Duration
		wanted := !repeated && millis.MatchString(value)
		if wanted {
			n, _ := strconv.ParseInt(value, 10, 64)
			want = time.Duration(n) * time.Millisecond
		}
		if got, ok := parseRemaining(millisHeader, values); got != want || ok != wanted {
			t.Errorf("%q in ms is %v, %t; want %v, %t", value, got, ok, want, wanted)
		}
		want, wanted = 0, false
		if m := grpc.FindStringSubmatch(value); m != nil && !repeated {
			n, _ := strconv.ParseInt(m[1], 10, 64)
			// As a float, the product is beyond the range long before it wraps.
			if wanted = float64(n)*float64(units[m[2]]) < math.MaxInt64; wanted {
				want = time.Duration(n) * units[m[2]]
			}
		}
		got, ok := parseRemaining(grpcTimeout, values)
		if got != want || ok != wanted {
			t.Errorf("%q in gRPC's format is %v, %t; want %v, %t", value, got, ok, want, wanted)
		}
		checkRoundTrip(t, grpcTimeout, got)
		checkRoundTrip(t, millisHeader, got)
	})
}

func FuzzFormatRemaining(f *testing.F) {
	for _, d := range []int64{math.MinInt64, -1, 0, 1, 999_999, 1_000_000, 99_999_999, 100_000_000, 1 << 40, 1 << 55, math.MaxInt64} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, d int64) {
		checkRoundTrip(t, millisHeader, time.Duration(d))
		checkRoundTrip(t, grpcTimeout, time.Duration(d))
	})
}
