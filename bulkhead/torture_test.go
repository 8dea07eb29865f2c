package bulkhead_test

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/internal/race"
)

// The limits are such that a lost slot shows.

func TestWhatIsLetInBehavesAsWithoutTheBulkhead(t *testing.T) {
	if race.Enabled {
		t.Skip("the other one is enough to find races, and takes long enough")
	}
	httptorture.Run(t, bulkhead.Middleware(bulkhead.Basic(100), bulkhead.WithMaxWait(0)))
}

func TestWhatIsLetInBehavesAsWithoutTheBulkheadWhateverItsOptions(t *testing.T) {
	httptorture.Run(t, bulkhead.Middleware(
		bulkhead.WithLimit(100), bulkhead.WithMaxWait(0),
		bulkhead.PerTenant(handrail.ByHost, 100), bulkhead.PerOperation(100),
		bulkhead.WithGuarantees(nil), bulkhead.WithPriorityHeader("X-Priority"),
		bulkhead.WithExempt(func(*http.Request) bool { return false }), bulkhead.OnReject(func(bulkhead.Event) {}),
	))
}
