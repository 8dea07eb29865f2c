package retry

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// parseRetryAfter reads how long a response asks to stay away: whole seconds,
// or a date (RFC 9110, section 10.2.3), which is compared with the response's
// own Date where it has one, so that clocks need not agree. Of several the
// longest counts. What is malformed, negative or over is 0; what is absurd is
// the longest there is, a day.
func parseRetryAfter(h http.Header, now time.Time) (longestAsked time.Duration) {
	for i, v := range h["Retry-After"] {
		if i == 8 {
			break // nobody means that
		}
		longestAsked = max(longestAsked, parsePause(v, h, now))
	}
	return longestAsked
}

func parsePause(v string, h http.Header, now time.Time) time.Duration {
	v = strings.Trim(v, " \t")
	if v == "" || len(v) > 64 {
		return 0
	}
	if digits(v) {
		v = strings.TrimLeft(v, "0")
		if len(v) > 9 {
			return longest // more than thirty years
		}
		n, _ := strconv.Atoi(v) // no digit is left of 0
		return min(time.Duration(n)*time.Second, longest)
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
	return true
}
