package load

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// mustNew returns a sampler of which a test knows when it ends.
func mustNew(t testing.TB, opts ...Option) *Sampler {
	t.Helper()
	s, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fake is a source that a test sets.
type fake struct {
	mu    sync.Mutex
	usage Usage
	err   error
	hook  func()
	calls int
}

func (f *fake) set(usage Usage, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.usage, f.err = usage, err
}

func (f *fake) do(hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

func (f *fake) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *fake) read() (Usage, error) {
	f.mu.Lock()
	f.calls++
	usage, err, hook := f.usage, f.err, f.hook
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	return usage, err
}

func known(v float64) Value { return Value{v, true} }

func quiet() Scheduler { return Scheduler{Known: true} }

func TestReadingsFollowTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.25), Memory: known(0.5)}}
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet))
		defer s.Close()
		began := time.Now()
		snap := s.Snapshot()
		if snap.CPU != known(0.25) || snap.Memory != known(0.5) || snap.HostCPU != (Value{}) || snap.Stale || !snap.At.Equal(began) {
			t.Errorf("the first snapshot is %+v", snap)
		}
		src.set(Usage{CPU: known(0.75), HostCPU: known(0.1)}, nil)
		if got := s.Usage().CPU; got != known(0.25) {
			t.Errorf("CPU is %+v within the interval, want the reading before", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.Usage(); got != (Usage{CPU: known(0.75), HostCPU: known(0.1)}) {
			t.Errorf("after an interval %+v", got)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if n := src.called(); n != 11 {
			t.Errorf("read %d times in ten seconds, want 11", n)
		}
	})
}

func TestNothingIsStartedThatIsNotNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{}
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet))
		s.Enter(nil)
		s.Exit(time.Millisecond, Success)
		s.Enter(nil)
		s.Detach()
		s.Ended()
		s.Scheduler()
		s.InFlight()
		time.Sleep(time.Minute)
		if n := src.called(); n != 0 {
			t.Errorf("the source was read %d times", n)
		}
		// A goroutine would make the end of the bubble fail: nobody closes s.
	})
}

func TestCloseEndsTheGoroutineAndKeepsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5), Memory: known(0.5)}}
		s := mustNew(t, WithSource(src.read), WithScheduler(func() Scheduler { return Scheduler{Runnable: 4, Known: true} }))
		at := s.Snapshot().At
		for range 3 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		calls := src.called()
		time.Sleep(time.Hour)
		s.Enter(nil)
		s.Enter(nil)
		s.Exit(time.Second, Failure)
		snap := s.Snapshot()
		if !snap.Stale || snap.CPU.Known || snap.Memory.Known || !snap.At.Equal(at) {
			t.Errorf("after Close: %+v; want stale, and the time of the last reading", snap)
		}
		if snap.InFlight != 1 || snap.Samples != 1 || snap.Scheduler.Runnable != 4 || snap.Pressure != 0.5 {
			t.Errorf("after Close: %+v; want requests and scheduler as before", snap)
		}
		if p := s.Pressure(); p != 0.5 {
			t.Errorf("pressure %v after Close, want 0.5", p)
		}
		if n := src.called(); n != calls {
			t.Errorf("the source was read %d times after Close", n-calls)
		}
	})
}

func TestCloseOfASamplerThatWasNeverRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}}
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet))
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if snap := s.Snapshot(); !snap.Stale || !snap.At.IsZero() || snap.CPU.Known || src.called() != 0 {
			t.Errorf("%+v after %d readings", snap, src.called())
		}
	})
}

func TestCloseDoesNotWaitForEverForASourceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}}
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet))
		s.Usage()
		release := make(chan struct{})
		src.do(func() { <-release })
		time.Sleep(1500 * time.Millisecond) // the goroutine hangs in the source
		began := time.Now()
		s.Close()
		if took := time.Since(began); took != time.Second {
			t.Errorf("Close took %v, want a second", took)
		}
		close(release) // and the goroutine ends, or the bubble would not
	})
}

func TestRealGoroutineIsGoneAfterClose(t *testing.T) {
	s := mustNew(t)
	before := samplers()
	s.Snapshot()
	if n := samplers(); n != before+1 {
		t.Fatalf("%d goroutines after a snapshot, %d before", n, before)
	}
	s.Close()
	for samplers() != before { // it may be on its very last step
		runtime.Gosched()
	}
}

// samplers counts the goroutines of samplers.
func samplers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "created by github.com/handrail-go/handrail/load.(*Sampler).start")
}

func TestValuesThatAreNoShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{}
		var errs []error
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet), OnError(func(err error) { errs = append(errs, err) }))
		defer s.Close()
		s.Usage()
		time.Sleep(time.Second / 2) // between two readings from here on
		for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1} {
			src.set(Usage{CPU: known(v), HostCPU: known(0.5), Memory: known(v)}, nil)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got := s.Usage(); got != (Usage{HostCPU: known(0.5)}) {
				t.Errorf("%v: %+v, want CPU and memory unknown", v, got)
			}
			if p := s.Pressure(); p != 0 {
				t.Errorf("%v: pressure %v", v, p)
			}
			if len(errs) != 1 {
				t.Fatalf("%v: reported %d times, want once for all of case %d", v, len(errs), i)
			}
		}
		if msg := errs[0].Error(); !strings.Contains(msg, "load: cpu: NaN") || !strings.Contains(msg, "load: memory: NaN") {
			t.Errorf("reported %q", msg)
		}
		src.set(Usage{CPU: known(1.7), HostCPU: known(0), Memory: known(math.Copysign(0, -1))}, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.Usage(); got != (Usage{CPU: known(1), HostCPU: known(0), Memory: known(0)}) {
			t.Errorf("%+v, want CPU 1 and the others 0", got)
		}
	})
}

func TestLastGoodValueExpires(t *testing.T) {
	broken := errors.New("broken")
	for name, fail := range map[string]func(*fake){
		"error":   func(f *fake) { f.set(Usage{}, broken) },
		"panic":   func(f *fake) { f.do(func() { panic("broken") }) },
		"garbage": func(f *fake) { f.set(Usage{CPU: known(-1), HostCPU: known(-1), Memory: known(-1)}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &fake{usage: Usage{CPU: known(0.5), HostCPU: known(0.5), Memory: known(0.5)}}
				s := mustNew(t, WithSource(src.read), WithScheduler(quiet))
				defer s.Close()
				good := s.Snapshot()
				fail(src)
				time.Sleep(3 * time.Second)
				synctest.Wait()
				snap := s.Snapshot()
				if snap.CPU != known(0.5) || snap.Stale || snap.SourceFailures != 3 {
					t.Errorf("three intervals later: %+v; want the last good value and 3 failures", snap)
				}
				time.Sleep(time.Nanosecond)
				snap = s.Snapshot()
				if snap.CPU.Known || snap.HostCPU.Known || snap.Memory.Known || !snap.Stale || !snap.At.Equal(good.At) {
					t.Errorf("beyond three intervals: %+v; want stale and unknown", snap)
				}
				src.do(nil)
				src.set(Usage{CPU: known(0.25)}, nil)
				time.Sleep(time.Second)
				synctest.Wait()
				if snap = s.Snapshot(); snap.CPU != known(0.25) || snap.Stale {
					t.Errorf("after it got well: %+v", snap)
				}
			})
		})
	}
}

func TestUnavailableIsUnknownAtOnceAndNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5), Memory: known(0.5)}}
		reports := 0
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet), OnError(func(error) { reports++ }))
		defer s.Close()
		s.Usage()
		src.set(Usage{Memory: known(0.5)}, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		snap := s.Snapshot()
		if snap.CPU.Known || snap.Memory != known(0.5) || snap.SourceFailures != 0 || snap.Stale || reports != 0 {
			t.Errorf("%+v after %d reports", snap, reports)
		}
	})
}

func TestErrorLeavesTheSignalsThatAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}, err: &SignalError{"memory", errors.New("broken")}}
		var errs []error
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet), OnError(func(err error) { errs = append(errs, err) }))
		defer s.Close()
		snap := s.Snapshot()
		synctest.Wait()
		if snap.CPU != known(0.5) || snap.Memory.Known || snap.Stale || snap.SourceFailures != 1 {
			t.Errorf("%+v", snap)
		}
		var signal *SignalError
		if len(errs) != 1 || !errors.As(errs[0], &signal) || signal.Signal != "memory" {
			t.Errorf("reported %v", errs)
		}
	})
}

func TestFailureIsReportedOnceUntilItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := Usage{CPU: known(0.5), HostCPU: known(0.5), Memory: known(0.5)}
		src := &fake{usage: all}
		var mu sync.Mutex
		var errs []string
		s := mustNew(t, WithSource(src.read), WithScheduler(quiet), OnError(func(err error) {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err.Error())
		}))
		defer s.Close()
		s.Usage()
		step := func(usage Usage, err error, d time.Duration, want ...string) {
			t.Helper()
			src.set(usage, err)
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if strings.Join(errs, "|") != strings.Join(want, "|") {
				t.Errorf("reported %q, want %q", errs, want)
			}
			errs = nil
		}
		a, b := errors.New("a"), errors.New("b")
		step(Usage{HostCPU: known(0), Memory: known(0)}, a, time.Minute, "a")
		step(Usage{Memory: known(0)}, b, time.Minute, "b") // the host's CPU too
		step(Usage{HostCPU: known(0), Memory: known(0)}, a, time.Minute)
		step(all, nil, time.Minute)
		step(Usage{}, a, time.Minute, "a")
		src.do(func() { panic("oh") })
		step(Usage{}, nil, time.Minute)
		src.do(nil)
		step(all, nil, time.Second)
		src.do(func() { panic("oh") })
		step(Usage{}, nil, time.Minute, "load: source: panic: oh")
	})
}

func TestCallbackMayPanicBlockAndCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{err: errors.New("broken")}
		var s *Sampler
		calls := 0
		block := make(chan struct{})
		s = mustNew(t, WithSource(src.read), WithScheduler(quiet), OnError(func(error) {
			switch calls++; calls {
			case 1:
				s.Snapshot()
				panic("in the callback")
			case 2:
				<-block
			default:
				s.Close()
			}
		}))
		for range 3 {
			src.set(Usage{}, errors.New("broken"))
			s.Usage()
			time.Sleep(1500 * time.Millisecond)
			src.set(Usage{CPU: known(0), HostCPU: known(0), Memory: known(0)}, nil)
			time.Sleep(1500 * time.Millisecond)
		}
		synctest.Wait()
		if got := s.Usage().CPU; got != known(0) {
			t.Errorf("CPU is %+v while the callback blocks", got)
		}
		close(block)
		synctest.Wait()
		if calls != 3 || !s.Snapshot().Stale {
			t.Errorf("called %d times, the last of which closes the sampler", calls)
		}
	})
}

// starved returns a sampler whose goroutine never gets to run.
func starved(t *testing.T, opts ...Option) *Sampler {
	s := mustNew(t, opts...)
	s.state.Store(running)
	return s
}

func TestReaderMakesUpForAStarvedGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}}
		s := starved(t, WithSource(src.read), WithScheduler(quiet))
		s.Usage()
		time.Sleep(2 * time.Second)
		if s.Usage(); src.called() != 1 {
			t.Errorf("read %d times within two intervals, want once", src.called())
		}
		time.Sleep(time.Nanosecond)
		src.set(Usage{CPU: known(1)}, nil)
		if got := s.Usage().CPU; got != known(1) || src.called() != 2 {
			t.Errorf("%+v after %d readings, want a fresh one", got, src.called())
		}
		// Frozen for minutes, as an AWS Lambda instance is between requests.
		time.Sleep(5 * time.Minute)
		src.set(Usage{CPU: known(0.25)}, nil)
		if snap := s.Snapshot(); snap.CPU != known(0.25) || snap.Stale || snap.At.Before(time.Now()) {
			t.Errorf("after five minutes: %+v, want a fresh reading", snap)
		}
	})
}

func TestOneReaderRefreshesAndTheOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}}
		s := starved(t, WithSource(src.read), WithScheduler(quiet))
		s.Usage()
		for _, c := range []struct {
			pause time.Duration
			stale bool
		}{{2500 * time.Millisecond, false}, {5 * time.Minute, true}} {
			calls := src.called()
			time.Sleep(c.pause)
			release := make(chan struct{})
			src.do(func() { <-release })
			var finished atomic.Int64
			for range 64 {
				go func() {
					s.Usage()
					finished.Add(1)
				}()
			}
			synctest.Wait()
			if n := src.called() - calls; n != 1 || finished.Load() != 63 {
				t.Errorf("%v later: %d readings, %d readers that did not wait; want 1 and 63", c.pause, n, finished.Load())
			}
			snap := s.Snapshot()
			if snap.Stale != c.stale || snap.CPU.Known == c.stale {
				t.Errorf("%v later, while another reads: %+v", c.pause, snap)
			}
			src.do(nil)
			close(release)
			synctest.Wait()
			if snap := s.Snapshot(); snap.Stale || !snap.CPU.Known {
				t.Errorf("%v later, after another has read: %+v", c.pause, snap)
			}
		}
	})
}

func TestFailingSourceIsNotAskedByEveryReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{err: errors.New("broken")}
		s := starved(t, WithSource(src.read), WithScheduler(quiet))
		for range 100 {
			s.Usage()
			time.Sleep(100 * time.Millisecond)
		}
		if n := src.called(); n != 5 {
			t.Errorf("asked %d times in ten seconds, want every two intervals", n)
		}
	})
}

func TestReadingsThatTakeLongDoNotFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{usage: Usage{CPU: known(0.5)}}
		src.do(func() { time.Sleep(5 * time.Second) })
		s := starved(t, WithSource(src.read), WithScheduler(quiet))
		s.Usage()
		began := time.Now()
		for range 10 {
			s.Usage()
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("readers waited %v right after a reading", took-time.Second)
		}
	})
}

func TestAgeGoesByTheClockThatDidNotStandStill(t *testing.T) {
	then := time.Now()
	// later is then after each of its clocks went on by so much.
	later := func(monotonic, wall time.Duration) time.Time {
		now := then.Add(wall) // which moves both
		(*struct {
			_   uint64
			ext int64 // the monotonic reading
			_   *time.Location
		})(unsafe.Pointer(&now)).ext += int64(monotonic - wall)
		if now.Sub(then) != monotonic || now.Round(0).Sub(then.Round(0)) != wall {
			t.Fatalf("no such time: %v and %v instead of %v and %v", now.Sub(then), now.Round(0).Sub(then.Round(0)), monotonic, wall)
		}
		return now
	}
	for _, c := range []struct{ monotonic, wall, want time.Duration }{
		{time.Second, time.Second, time.Second},
		{time.Millisecond, 5 * time.Minute, 5 * time.Minute}, // frozen
		{time.Minute, -time.Hour, time.Minute},               // set back
	} {
		if got := age(then, later(c.monotonic, c.wall)); got != c.want {
			t.Errorf("%v by the monotonic clock and %v by the wall clock is %v ago, want %v", c.monotonic, c.wall, got, c.want)
		}
	}
}

func TestDefaultIsSharedAndNotClosed(t *testing.T) {
	if once, again := Default(), Default(); once != again {
		t.Fatal("two samplers")
	}
	if err := Default().Close(); err != nil {
		t.Error(err)
	}
	if Default().state.Load() == stopped {
		t.Error("closed")
	}
}

func TestEverythingAtOnce(t *testing.T) {
	s := mustNew(t, WithInterval(time.Millisecond), WithWindow(10*time.Millisecond), OnError(func(error) {}))
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 20 {
				s.Enter(nil)
				switch i % 6 {
				case 0:
					s.Snapshot()
				case 1:
					s.Scheduler()
				case 2:
					if p := s.Pressure(); !(p >= 0) || math.IsInf(p, 0) {
						t.Errorf("pressure %v", p)
					}
				case 3:
					s.Usage()
				case 4:
					s.Detach()
					s.Ended()
					continue
				}
				s.Exit(time.Duration(i)*time.Millisecond, Outcome(i%4))
			}
			if i == 63 {
				s.Close()
			}
		})
	}
	wg.Wait()
	if snap := s.Snapshot(); snap.InFlight != 0 || snap.LongLived != 0 || !snap.Stale {
		t.Errorf("at the end %+v", snap)
	}
}
