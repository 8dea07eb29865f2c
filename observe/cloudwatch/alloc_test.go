package cloudwatch_test

import (
	"io"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/observe/cloudwatch"
)

func TestARequestAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	for _, mode := range []cloudwatch.Mode{cloudwatch.Aggregated, cloudwatch.PerRequest} {
		m, err := cloudwatch.NewMetrics(io.Discard, cloudwatch.WithMode(mode), cloudwatch.WithService("shop"))
		must(t, err)
		x := exchange("/orders/{id}", 200, 1234*time.Microsecond)
		if got := testing.AllocsPerRun(2000, func() { m.Observe(x) }); got != 0 {
			t.Errorf("%v: %v allocations", mode, got)
		}
		m.Close(background)
	}
}
