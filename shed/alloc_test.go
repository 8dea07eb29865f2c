package shed_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

func TestTheWayInAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	r := request(classHeader, "high", tenantHeader, "acme", attemptHeader, "1")
	for name, opts := range map[string][]shed.Option{
		"adaptive":   nil,
		"everything": trusting(shed.WithExempt(func(*http.Request) bool { return false }), shed.WithLongLived(func(*http.Request) bool { return false }), shed.OnShed(func(shed.Event) {}), shed.WithName("front")),
		"target":     {shed.ForTarget(time.Second)},
		"random":     {shed.WithStrategy(shed.Random)},
		"priority":   {shed.ByPriority(nil), shed.WithPriorityHeader(classHeader)},
		"circuit":    {shed.WithCircuit(shed.CircuitSettings{})},
		"custom":     {shed.Using(func(shed.Snapshot, *http.Request) bool { return false })},
		"dry run":    {shed.WithDryRun(true)},
		"exempt":     {shed.WithExempt(func(*http.Request) bool { return true })},
		"long-lived": {shed.WithLongLived(func(*http.Request) bool { return true })},
	} {
		// In virtual time no figure becomes old while the requests are counted.
		bubble(t, func(t *testing.T) {
			h := shedder(t, opts...).Wrap(noop)
			w := &nullWriter{http.Header{}}
			if got := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); got != 0 {
				t.Errorf("%s: %v allocations", name, got)
			}
		})
	}
}

// The cost of a request must not depend on how long the window of the load is
// or how much is in it.
func TestTheWayInDoesNotGrowWithTheWindow(t *testing.T) {
	cost := func(window time.Duration, filled int) float64 {
		sampler, err := load.New(load.WithWindow(window), load.WithInterval(time.Minute),
			load.WithSource(func() (load.Usage, error) { return load.Usage{}, nil }))
		must(t, err)
		defer sampler.Close()
		h := shedder(t, shed.WithSampler(sampler)).Wrap(noop)
		w, r := &nullWriter{http.Header{}}, request()
		for range filled {
			h.ServeHTTP(w, r)
		}
		best := time.Hour
		for range 20 { // the quickest of many is what a busy machine leaves alone
			began := time.Now()
			for range 200 {
				h.ServeHTTP(w, r)
			}
			best = min(best, time.Since(began))
		}
		return float64(best)
	}
	short, long := cost(100*time.Millisecond, 100), cost(time.Hour, race.Either(50_000, 5000))
	if long > 5*short {
		t.Errorf("a request costs %.1f times as much with a full window of an hour", long/short)
	}
}
