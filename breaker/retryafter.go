package breaker

import (
	"net/http"
	"strconv"
	"time"
)

// parseRetryAfter reads how long a response asks to stay away: whole seconds,
// or a date (RFC 9110, section 10.2.3), which is compared with the response's
// own Date where it has one, so that clocks need not agree. What is absent,
// repeated, malformed or over is 0. The longest one is a day.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	values := h["Retry-After"]
	if len(values) != 1 || len(values[0]) > 64 {
		return 0
	}
	v := values[0]
	if digits(v) {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil || n > uint64(longest/time.Second) {
			return longest // a number beyond 64 bits is one too
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), longest)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
