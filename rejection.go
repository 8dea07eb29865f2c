package handrail

import (
	"net/http"
	"time"
)

// Rejection is what a refused request is told. By default it is written as
// application/problem+json (RFC 9457) with these members and a Retry-After
// header (RFC 9110, section 10.2.3).
type Rejection struct {
	// Status is the HTTP status, 503 or 429 unless an option says otherwise.
	Status int
	// Code names the policy that refused, in capitals: "LOAD_SHED",
	// "TIMEOUT", "CIRCUIT_BREAKER_OPEN", "BULKHEAD_LIMIT_EXCEEDED".
	Code string
	// Reason says in one word why, as the policy's statistics count it.
	Reason string
	// Message is a sentence for a person. It holds nothing of the request
	// and nothing of the inside of the service.
	Message string
	// Name is the instance that refused (WithName), empty where it has none.
	Name string
	// RetryAfter is when trying again may help; 0 sends no such header.
	RetryAfter time.Duration
}

// RejectionHandler answers a refused request in a service's own way. It runs
// on the serving goroutine, has to be cheap, and must not read the body.
type RejectionHandler func(w http.ResponseWriter, r *http.Request, rejection Rejection)
