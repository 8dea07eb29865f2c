package retry

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, "1": time.Second, "120": 2 * time.Minute, " 5 ": 5 * time.Second, "007": 7 * time.Second,
		"86400": longest, "86401": longest, "999999999": longest, "99999999999999999999999999": longest,
		"-1": 0, "+1": 0, "1.5": 0, "1e3": 0, "0x10": 0, "": 0, "soon": 0, "1, 2": 0, "٣": 0,
		"Sat, 01 Jan 2000 00:00:30 GMT":    30 * time.Second,
		"Saturday, 01-Jan-00 00:00:30 GMT": 30 * time.Second,
		"Sat Jan  1 00:00:30 2000":         30 * time.Second,
		"Fri, 31 Dec 1999 23:59:59 GMT":    0,
		"Fri, 01 Jan 2100 00:00:00 GMT":    longest,
		"Mon, 01 Jan 0001 00:00:00 GMT":    0,
		"Fri, 31 Dec 9999 23:59:59 GMT":    longest,
	} {
		if got := parseRetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	dated := http.Header{"Retry-After": {"Sat, 01 Jan 2000 01:00:30 GMT"}, "Date": {"Sat, 01 Jan 2000 01:00:00 GMT"}}
	if got := parseRetryAfter(dated, now); got != 30*time.Second {
		t.Errorf("by the service's own clock: %v", got)
	}
	if got := parseRetryAfter(http.Header{"Retry-After": {"5", "9", "7", "x"}}, now); got != 9*time.Second {
		t.Errorf("of several: %v", got)
	}
	if got := parseRetryAfter(nil, now); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// FuzzRetryAfter: whatever comes, the pause is none or one up to a day.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"1", "-1", "99999999999999999999", "Fri, 01 Jan 2100 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", " 1", "1s"} {
		f.Add(seed, "Sat, 01 Jan 2000 00:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value, value}, "Date": {date}}
		if d := parseRetryAfter(h, time.Unix(1e9, 0)); d < 0 || d > longest {
			t.Errorf("%q at %q: %v", value, date, d)
		}
	})
}
