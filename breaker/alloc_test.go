package breaker_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/race"
)

func TestARequestAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	key := breaker.PerTenant(handrail.ByHeader("X-Tenant"))
	for name, opts := range map[string][]breaker.Option{
		"usual":       nil,
		"keyed":       {key},
		"slow calls":  {breaker.WithSlowCall(time.Hour, .5)},
		"classifier":  {breaker.WithClassifier(func(r breaker.Result) breaker.Verdict { return r.Verdict })},
		"everything":  {key, breaker.WithRamp(time.Second), breaker.WithGrowth(2, time.Hour), breaker.WithExempt(func(*http.Request) bool { return false }), breaker.OnStateChange(func(breaker.Event) {})},
		"shadow":      {key, breaker.WithMode(breaker.Shadow)},
		"forced open": {key, breaker.WithMode(breaker.ForcedOpen)},
		"disabled":    {key, breaker.WithMode(breaker.Disabled)},
	} {
		bubble(t, func(t *testing.T) {
			h := made(t, opts...).Wrap(noop)
			w, r := &nullWriter{http.Header{}}, httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-Tenant", "acme")
			if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got != 0 {
				t.Errorf("%s: %v allocations", name, got)
			}
		})
	}
	bubble(t, func(t *testing.T) {
		b := made(t)
		drive(b).trip(5)
		h := b.Wrap(noop)
		w, r := &nullWriter{http.Header{}}, httptest.NewRequest("GET", "/", nil)
		if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got != 0 {
			t.Errorf("a refusal: %v allocations", got)
		}
	})
}
