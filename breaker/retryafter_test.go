package breaker

import (
	"net/http"
	"regexp"
	"testing"
	"time"
)

var number = regexp.MustCompile(`^[0-9]+$`)

func FuzzParseRetryAfter(f *testing.F) {
	for _, v := range []string{"", "0", "5", "-1", "1e9", "999999999", "9999999999", "0000000000000005", "99999999999999999999", "Sat, 01 Jan 2000 00:00:30 GMT", "Saturday, 01-Jan-00 00:00:30 GMT", "٣"} {
		f.Add(v, "")
		f.Add(v, "Sat, 01 Jan 2000 00:00:00 GMT")
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		got := parseRetryAfter(h, now)
		if got < 0 || got > longest || got%time.Second != 0 {
			t.Errorf("%q: %v", value, got)
		}
		if number.MatchString(value) && len(value) <= 64 {
			want := 0
			for _, c := range value {
				want = min(want*10+int(c-'0'), 86400)
			}
			if got != time.Duration(want)*time.Second {
				t.Errorf("%q: %v, want %ds", value, got, want)
			}
		}
		h["Retry-After"] = append(h["Retry-After"], value)
		if got := parseRetryAfter(h, now); got != 0 {
			t.Errorf("repeated: %v", got)
		}
	})
}

func TestADateIsComparedWithTheDateOfTheResponse(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		date, after string
		want        time.Duration
	}{
		{"", at(30 * time.Second), 30 * time.Second},
		{at(-time.Hour), at(-time.Hour + 10*time.Second), 10 * time.Second}, // the upstream's clock is behind
		{at(time.Hour), at(30 * time.Second), 0},
		{"never", at(30 * time.Second), 30 * time.Second},
		{"", at(48 * time.Hour), 24 * time.Hour},
	} {
		if got := parseRetryAfter(http.Header{"Retry-After": {tc.after}, "Date": {tc.date}}, now); got != tc.want {
			t.Errorf("date %q, after %q: %v, want %v", tc.date, tc.after, got, tc.want)
		}
	}
}
