package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
)

func TestACheckThatHangsFailsAndIsNotStartedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, hang := 0, make(chan struct{})
		h := made(t, steady, everybody, WithCheck("db", func(context.Context) error {
			if runs++; runs > 1 {
				<-hang // whatever its context says
			}
			return nil
		}), WithCheck("other", passing))
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		time.Sleep(12 * time.Second) // the second run began at 10 s and ran out of time
		says(t, h, "/readyz", 200, "ok")
		time.Sleep(18*time.Second + time.Millisecond)
		has(t, h, "/readyz", 503, "[-]db failed: stuck: running for 20s")
		has(t, h, "/readyz", 503, "[+]other ok")
		time.Sleep(time.Hour)
		synctest.Wait()
		s := h.Stats().Checks[0]
		if runs != 2 || !s.Stuck || s.Runs != 2 {
			t.Errorf("ran %d times: %+v", runs, s)
		}
		// It is alone: nothing was begun beside it.
		if n := goroutines("health.(*Health).launch"); n != 1 {
			t.Errorf("%d runs are under way", n)
		}
		close(hang)
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		if s := h.Stats().Checks[0]; s.Stuck || s.Status != Pass {
			t.Errorf("%+v", s)
		}
	})
}

func goroutines(frame string) int {
	buf := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, frame) && !strings.Contains(g, "goroutines(") {
			n++
		}
	}
	return n
}

func TestWhatHangsIsAllThatIsLeftAfterClose(t *testing.T) {
	hang := make(chan struct{})
	before := leaktest.Snapshot()
	h := made(t, WithCheck("stuck", func(context.Context) error { <-hang; return nil }),
		WithCheck("fine", passing), WithCheck("polite", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
	for h.Stats().Checks[0].Runs == 0 || h.Stats().Checks[2].Runs == 0 {
		time.Sleep(time.Millisecond)
	}
	h.Close()
	if left := before.Wait(leaktest.Patience, "TestWhatHangsIsAllThatIsLeftAfterClose.func1"); len(left) != 0 {
		t.Errorf("left: %s", left)
	}
	close(hang)
	if left := before.Wait(leaktest.Patience); len(left) != 0 {
		t.Errorf("left: %s", left)
	}
}

func TestHowACheckEndsHurtsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context) error
		text string
		is   func(error) bool
	}{
		"panic":    {func(context.Context) error { panic("on purpose") }, "panic: on purpose", func(err error) bool { var p *PanicError; return errors.As(err, &p) && len(p.Stack) > 0 }},
		"goexit":   {func(context.Context) error { runtime.Goexit(); return nil }, "the check called runtime.Goexit", func(err error) bool { return err == ErrGoexit }},
		"its text": {func(context.Context) error { return fickle{} }, "panic: no text", func(err error) bool { var p *PanicError; return errors.As(err, &p) }},
		"obeys":    {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "timed out after 2s", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"lines":    {func(context.Context) error { return errors.New("one\n[+]db ok\x00") }, "one [+]db ok ", func(err error) bool { return true }},
		"too much": {func(context.Context) error { return errors.New(strings.Repeat("é", 600)) }, strings.Repeat("é", 512) + "...", func(err error) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var told []Transition
				h := made(t, steady, everybody, WithCheck("db", c.run),
					WithLogger(slog.New(slog.NewTextHandler(&log, nil))), OnChange(func(e Transition) { told = append(told, e) }))
				time.Sleep(10*time.Minute + 5*time.Second)
				synctest.Wait()
				says(t, h, "/readyz", 503, "[-]db failed: "+c.text+"\n[+]shutdown ok\nreadyz check failed\n")
				if s := h.Stats().Checks[0]; s.Failures != s.Runs || s.Runs != 61 || !c.is(s.Err) {
					t.Errorf("%+v", s)
				}
				if len(told) != 1 || told[0].Check != "db" || told[0].From != Unknown || told[0].To != Fail || !c.is(told[0].Err) {
					t.Errorf("told %+v", told)
				}
				if n := strings.Count(log.String(), "health check changed"); n != 1 {
					t.Errorf("logged %d times:\n%s", n, &log)
				}
				if name == "panic" && strings.Count(log.String(), "stack=") != 1 {
					t.Errorf("the stack is not in the log once:\n%s", &log)
				}
			})
		})
	}
}

type fickle struct{}

func (fickle) Error() string { panic("no text") }

func TestACheckThatFlapsDoesNotMoveItsStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, told := 0, 0
		h := made(t, steady, WithCheck("db", func(context.Context) error {
			if n++; n%3 != 1 { // two of three fail, never three in a row
				return errDown
			}
			return nil
		}), OnChange(func(e Transition) { told++ }))
		for range 300 {
			synctest.Wait()
			says(t, h, "/readyz", 200, "ok")
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if told != 2 { // the check and the group, at the beginning
			t.Errorf("%d transitions", told)
		}
	})
}

func TestSettingTheClockChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		h := made(t, steady, c.option(), WithCheck("db", passing))
		for _, by := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour, 365 * 24 * time.Hour} {
			synctest.Wait()
			c.set.Store(int64(by))
			for range 5 {
				says(t, h, "/readyz", 200, "ok")
				time.Sleep(7 * time.Second)
			}
		}
		synctest.Wait()
		s := h.Stats().Checks[0]
		if s.Transitions != 1 || s.Runs != 15 || s.LastDuration != 0 {
			t.Errorf("%+v", s)
		}
		if got := time.Until(s.LastResult).Round(time.Hour); got != 365*24*time.Hour {
			t.Errorf("the last result is told to be %v ahead: the clock was not set", got)
		}
	})
}

func TestAFrozenProcessIsStaleUntilItsChecksHaveRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		var told []string
		h := made(t, steady, everybody, c.option(), WithCheck("db", passing, In(All)),
			OnChange(func(e Transition) { told = append(told, fmt.Sprint(e.Check, " ", e.From, "→", e.To)) }))
		time.Sleep(5 * time.Second)
		c.frozen.Store(int64(26*time.Second + 999*time.Millisecond)) // 1 ms below three intervals and a timeout
		says(t, h, "/readyz", 200, "ok")
		c.frozen.Store(int64(time.Hour)) // and no timer has fired yet
		has(t, h, "/readyz", 503, "[-]db failed: stale")
		has(t, h, "/livez", 503, "[-]db failed: stale")
		says(t, h, "/startupz", 200, "ok")
		if s := h.Stats().Checks[0]; !s.Stale || s.Err != ErrStale || s.Status != Fail {
			t.Errorf("%+v", s)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		says(t, h, "/livez", 200, "ok")
		want := []string{"db unknown→pass", " fail→pass", " fail→pass", "db pass→fail", " pass→fail", " pass→fail", "db fail→pass", " fail→pass", " fail→pass"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

// A run that the process was frozen in knows nothing of the time since.
func TestARunThatWasFrozenIsNoFreshResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		runs := 0
		goon := make(chan struct{})
		h := made(t, steady, everybody, c.option(), WithCheck("db", func(context.Context) error {
			if runs++; runs == 2 {
				<-goon
			}
			return nil
		}))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		c.frozen.Store(int64(time.Hour))
		close(goon)
		synctest.Wait()
		has(t, h, "/readyz", 503, "[-]db failed: stale")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
	})
}

func TestNoProbeRunsACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, in atomic.Int64
		h := made(t, steady, WithCheck("slow", func(context.Context) error {
			runs.Add(1)
			if in.Add(1) > 1 {
				t.Error("two at once")
			}
			defer in.Add(-1)
			time.Sleep(time.Second)
			return nil
		}))
		synctest.Wait() // it is under way
		began := time.Now()
		var group sync.WaitGroup
		for i := range 1000 {
			group.Go(func() {
				path := []string{"/readyz", "/readyz?verbose", "/readyz/slow", "/healthz", "/livez?exclude=slow"}[i%5]
				get(h, path, "Accept", []string{"*/*", "application/health+json"}[i%2])
			})
		}
		group.Wait()
		if took := time.Since(began); took != 0 || runs.Load() != 1 {
			t.Errorf("1000 probes waited %v and the check ran %d times", took, runs.Load())
		}
		has(t, h, "/readyz", 503, "[-]slow failed")
		time.Sleep(time.Second)
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
	})
}

func TestAnImpatientProberChangesNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen atomic.Bool
		h := made(t, steady, WithCheck("db", func(ctx context.Context) error {
			select {
			case <-time.After(50 * time.Millisecond):
				return nil
			case <-ctx.Done():
				seen.Store(true)
				return ctx.Err()
			}
		}, Every(time.Second), FailAfter(1)))
		time.Sleep(100 * time.Millisecond)
		for range 100 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			r := httptest.NewRequest("GET", "/readyz?verbose", nil).WithContext(ctx)
			h.ServeHTTP(httptest.NewRecorder(), r)
			cancel()
			h.ServeHTTP(httptest.NewRecorder(), r)
			says(t, h, "/readyz", 200, "ok")
			time.Sleep(33 * time.Millisecond)
		}
		if seen.Load() || h.Stats().Checks[0].Failures != 0 {
			t.Error("a check felt that a prober left")
		}
	})
}

func TestChecksRunAtTheirIntervalsAndWithinTheirJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		h := made(t, WithCheck("db", func(ctx context.Context) error {
			at = append(at, time.Since(began))
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != 500*time.Millisecond {
				t.Errorf("the deadline is %v away", time.Until(d))
			}
			return nil
		}, Every(time.Second), Jitter(0.25), Timeout(500*time.Millisecond)))
		time.Sleep(1000 * time.Second)
		h.Close()
		synctest.Wait()
		least, most := time.Hour, time.Duration(0)
		for i := 1; i < len(at); i++ {
			least, most = min(least, at[i]-at[i-1]), max(most, at[i]-at[i-1])
		}
		if at[0] != 0 || least < 750*time.Millisecond || most > 1250*time.Millisecond || least > 800*time.Millisecond || most < 1200*time.Millisecond {
			t.Errorf("began at %v, then %v to %v apart", at[0], least, most)
		}
	})
}

func TestARunLongerThanItsIntervalIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in, most int
		h := made(t, steady, WithCheck("slow", func(ctx context.Context) error {
			in++
			defer func() { in-- }()
			most = max(most, in)
			select {
			case <-time.After(25 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, Timeout(time.Minute)))
		time.Sleep(301 * time.Second)
		synctest.Wait()
		s := h.Stats().Checks[0]
		if most != 1 || s.Runs != 11 || s.Passes != 10 || s.Skipped != 20 || s.Failures != 0 {
			t.Errorf("%d at once, %+v", most, s)
		}
		says(t, h, "/readyz", 200, "ok")
	})
}

func TestChecksComeAndGoWhileServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady, everybody)
		says(t, h, "/readyz", 200, "ok")
		canceled := false
		if err := h.Add("db", Func(func(ctx context.Context) error {
			<-ctx.Done()
			canceled = errors.Is(context.Cause(ctx), context.Canceled)
			return ctx.Err()
		})); err != nil {
			t.Fatal(err)
		}
		says(t, h, "/readyz", 503, "[-]db failed: not checked yet\n[+]shutdown ok\nreadyz check failed\n")
		if err := h.Add("db", Func(passing)); err == nil {
			t.Error("a name was given twice")
		}
		if !h.Remove("db") || h.Remove("db") {
			t.Error("a check cannot be removed, or twice")
		}
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		has(t, h, "/readyz/db", 404, "")
		if !canceled {
			t.Error("the run was not canceled")
		}
		for i := range maxChecks {
			if err := h.Add(fmt.Sprint("c", i), Func(passing)); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Add("more", Func(passing)); err == nil {
			t.Error("there is no bound")
		}
		h.Close()
		if err := h.Add("late", Func(passing)); err != http.ErrServerClosed {
			t.Errorf("%v", err)
		}
	})
}
