package live

import (
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What one interval costs while somebody looks.
func BenchmarkPoint(b *testing.B) {
	sources := []handrail.Source{
		must(observe.New()), must(shed.New()), must(timeout.New()), must(retry.New()), must(breaker.New()), must(bulkhead.New()),
		load.Default(), goRuntime{},
	}
	drawn := newBoard()
	at := begin
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		readings, _ := collect(sources)
		at = at.Add(time.Second)
		drawn.update(at, readings)
		size = len(drawn.points(at, drawn.shape))
	}
	b.ReportMetric(float64(size), "bytes/message")
}
