// Package retryafter reads the Retry-After of a response, for the clients of
// this toolkit that heed it.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Longest is the most that is ever read.
const Longest = 24 * time.Hour

// Parse reads how long one value asks to stay away: whole seconds, or a date
// (RFC 9110, section 10.2.3), which is compared with the Date in header, that of
// the response, where it has one, so that clocks need not agree. What is
// malformed or over is 0; what is absurd is Longest.
func Parse(value string, header http.Header, now time.Time) time.Duration {
	if len(value) > 64 {
		return 0
	}
	if digits(value) {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n > uint64(Longest/time.Second) {
			return Longest // a number beyond 64 bits is one too
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), Longest)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
