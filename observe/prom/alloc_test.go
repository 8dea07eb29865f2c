package prom_test

import (
	"testing"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

func TestCountingARequestAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	for name, opts := range map[string][]prom.Option{
		"nothing":       nil,
		"everything":    {prom.WithSizes(), prom.WithClassicNames()},
		"native only":   {prom.WithBuckets()},
		"no room":       {prom.WithMaxSeries(1)},
		"no room, more": {prom.WithMaxSeries(1), prom.WithSizes(), prom.WithClassicNames()},
	} {
		m := made(t, opts...)
		xs := []*observe.Exchange{
			answered(sampled), // whose buckets have their exemplar after the first time
			answered(func(x *observe.Exchange) { x.Status, x.ErrorType = 500, "500" }),
			answered(func(x *observe.Exchange) { x.Status, x.ErrorType = 0, "panic" }),
			answered(func(x *observe.Exchange) { x.Status, x.ErrorType = 799, "600+" }),
			answered(func(x *observe.Exchange) { x.LongLived = true }),
			answered(func(x *observe.Exchange) { x.Route = "" }),
		}
		if got := testing.AllocsPerRun(200, func() {
			for _, x := range xs {
				pass(m, x)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
