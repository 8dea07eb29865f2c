package main

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
)

// bulkheadAlone lets twenty requests in at once, and two of each tenant, so
// that nobody takes all there is.
func bulkheadAlone() http.Handler {
	report := respond("a report\n", 500*time.Millisecond)

	protect := bulkhead.Middleware(
		bulkhead.WithLimit(20), // as many as the database has connections
		bulkhead.PerTenant(handrail.ByHeader("X-Tenant"), 2),
		bulkhead.WithMaxWait(100*time.Millisecond),
	)
	return protect(report)
}
