package retry

import (
	"net/http"
	"strings"
	"time"

	"github.com/handrail-go/handrail/internal/retryafter"
)

// parseRetryAfter reads how long a response asks to stay away. Of several
// values the longest counts. What is malformed, negative or over is 0; what is
// absurd is the longest there is, a day.
func parseRetryAfter(h http.Header, now time.Time) (longestAsked time.Duration) {
	for i, v := range h["Retry-After"] {
		if i == 8 {
			break // nobody means that
		}
		longestAsked = max(longestAsked, retryafter.Parse(strings.Trim(v, " \t"), h, now))
	}
	return longestAsked
}
