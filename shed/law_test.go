package shed

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/load"
)

// small is a service with four workers of 10 ms each, 400 requests a second,
// behind a Shedder, in virtual time.
type small struct {
	*Shedder
	handler http.Handler
	good    atomic.Int64
	hang    chan struct{} // requests for /hang end when it is closed
}

func serveSmall(t *testing.T, timeout time.Duration, opts ...Option) *small {
	sampler, err := load.New(
		load.WithSource(func() (load.Usage, error) { return load.Usage{}, nil }),
		load.WithScheduler(func() load.Scheduler { return load.Scheduler{} }),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sampler.Close() })
	shedder, err := New(append(opts, WithSampler(sampler))...)
	if err != nil {
		t.Fatal(err)
	}
	s := &small{Shedder: shedder, hang: make(chan struct{})}
	workers := make(chan struct{}, 4)
	s.handler = shedder.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-s.hang
			return
		}
		begin := time.Now()
		workers <- struct{}{}
		time.Sleep(10 * time.Millisecond)
		<-workers
		if timeout > 0 && time.Since(begin) > timeout {
			w.WriteHeader(http.StatusGatewayTimeout)
			return
		}
		s.good.Add(1)
	}))
	return s
}

// offer sends requests for a while and returns how many were answered well and
// how many were let in, a second.
func (s *small) offer(rate int, lasts time.Duration) (good, admitted float64) {
	was, wasIn := s.good.Load(), s.Stats().Admitted
	for range int(lasts.Seconds() * float64(rate)) {
		go s.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		time.Sleep(time.Second / time.Duration(rate))
	}
	return float64(s.good.Load()-was) / lasts.Seconds(), float64(s.Stats().Admitted-wasIn) / lasts.Seconds()
}

func TestAnInnerTimeoutDoesNotHideTheOverload(t *testing.T) {
	for name, warm := range map[string]time.Duration{"warm": 2 * time.Second, "cold": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serveSmall(t, 30*time.Millisecond)
				s.offer(200, warm)
				s.offer(1200, 4*time.Second)
				good, _ := s.offer(1200, 4*time.Second)
				if good < 340 {
					t.Errorf("%.0f requests a second answered in time of 400 that could be, limit %d", good, s.Stats().Limit)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

func TestHandlersThatHangDoNotCloseTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0)
		s.offer(200, 4*time.Second)
		for range 20 {
			go s.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/hang", nil))
		}
		s.offer(1200, 20*time.Second)
		if _, admitted := s.offer(1200, 10*time.Second); admitted < 200 {
			t.Errorf("%.0f requests a second let in of 400 that could be served, limit %d with %d inside",
				admitted, s.Stats().Limit, s.Stats().InFlight)
		}
		close(s.hang)
		time.Sleep(time.Second)
	})
}

func TestEveryHandlerHangsAndTheServiceComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0)
		s.offer(200, 4*time.Second)
		for range 64 {
			go s.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/hang", nil))
		}
		s.offer(300, 60*time.Second)
		if _, admitted := s.offer(300, 10*time.Second); admitted < 100 {
			t.Errorf("%.0f requests a second let in of 300 that could be served, limit %d with %d inside",
				admitted, s.Stats().Limit, s.Stats().InFlight)
		}
		close(s.hang)
		time.Sleep(time.Second)
	})
}

func TestADryRunGoesOnLearningUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0, WithDryRun(true))
		s.offer(200, 2*time.Second)
		s.offer(600, 4*time.Second)
		if s.Stats().Shed == 0 {
			t.Error("an overload of 1.5 times was not reported")
		}
		time.Sleep(30 * time.Second) // the queue drains
		before := s.Stats()
		s.offer(200, 10*time.Second)
		s.offer(200, 10*time.Second)
		if after := s.Stats(); after.Shed-before.Shed > (after.Admitted-before.Admitted)/20 {
			t.Errorf("%d of %d requests reported as shed after the overload", after.Shed-before.Shed, after.Admitted-before.Admitted)
		}
		time.Sleep(time.Second)
	})
}

func TestABurstAfterALongIdleTimeFindsRoom(t *testing.T) {
	for _, idle := range []time.Duration{0, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := serveSmall(t, 0)
			s.offer(300, 10*time.Second)
			time.Sleep(idle)
			for range 40 {
				go s.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
			s.offer(100, time.Second)
			time.Sleep(time.Second)
			if st := s.Stats(); st.Shed > 0 {
				t.Errorf("after %v of idleness %d requests were shed: %v", idle, st.Shed, st.Reasons)
			}
		})
	}
}

func TestInstantAnswersLeaveTheLawWithNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0)
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for range 300 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			time.Sleep(time.Millisecond)
		}
		if l := &s.gate.law; math.IsNaN(l.tail()) || math.IsNaN(l.limit) || l.base < 0 {
			t.Errorf("limit %v, base %v, tail %v", l.limit, l.base, l.tail())
		}
	})
}

func TestARaiseAgainstTheBoundTeachesNothing(t *testing.T) {
	l := newLaw(0, 2, 32, 32)
	l.base, l.last = .01, .1
	l.raise(0, 100)
	l.busy(time.Second, 100.5, .32, 100, false)
	if l.base > .02 {
		t.Errorf("base went from 10 ms to %v s although the limit had not moved", l.base)
	}
}

func TestARaisedMinimumDoesNotStretchBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0, WithLimits(100, 100, 1000))
		s.offer(200, 4*time.Second)
		s.offer(1200, 30*time.Second)
		if base := s.Stats().Base; base > 30*time.Millisecond {
			t.Errorf("base is %v, the handler takes 10 ms", base)
		}
		time.Sleep(2 * time.Second)
	})
}

func TestARequestThatCannotBeInTimeIsRefusedAlsoWithFreeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0)
		s.offer(200, 4*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		defer cancel()
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
		if w.Code != http.StatusServiceUnavailable || s.Stats().Reasons[ReasonDeadline] != 1 {
			t.Errorf("status %d, reasons %v; want 503 for the deadline", w.Code, s.Stats().Reasons)
		}
		time.Sleep(time.Second)
	})
}

func TestShedRateIsAShareWhateverWasADryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveSmall(t, 0, WithLimits(1, 1, 1), WithMaxWait(0))
		for _, dry := range []bool{false, true, false} {
			if err := s.Update(WithDryRun(dry)); err != nil {
				t.Fatal(err)
			}
			s.offer(1000, time.Second)
			if r := s.Stats().ShedRate; r <= 0 || r > 1 {
				t.Errorf("dry run %v: shed rate %v", dry, r)
			}
		}
		time.Sleep(5 * time.Second)
	})
}
