package breaker

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/retryafter"
)

// parseRetryAfter reads how long a response asks to stay away. What is absent,
// repeated, malformed or over is 0. The longest one is a day.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	values := h["Retry-After"]
	if len(values) != 1 {
		return 0
	}
	return retryafter.Parse(values[0], h, now)
}
