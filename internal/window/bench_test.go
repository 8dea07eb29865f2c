package window

import (
	"testing"
	"time"
)

func BenchmarkHistogramRecord(b *testing.B) {
	h := NewHistogram(30*time.Second, 0)
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		h.Record(now, 3*time.Millisecond)
	}
}

func BenchmarkHistogramRecordParallel(b *testing.B) {
	h := NewHistogram(30*time.Second, 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := time.Duration(0)
		for pb.Next() {
			now += 1000
			h.Record(now, 3*time.Millisecond)
		}
	})
}

func BenchmarkCounterAdd(b *testing.B) {
	c := NewCounter(30*time.Second, 0)
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		c.Add(now, 1)
	}
}

func BenchmarkHistogramRead(b *testing.B) {
	h := NewHistogram(30*time.Second, 0)
	for i := range 300_000 {
		h.Record(time.Duration(i)*100*time.Microsecond, time.Duration(i%4096+1)*7*time.Microsecond)
	}
	var r Reading
	b.ReportAllocs()
	for b.Loop() {
		h.Read(30*time.Second, &r)
		_ = r.Quantile(0.99)
	}
}

func BenchmarkHistogramTotals(b *testing.B) {
	h := NewHistogram(30*time.Second, 0)
	for i := range 300_000 {
		h.Record(time.Duration(i)*100*time.Microsecond, time.Duration(i%4096+1)*7*time.Microsecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.Totals(30 * time.Second)
	}
}
