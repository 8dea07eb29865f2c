package health

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestARunThatWasFrozenIsFollowedByOneAtOnceIfItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		var at []time.Duration
		began, goon := time.Now(), make(chan struct{})
		h := made(t, steady, c.option(), WithCheck("db", func(context.Context) error {
			at = append(at, time.Since(began))
			if len(at) == 2 {
				<-goon
			}
			return nil
		}, Timeout(time.Minute)))
		time.Sleep(25 * time.Second)
		c.frozen.Store(int64(time.Hour))
		close(goon)
		synctest.Wait()
		says(t, h, "/readyz", 200, "ok")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []time.Duration{0, 10 * time.Second, 25 * time.Second, 30 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("began at %v, want %v", at, want)
		}
	})
}

func TestWhatIsDueIsRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		made(t, steady, WithCheck("db", func(ctx context.Context) error {
			at = append(at, time.Since(began))
			switch len(at) {
			case 1: // in time, and longer than an interval
				time.Sleep(13 * time.Second)
			case 2, 5: // obeys, and nothing is due
				<-ctx.Done()
				time.Sleep(time.Second)
			case 3: // stuck, and the next is due
				time.Sleep(38 * time.Second)
			}
			return nil
		}, Timeout(15*time.Second), Every(20*time.Second), MaxAge(time.Hour)))
		time.Sleep(121 * time.Second)
		synctest.Wait()
		if want := []time.Duration{0, 20 * time.Second, 40 * time.Second, 78 * time.Second, 80 * time.Second, 100 * time.Second, 120 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("began at %v, want %v", at, want)
		}
	})
}

func TestARunThatIsOverIsHeardNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last context.Context
		h := made(t, steady, WithCheck("db", func(ctx context.Context) error {
			last = ctx
			Observe(ctx, "connections", 1, "")
			return nil
		}, Timeout(time.Hour)))
		synctest.Wait()
		if last.Err() == nil {
			t.Error("its context waits for the timeout")
		}
		Observe(last, "connections", 2, "")
		Observe(last, "utilization", 2, "")
		if got := h.Stats().Checks[0].Observations; !slices.Equal(got, []Observation{{"connections", 1, ""}}) {
			t.Errorf("%v", got)
		}
	})
}

func TestAResultThatComesAfterTheEndIsDropped(t *testing.T) {
	for _, end := range []struct {
		name string
		end  func(*Health)
	}{{"Close", func(h *Health) { h.Close() }}, {"Remove", func(h *Health) { h.Remove("db") }}} {
		t.Run(end.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := made(t, steady, WithCheck("db", passing, FailAfter(1)))
				synctest.Wait()
				c := h.checks[0]
				end.end(h)
				run := &begun{}
				if !h.record(c, run, result{err: errDown, level: Fail}) {
					t.Error("the check goes on")
				}
				h.overdue(c, run)
				if c.counts.failures != 0 || c.state != Pass || c.stuck {
					t.Errorf("%+v", c.counts)
				}
			})
		})
	}
}

func TestAStuckRunThatReturnsIsAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		h := made(t, steady, everybody, WithCheck("db", func(ctx context.Context) error {
			Observe(ctx, "connections", 1, "")
			if runs++; runs == 2 {
				time.Sleep(5 * time.Second)
			}
			return nil
		}, MaxAge(12*time.Second)))
		time.Sleep(13 * time.Second)
		has(t, h, "/readyz", 503, "[-]db failed: stale")
		if s := h.Stats().Checks[0]; !s.Stuck || s.Observations != nil {
			t.Errorf("%+v", s)
		}
		time.Sleep(3 * time.Second) // it is of 12 s, when its time was over
		says(t, h, "/readyz", 200, "ok")
	})
}

func TestStartupWantsAPassThatCounts(t *testing.T) {
	for _, c := range []struct {
		results string
		opts    []CheckOption
		runs    uint64
	}{
		{"fffp", []CheckOption{Initially(Pass), FailAfter(9)}, 4},
		{"ppfppp", []CheckOption{Initially(Fail), PassAfter(3)}, 6},
		{"ppfpwp", []CheckOption{PassAfter(3)}, 6},
	} {
		t.Run(c.results, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := made(t, steady, WithCheck("migrations", script(c.results+"ffff"), append(c.opts, In(Startup))...))
				time.Sleep(time.Hour)
				synctest.Wait()
				says(t, h, "/startupz", 200, "ok")
				if s := h.Stats().Checks[0]; s.Runs != c.runs || s.Stale || s.Status == Fail {
					t.Errorf("want %d runs: %+v", c.runs, s)
				}
			})
		})
	}
}

func TestTheGracePeriodIsThatOfTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady, everybody)
		time.Sleep(time.Hour)
		hang := make(chan struct{})
		defer close(hang)
		for name, run := range map[string]func(context.Context) error{
			"bad": script("pf"), "stuck": func(context.Context) error { <-hang; return nil },
		} {
			if err := h.Add(name, Func(run), In(Live), GracePeriod(5*time.Minute), FailAfter(3)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5*time.Minute - time.Millisecond)
		says(t, h, "/livez", 200, "ok")
		time.Sleep(2 * time.Millisecond)
		has(t, h, "/livez", 503, "[-]stuck failed: stale")
		has(t, h, "/livez/bad", 200, "ok")
		time.Sleep(20 * time.Second)
		has(t, h, "/livez/bad", 503, "[-]bad failed")
	})
}

func TestEachCheckOfStartupCountsUntilItHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady)
		says(t, h, "/startupz", 200, "ok")
		if err := h.Add("cache", Func(script("pf")), In(Startup|Ready)); err != nil {
			t.Fatal(err)
		}
		has(t, h, "/startupz", 503, "[-]cache failed")
		if err := h.Add("migrations", Func(failing), In(Startup)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		has(t, h, "/startupz", 503, "[+]cache ok\n[-]migrations failed")
		has(t, h, "/readyz", 503, "[-]cache failed")
		h.Remove("migrations")
		says(t, h, "/startupz", 200, "ok")
	})
}
