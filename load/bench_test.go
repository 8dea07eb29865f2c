package load_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/load"
)

func newSampler(tb testing.TB, opts ...load.Option) *load.Sampler {
	tb.Helper()
	s, err := load.New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func BenchmarkEnterExit(b *testing.B) {
	s := newSampler(b)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		s.Enter(w)
		s.Exit(3*time.Millisecond, load.Success)
	}
}

func BenchmarkEnterExitParallel(b *testing.B) {
	s := newSampler(b)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Enter(w)
			s.Exit(3*time.Millisecond, load.Success)
		}
	})
}

// The clock was read by the caller, as shed does.
func BenchmarkEnterExitAt(b *testing.B) {
	s := newSampler(b)
	w := httptest.NewRecorder()
	now := s.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.Enter(w)
		s.ExitAt(now, 3*time.Millisecond, load.Success)
	}
}

func BenchmarkEnterExitAtParallel(b *testing.B) {
	s := newSampler(b)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := s.Now()
		for pb.Next() {
			s.Enter(w)
			s.ExitAt(now, 3*time.Millisecond, load.Success)
		}
	})
}

// bare is the least a writer can be.
type bare struct{}

func (bare) Header() http.Header         { return nil }
func (bare) WriteHeader(int)             {}
func (bare) Write(p []byte) (int, error) { return len(p), nil }

// With the claim that keeps a request from being counted twice.
func BenchmarkEnterExitClaimed(b *testing.B) {
	s := newSampler(b)
	var w http.ResponseWriter = bare{}
	b.ReportAllocs()
	for b.Loop() {
		rw, rec, _ := httpwrap.Wrap(w)
		s.Enter(rw)
		s.Exit(3*time.Millisecond, load.Success)
		rec.Release()
	}
}

func BenchmarkScheduler(b *testing.B) {
	s := newSampler(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Scheduler()
	}
}

func BenchmarkSchedulerAt(b *testing.B) {
	s := newSampler(b)
	b.ReportAllocs()
	for b.Loop() {
		s.SchedulerAt(s.Now())
	}
}

func BenchmarkSchedulerParallel(b *testing.B) {
	s := newSampler(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Scheduler()
		}
	})
}

func BenchmarkUsage(b *testing.B) {
	s := newSampler(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Usage()
	}
}

func BenchmarkPressure(b *testing.B) {
	s := newSampler(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Pressure()
	}
}
