package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/httpwrap"
)

type rejection = handrail.Rejection

func expect(t *testing.T, b *breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := circuitOf(b, "").State; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestItOpensAfterFiveFailuresInARowAndClosesAfterThreeSuccesses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		d := drive(b)
		d.trip(4)
		d.do(fine)
		d.trip(4)
		expect(t, b, breaker.Closed)
		d.do(failed)
		expect(t, b, breaker.Open)
		wait(time.Minute - 1)
		if d.do(fine) {
			t.Error("let in before the minute is over")
		}
		wait(1)
		for i := range 3 {
			if !d.do(fine) {
				t.Errorf("probe %d was refused", i)
			}
		}
		expect(t, b, breaker.Closed)
		d.trip(5)
		wait(time.Minute)
		d.do(fine)
		expect(t, b, breaker.HalfOpen)
		d.do(failed)
		expect(t, b, breaker.Open)
	})
}

func TestItOpensWhereHalfOfTenRequestsFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		d := drive(b)
		for range 4 {
			d.do(fine)
			d.do(failed)
		}
		d.do(fine)
		expect(t, b, breaker.Closed) // four of nine
		d.do(failed)
		expect(t, b, breaker.Open)

		b.Reset()
		for range 4 {
			d.do(fine)
			d.do(failed)
		}
		wait(11 * time.Second) // they are no longer in the window
		d.do(fine)
		d.do(failed)
		expect(t, b, breaker.Closed)
	})
}

// A window forgets, a row does not: one failure a minute is a dead service too.
func TestFailuresInARowCountHoweverLongTheyTake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		d := drive(b)
		for range 5 {
			expect(t, b, breaker.Closed)
			d.do(failed)
			wait(time.Hour)
		}
		if got := b.Stats().Opened; got != 1 {
			t.Errorf("opened %d times", got)
		}
	})
}

// A failure counts when it shows, not when its request began.
func TestFailuresThatTakeLongerThanTheWindowCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithConsecutiveFailures(0))
		d := drive(b)
		var slow []*call
		for range 10 {
			slow = append(slow, d.start())
		}
		wait(30 * time.Second)
		for _, c := range slow {
			c.finish(failed)
		}
		expect(t, b, breaker.Open)
	})
}

func TestExactlyAsManyProbesAsAllowedAtTheInstantOfHalfOpen(t *testing.T) {
	for _, probes := range []int{1, 3, 7} {
		bubble(t, func(t *testing.T) {
			b := made(t, breaker.WithSuccesses(7), breaker.WithProbes(probes))
			drive(b).trip(5)
			wait(time.Minute)
			var inside, refused atomic.Int64
			hold := make(chan struct{})
			h := b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				inside.Add(1)
				<-hold
			}))
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					w := httptest.NewRecorder()
					if h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil)); w.Code == 503 {
						refused.Add(1)
					}
				})
			}
			synctest.Wait()
			if inside.Load() != int64(probes) || refused.Load() != int64(1000-probes) {
				t.Errorf("%d probes: %d inside, %d refused", probes, inside.Load(), refused.Load())
			}
			close(hold)
			all.Wait()
		})
	}
}

func TestEveryValidCombinationOfSuccessesAndProbesCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for successes := 1; successes <= 10; successes++ {
			for probes := 1; probes <= successes; probes++ {
				b := made(t, breaker.WithSuccesses(successes), breaker.WithProbes(probes))
				d := drive(b)
				d.trip(5)
				wait(time.Minute)
				var under []*call
				good := 0
				for i := 0; circuitOf(b, "").State != breaker.Closed; i++ {
					if i > 1000 {
						t.Fatalf("%d successes, %d probes: does not close", successes, probes)
					}
					if c := d.start(); c.inside {
						under = append(under, c)
					}
					if len(under) > probes {
						t.Fatalf("%d probes at once", len(under))
					}
					if len(under) > 0 && rng.IntN(2) == 0 {
						at := rng.IntN(len(under))
						e := []ending{fine, canceled}[rng.IntN(2)]
						under[at].finish(e)
						under = slices.Delete(under, at, at+1)
						if e == fine {
							good++
						}
					}
				}
				if good != successes {
					t.Errorf("closed after %d successes, want %d", good, successes)
				}
				for _, c := range under {
					c.finish(fine)
				}
			}
		}
	})
}

func TestAProbeThatHangsCountsAsAFailureOnTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at time.Time
		b := made(t, breaker.WithProbeTimeout(10*time.Second), breaker.OnStateChange(func(e breaker.Event) {
			if e.Cause == breaker.CauseProbeHung {
				at = e.At
			}
		}))
		d := drive(b)
		d.trip(5)
		wait(time.Minute)
		hung, began := d.start(), time.Now()
		if d.do(fine) {
			t.Error("a second probe beside the first")
		}
		wait(time.Hour) // nobody asks meanwhile
		if got := at.Sub(began); got != 10*time.Second {
			t.Errorf("noticed after %v", got)
		}
		for range 3 {
			if !d.do(fine) {
				t.Error("a probe was refused")
			}
		}
		expect(t, b, breaker.Closed)
		hung.finish(failed)
		expect(t, b, breaker.Closed)
		if s := b.Stats(); s.HungProbes != 1 || s.Late != 1 {
			t.Errorf("%d hung, %d late", s.HungProbes, s.Late)
		}
	})
}

func TestResultsOfAnEarlierStateChangeNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithSuccesses(1))
		d := drive(b)
		var old []*call
		for range 20 {
			old = append(old, d.start())
		}
		late := func(e ending, want breaker.State) {
			t.Helper()
			old[0].finish(e)
			old = old[1:]
			expect(t, b, want)
		}
		d.trip(5)
		late(fine, breaker.Open)
		late(failed, breaker.Open)
		next := circuitOf(b, "").NextProbe
		wait(time.Minute)
		probe := d.start()
		late(fine, breaker.HalfOpen)
		late(failed, breaker.HalfOpen)
		probe.finish(fine)
		expect(t, b, breaker.Closed)
		for range 10 {
			late(failed, breaker.Closed)
		}
		b.Reset()
		for len(old) > 0 {
			late(failed, breaker.Closed)
		}
		if got := b.Stats().Late; got != 20 {
			t.Errorf("%d late results", got)
		}
		if !next.Equal(circuitOf(b, "").Since) {
			t.Error("late results moved the open time")
		}
	})
}

func TestTransitionsAreToldOnceInOrderAndTheCallbackMayCallBackIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *breaker.Breaker
		var told []string
		b = made(t, breaker.WithName("checkout"), breaker.WithSuccesses(1), breaker.OnStateChange(func(e breaker.Event) {
			told = append(told, fmt.Sprintf("%s %q %v→%v %v", e.Name, e.Key, e.From, e.To, e.Cause))
			b.Stats()
			b.Degraded()
			drive(b).do(canceled)
			if len(told) == 1 {
				panic("the callback's own")
			}
			if e.To == breaker.Closed && len(told) == 5 {
				b.Reset() // of a closed one: nothing to tell
			}
		}))
		d := drive(b)
		d.trip(5)
		wait(time.Minute)
		d.do(failed)
		synctest.Wait()
		wait(time.Minute)
		d.do(fine)
		synctest.Wait()
		d.trip(5)
		b.Reset()
		synctest.Wait()
		want := []string{
			`checkout "" closed→open failures`, `checkout "" open→half_open due`, `checkout "" half_open→open probe_failed`,
			`checkout "" open→half_open due`, `checkout "" half_open→closed recovered`, `checkout "" closed→open failures`, `checkout "" open→closed reset`,
		}
		if !slices.Equal(told, want) {
			t.Errorf("told\n%q, want\n%q", told, want)
		}
	})
}

func TestTheOpenTimeGrowsUpToItsLimitAndBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithOpenFor(10*time.Second), breaker.WithGrowth(2, time.Minute), breaker.WithSuccesses(1))
		d := drive(b)
		d.trip(5)
		for _, seconds := range []time.Duration{10, 20, 40, 60, 60} {
			if got := circuitOf(b, "").OpenFor; got != seconds*time.Second {
				t.Errorf("open for %v, want %ds", got, seconds)
			}
			wait(seconds*time.Second - 1)
			if d.do(fine) {
				t.Error("let in too early")
			}
			wait(1)
			d.do(failed)
		}
		wait(time.Minute)
		d.do(fine)
		wait(time.Minute - 1)
		d.trip(5) // it flaps
		if got := circuitOf(b, "").OpenFor; got != time.Minute {
			t.Errorf("open for %v", got)
		}
		wait(time.Minute)
		d.do(fine)
		wait(time.Minute)
		d.trip(5)
		if got := circuitOf(b, "").OpenFor; got != 10*time.Second {
			t.Errorf("after a long closed time it is open for %v", got)
		}
	})
}

func TestTheRampLetsAShareInThatGrowsEvenly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithRamp(100*time.Second), breaker.WithSuccesses(1))
		d := drive(b)
		if !d.do(fine) {
			t.Error("a new circuit has no ramp")
		}
		d.trip(5)
		wait(time.Minute)
		d.do(fine)
		// Ten requests a second: in the n-th ten seconds their share is on
		// average (n-0.5) tenths, less a step.
		for tenth := range 10 {
			in := 0
			for range 100 {
				if d.do(fine) {
					in++
				}
				wait(100 * time.Millisecond)
			}
			if want := 10*tenth + 5; in < want-1 || in > want+1 {
				t.Errorf("%d of 100 in the %d. tenth, want %d", in, tenth+1, want)
			}
		}
		for range 100 {
			if !d.do(fine) {
				t.Error("refused after the ramp")
			}
		}
		if got := b.Stats().Reasons[breaker.ReasonRamping]; got < 495 || got > 505 {
			t.Errorf("%d refused", got)
		}
	})
}

func TestAFailureInTheRampCountsAsUsual(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithRamp(time.Minute), breaker.WithSuccesses(1))
		d := drive(b)
		d.trip(5)
		wait(time.Minute)
		d.do(fine)
		wait(59 * time.Second)
		d.trip(6)
		expect(t, b, breaker.Open)
	})
}

func TestSlowCallsAreFailuresOrOpenByTheirShare(t *testing.T) {
	slow := func(d *driver, took time.Duration, e ending) bool {
		c := d.start()
		if c.inside {
			wait(took)
			c.finish(e)
		}
		return c.inside
	}
	t.Run("each is a failure", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := made(t, breaker.WithSlowCall(time.Second, 0))
			d := drive(b)
			for range 10 {
				slow(d, time.Second-1, fine)
			}
			expect(t, b, breaker.Closed)
			for range 5 {
				slow(d, time.Second, fine)
			}
			expect(t, b, breaker.Open)
			if s := b.Stats(); s.Failures != 5 || s.Successes != 10 {
				t.Errorf("%d failures, %d successes", s.Failures, s.Successes)
			}
		})
	})
	t.Run("by their share", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var cause breaker.Cause
			b := made(t, breaker.WithSlowCall(100*time.Millisecond, .5), breaker.WithOpenFor(time.Second), breaker.WithSuccesses(1), breaker.OnStateChange(func(e breaker.Event) { cause = e.Cause }))
			d := drive(b)
			for range 5 {
				slow(d, 0, fine)
			}
			for range 4 {
				slow(d, 100*time.Millisecond, fine)
			}
			expect(t, b, breaker.Closed) // nine
			for range 3 {
				slow(d, 100*time.Millisecond, canceled) // says nothing
			}
			expect(t, b, breaker.Closed)
			slow(d, 100*time.Millisecond, fine)
			expect(t, b, breaker.Open)
			if synctest.Wait(); cause != breaker.CauseSlow {
				t.Errorf("because of %v", cause)
			}
			if got := b.Stats().Failures; got != 0 {
				t.Errorf("%d failures", got)
			}
			wait(time.Second)
			slow(d, 100*time.Millisecond, fine)
			expect(t, b, breaker.Open)
			wait(time.Second)
			slow(d, 0, fine)
			expect(t, b, breaker.Closed)
			slow(d, 100*time.Millisecond, fine) // what was slow before is forgotten
			expect(t, b, breaker.Closed)
		})
	})
}

// How long it takes until a stream begins is not how long a call takes.
func TestALongLivedExchangeIsNeverSlow(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{
		"": nil, "with a classifier": {breaker.WithClassifier(func(r breaker.Result) breaker.Verdict { return r.Verdict })},
	} {
		bubble(t, func(t *testing.T) {
			b := made(t, append(opts, breaker.WithSlowCall(time.Second, 0))...)
			b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				wait(time.Minute)
				w.WriteHeader(200)
				wait(time.Minute)
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			if s := b.Stats(); s.Failures != 0 || s.Successes != 1 {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
}

// A classifier that ends the goroutine ends the request, and not the books.
func TestAClassifierMayEndTheGoroutine(t *testing.T) {
	b := made(t, breaker.WithClassifier(func(breaker.Result) breaker.Verdict {
		runtime.Goexit()
		return breaker.Success
	}))
	drive(b).do(failed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Transport(answer(200, &scripted{})).RoundTrip(request(t, "http://h/"))
	}()
	<-done
	if s := b.Stats(); s.Failures != 1 || s.Successes != 1 || s.ClassifierPanics != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWhatCounts(t *testing.T) {
	for e := range endings {
		bubble(t, func(t *testing.T) {
			b := made(t)
			drive(b).do(e)
			s := b.Stats()
			got := [...]uint64{s.Successes, s.Failures, s.Excluded}
			want := [3]uint64{}
			want[e.verdict()] = 1
			if got != want {
				t.Errorf("ending %d: successes, failures, excluded %v, want %v", e, got, want)
			}
		})
	}
	for status, want := range map[int]breaker.Verdict{
		200: breaker.Success, 304: breaker.Success, 400: breaker.Success, 404: breaker.Success, 429: breaker.Success, 499: breaker.Success,
		500: breaker.Failure, 501: breaker.Success, 502: breaker.Failure, 503: breaker.Failure, 504: breaker.Failure, 505: breaker.Success,
		507: breaker.Success, 508: breaker.Failure, 599: breaker.Failure, 999: breaker.Failure,
	} {
		b := made(t)
		b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(status)
			w.WriteHeader(500)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		s := b.Stats()
		if got := [...]uint64{s.Successes, s.Failures, s.Excluded}; got[want] != 1 {
			t.Errorf("status %d: %v, want %v", status, got, want)
		}
	}
}

func TestAnExcludedProbeGivesItsPlaceToAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		d := drive(b)
		d.trip(5)
		wait(time.Minute)
		for range 1000 {
			if !d.do(canceled) || !d.do(shedInside) || !d.do(canceledAborted) {
				t.Fatal("refused")
			}
		}
		expect(t, b, breaker.HalfOpen)
		for range 3 {
			d.do(fine)
		}
		expect(t, b, breaker.Closed)
	})
}

func TestAClassifierDecidesInItsOwnWayAndMayPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var last breaker.Result
		b := made(t, breaker.WithConsecutiveFailures(1), breaker.WithClassifier(func(r breaker.Result) breaker.Verdict {
			last = r
			switch r.Status {
			case 404:
				return breaker.Failure
			case 501:
				panic("the classifier's own")
			case 500:
				return breaker.Success
			case 503:
				return 77
			}
			return r.Verdict
		}))
		d := drive(b)
		d.do(failed)
		d.do(notImplemented)
		expect(t, b, breaker.Closed)
		if last.Verdict != breaker.Success || last.Request == nil || last.Response != nil {
			t.Errorf("was given %+v", last)
		}
		c := d.start()
		wait(time.Second)
		c.finish(exited)
		if !last.Aborted || last.Verdict != breaker.Failure || last.Duration != time.Second {
			t.Errorf("was given %+v", last)
		}
		expect(t, b, breaker.Open)
		b.Reset()
		d.do(notFound)
		expect(t, b, breaker.Open)
		b.Reset()
		d.do(shedInside)
		if !last.Refused || last.Verdict != breaker.Excluded {
			t.Errorf("was given %+v", last)
		}
		expect(t, b, breaker.Closed)
		d.do(timedOutInside)
		if !last.TimedOut {
			t.Errorf("was given %+v", last)
		}
		if s := b.Stats(); s.ClassifierPanics != 1 || s.Excluded != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A classifier that panics while the handler does must not take its panic away.
func TestThePanicOfAHandlerIsItsOwnWhateverAClassifierDoes(t *testing.T) {
	b := made(t, breaker.WithClassifier(func(breaker.Result) breaker.Verdict { panic("the classifier's own") }))
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("panicked with %v", got)
		}
		if s := b.Stats(); s.Failures != 1 || s.ClassifierPanics != 1 {
			t.Errorf("%+v", s)
		}
	}()
	b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestARefusalTellsHowLongTheCircuitStaysOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithName("checkout"), breaker.WithMessage("Not now."))
		d := drive(b)
		d.trip(5)
		wait(30*time.Second + time.Nanosecond)
		c := d.start()
		h := c.w.Result().Header
		if c.inside || c.w.Code != 503 || h.Get("Retry-After") != "30" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d %v", c.w.Code, h)
		}
		const want = `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"Not now.","code":"CIRCUIT_BREAKER_OPEN","reason":"open","name":"checkout"}` + "\n"
		if got := c.w.Body.String(); got != want {
			t.Errorf("%s", got)
		}
		wait(30*time.Second - 2*time.Nanosecond)
		if got := d.start().w.Header().Get("Retry-After"); got != "1" {
			t.Errorf("just before the end: %s", got)
		}
	})
}

func TestRefusalsCanBeAnsweredInOnesOwnWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got rejection
		b := made(t, breaker.WithStatus(429), breaker.WithRejectionHandler(func(w http.ResponseWriter, _ *http.Request, r rejection) {
			got = r
			w.WriteHeader(r.Status)
		}))
		d := drive(b)
		d.trip(5)
		if c := d.start(); c.w.Code != 429 || got.Code != breaker.Code || got.Reason != "open" || got.RetryAfter != time.Minute {
			t.Errorf("%d %+v", c.w.Code, got)
		}
		b.ForceOpen()
		if d.do(fine); got.Reason != "forced" || got.RetryAfter < 30*time.Second || got.RetryAfter > time.Minute {
			t.Errorf("%+v", got)
		}
	})
}

func TestAFallbackServesWhatIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithFallback(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("from the cache")) })))
		drive(b).trip(5)
		var outcome httpwrap.Outcome
		inner := b.Wrap(noop)
		outer := made(t, breaker.WithClassifier(func(r breaker.Result) breaker.Verdict {
			if !r.Refused {
				t.Error("the outer breaker does not know that it was refused")
			}
			return r.Verdict
		})).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(w, r)
			outcome = httpwrap.Find(w).Outcome()
		}))
		w := httptest.NewRecorder()
		outer.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 200 || w.Body.String() != "from the cache" || outcome != httpwrap.BreakerOpen {
			t.Errorf("%d %q %v", w.Code, w.Body, outcome)
		}
		if s := b.Stats(); s.Fallbacks != 1 || s.Rejected != 1 || s.Successes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An open breaker further in does not open the one around it.
func TestNestedBreakersDoNotInfectEachOther(t *testing.T) {
	inner, outer := made(t, breaker.WithConsecutiveFailures(1)), made(t, breaker.WithConsecutiveFailures(2))
	h := outer.Wrap(inner.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })))
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	if in, out := inner.Stats(), outer.Stats(); in.Opened != 1 || out.Opened != 0 || out.Failures != 1 || out.Excluded != 99 {
		t.Errorf("inner %+v, outer %+v", in, out)
	}
}

func TestExemptRequestsPassAndCountForNothing(t *testing.T) {
	b := made(t, breaker.WithConsecutiveFailures(1), breaker.WithMode(breaker.ForcedOpen), breaker.WithExempt(func(r *http.Request) bool { return r.Header.Get("X") != "" }))
	d := drive(b)
	if !d.do(failed, "X", "1") || d.do(fine) {
		t.Error("exempt refused, or the other not")
	}
	if s := b.Stats(); s.Failures != 0 || s.Rejected != 1 {
		t.Errorf("%+v", s)
	}
}
