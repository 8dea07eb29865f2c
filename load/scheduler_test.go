package load

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedulerIsReadAtMostOnceAMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		s := mustNew(t, WithScheduler(func() Scheduler {
			reads++
			return Scheduler{Runnable: float64(reads), Latency: time.Duration(reads), Known: true}
		}))
		for tick := range 100 {
			for range 50 {
				if got, want := s.Scheduler(), (Scheduler{float64(tick + 1), time.Duration(tick + 1), true}); got != want {
					t.Fatalf("at %v: %+v, want %+v", s.Now(), got, want)
				}
				time.Sleep(20 * time.Microsecond)
			}
		}
		if reads != 100 {
			t.Errorf("%d readings in 100 ms", reads)
		}
	})
}

func TestOneCallerReadsTheSchedulerAndTheOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads, finished, unknown atomic.Int64
		var release chan struct{}
		s := mustNew(t, WithScheduler(func() Scheduler {
			if reads.Add(1) > 1 {
				<-release
			}
			return Scheduler{Runnable: 3, Known: true}
		}))
		s.Scheduler()
		for _, c := range []struct {
			pause time.Duration
			known bool
		}{{500 * time.Millisecond, true}, {time.Minute, false}} {
			time.Sleep(c.pause)
			release = make(chan struct{})
			before := reads.Load()
			finished.Store(0)
			unknown.Store(0)
			for range 64 {
				go func() {
					if !s.Scheduler().Known {
						unknown.Add(1)
					}
					finished.Add(1)
				}()
			}
			synctest.Wait()
			if finished.Load() != 63 || reads.Load()-before != 1 {
				t.Errorf("%v later: %d callers did not wait, %d read", c.pause, finished.Load(), reads.Load()-before)
			}
			if known := unknown.Load() == 0; known != c.known {
				t.Errorf("%v later: %d of 63 got an unknown state", c.pause, unknown.Load())
			}
			close(release)
			synctest.Wait()
		}
	})
}

func TestSchedulerThatFailsIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var next Scheduler
		var boom bool
		var reports []error
		s := mustNew(t, WithScheduler(func() Scheduler {
			if boom {
				panic("oh")
			}
			return next
		}), OnError(func(err error) { reports = append(reports, err) }))
		for i, bad := range []Scheduler{
			{Runnable: math.NaN(), Known: true}, {Runnable: math.Inf(1), Known: true},
			{Runnable: -1, Known: true}, {Runnable: 1, Latency: -1, Known: true},
		} {
			next = Scheduler{Runnable: 2, Latency: time.Second, Known: true}
			time.Sleep(time.Millisecond)
			if got := s.Scheduler(); got != next {
				t.Fatalf("%+v, want %+v", got, next)
			}
			next = bad
			for range 10 {
				time.Sleep(time.Millisecond)
				if got := s.Scheduler(); got != (Scheduler{}) {
					t.Errorf("%+v reads as %+v, want unknown", bad, got)
				}
			}
			synctest.Wait()
			if len(reports) != i+1 {
				t.Errorf("%+v: %d reports in all, want %d", bad, len(reports), i+1)
			}
		}
		next = Scheduler{}
		time.Sleep(time.Millisecond)
		s.Scheduler()
		boom = true
		time.Sleep(time.Millisecond)
		if got := s.Scheduler(); got.Known {
			t.Errorf("%+v after a panic", got)
		}
		synctest.Wait()
		if len(reports) != 5 || reports[4].Error() != "load: scheduler: panic: oh" {
			t.Errorf("reported %v", reports)
		}
		s.Close()
		if n := s.Snapshot().SourceFailures; n != 41 {
			t.Errorf("%d failures, want 41", n)
		}
	})
}

func TestRealSchedulerFallsBehindUnderBusyGoroutines(t *testing.T) {
	s := mustNew(t)
	procs := runtime.GOMAXPROCS(0)
	busy := 40 * procs
	var stop atomic.Bool
	var worst Scheduler
	var wg sync.WaitGroup
	for range busy {
		wg.Go(func() {
			for !stop.Load() {
			}
		})
	}
	// Whoever reads runs, so this sees the others waiting. It ends as soon as
	// it has seen what it is after.
	for start := time.Now(); time.Since(start) < 20*time.Second; runtime.Gosched() {
		got := s.Scheduler()
		worst.Runnable = max(worst.Runnable, got.Runnable)
		worst.Latency = max(worst.Latency, got.Latency)
		if worst.Runnable > 32 && worst.Latency > 0 {
			break
		}
	}
	stop.Store(true)
	wg.Wait()
	if worst.Runnable <= 32 || worst.Runnable > float64(busy+1000)/float64(procs) {
		t.Errorf("%v runnable per P with %d busy goroutines on %d", worst.Runnable, busy, procs)
	}
	if worst.Latency <= 0 || worst.Latency > time.Minute {
		t.Errorf("latency %v", worst.Latency)
	}
}

func TestSchedulerAllocatesNothing(t *testing.T) {
	s := mustNew(t)
	s.Scheduler()
	if n := testing.AllocsPerRun(1000, func() { s.Scheduler() }); n != 0 {
		t.Errorf("%v allocations from the cache", n)
	}
	own := newRuntimeScheduler()
	own.read()
	if n := testing.AllocsPerRun(100, func() {
		own.due = time.Time{}
		own.read()
	}); n != 0 {
		t.Errorf("%v allocations for a reading with the latency", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		s.scheduler.due.Store(0)
		s.Scheduler()
	}); n != 0 {
		t.Errorf("%v allocations for a reading", n)
	}
}

func TestQuantileOfWhatWasAdded(t *testing.T) {
	h := &metrics.Float64Histogram{
		Buckets: []float64{math.Inf(-1), 0, 0.1, 0.2, 0.4, math.Inf(1)},
		Counts:  []uint64{0, 1000, 0, 0, 0},
	}
	for _, c := range []struct {
		name  string
		added []uint64
		want  float64
	}{
		{"nothing", []uint64{0, 0, 0, 0, 0}, 0},
		{"one", []uint64{0, 0, 1, 0, 0}, 0.2},
		{"1 of 100 is slow", []uint64{0, 99, 0, 1, 0}, 0.1},
		{"2 of 100 are slow", []uint64{0, 98, 0, 2, 0}, 0.4},
		{"beyond the last bound", []uint64{0, 0, 0, 0, 5}, 0.4},
		{"below the first bound", []uint64{5, 0, 0, 0, 0}, 0},
	} {
		before := append([]uint64(nil), h.Counts...)
		now := &metrics.Float64Histogram{Buckets: h.Buckets}
		for i := range before {
			now.Counts = append(now.Counts, before[i]+c.added[i])
		}
		if got := quantileSince(now, before, 0.99); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
