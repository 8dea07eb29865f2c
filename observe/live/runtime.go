package live

import (
	"math"
	"runtime/metrics"

	"github.com/handrail-go/handrail"
)

// goRuntime is the Go runtime as a source.
type goRuntime struct{}

const (
	goGoroutines = "go_goroutines"
	goHeap       = "go_heap_bytes"
	goPauses     = "go_pause_seconds"
)

// Collect implements [handrail.Source].
func (goRuntime) Collect(emit func(handrail.Metric)) {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/goal:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/sched/pauses/total/gc:seconds"},
	}
	metrics.Read(samples)
	gauge := func(s metrics.Sample, name string, labels ...handrail.Label) {
		if s.Value.Kind() == metrics.KindUint64 {
			emit(handrail.Metric{Name: name, Value: float64(s.Value.Uint64()), Labels: labels})
		}
	}
	gauge(samples[0], goGoroutines)
	gauge(samples[1], goHeap, handrail.Label{Name: "what", Value: "objects"})
	gauge(samples[2], goHeap, handrail.Label{Name: "what", Value: "next GC"})
	gauge(samples[3], goHeap, handrail.Label{Name: "what", Value: "all memory"})
	if s := samples[4]; s.Value.Kind() == metrics.KindFloat64Histogram {
		emit(pauses(s.Value.Float64Histogram()))
	}
}

// pauses turns counts between bounds into counts up to bounds.
func pauses(h *metrics.Float64Histogram) handrail.Metric {
	m := handrail.Metric{Name: goPauses, Kind: handrail.Histogram}
	for i, n := range h.Counts {
		m.Count += n
		if bound := h.Buckets[i+1]; !math.IsInf(bound, 1) {
			m.Buckets = append(m.Buckets, handrail.Bucket{UpperBound: bound, Cumulative: m.Count})
		}
	}
	return m
}
