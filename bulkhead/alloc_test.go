package bulkhead_test

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/race"
)

func TestTheWayInAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	tenant := bulkhead.PerTenant(byTenant, 10)
	for name, opts := range map[string][]bulkhead.Option{
		"one limit":  nil,
		"priorities": {trusting},
		"exempt":     {bulkhead.WithExempt(func(*http.Request) bool { return true })},
		"tenants":    {tenant},
		"operations": {bulkhead.PerOperation(20)},
		"everything": {tenant, bulkhead.PerOperation(20), trusting, bulkhead.WithGuarantees(map[string]int{"acme": 5}),
			bulkhead.WithExempt(func(*http.Request) bool { return false }), bulkhead.OnReject(func(bulkhead.Event) {}), bulkhead.WithName("front")},
	} {
		h, w, r := bulkhead.Middleware(opts...)(noop), &nullWriter{http.Header{}}, request("T", "acme", "P", "high")
		if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func TestARejectionAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	for name, opts := range map[string][]bulkhead.Option{
		"one limit": {bulkhead.Basic(0)},
		"tenants":   {bulkhead.PerTenant(handrail.ByHeader("T"), 0)},
	} {
		h, w, r := bulkhead.Middleware(opts...)(noop), &nullWriter{http.Header{}}, request("T", "acme")
		if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
