package load_test

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/load"
)

func noUsage() (load.Usage, error) { return load.Usage{}, nil }
func noScheduler() load.Scheduler  { return load.Scheduler{} }
func isolated() []load.Option {
	return []load.Option{load.WithSource(noUsage), load.WithScheduler(noScheduler)}
}
func about(a, b, part float64) bool { return math.Abs(a-b) <= part*math.Abs(b) }

func TestStatisticsOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, isolated()...)
		defer s.Close()
		// 100 a second for ten seconds: 1 ms to 100 ms, every tenth fails,
		// and as many again say nothing.
		for range 10 {
			for ms := time.Duration(1); ms <= 100; ms++ {
				s.Enter(nil)
				s.Enter(nil)
				if n := s.InFlight(); n != 2 {
					t.Fatalf("%d in flight, want 2", n)
				}
				outcome := load.Success
				if ms%10 == 0 {
					outcome = load.Failure
				}
				s.Exit(ms*time.Millisecond, outcome)
				s.Exit(time.Hour, load.Ignored)
				time.Sleep(10 * time.Millisecond)
			}
		}
		snap := s.Snapshot()
		if snap.Samples != 1000 || snap.InFlight != 0 || snap.LongLived != 0 || snap.Window != 30*time.Second {
			t.Errorf("%+v; want 1000 samples", snap)
		}
		if !about(snap.Rate, 100, 1e-6) || !about(snap.ErrorRate, 0.1, 1e-6) {
			t.Errorf("rate %v, error rate %v; want 100 and 0.1", snap.Rate, snap.ErrorRate)
		}
		if snap.Mean != 50500*time.Microsecond {
			t.Errorf("mean %v, want 50.5ms", snap.Mean)
		}
		for want, got := range map[time.Duration]time.Duration{50: snap.P50, 95: snap.P95, 99: snap.P99} {
			if !about(got.Seconds(), (want * time.Millisecond).Seconds(), 0.05) {
				t.Errorf("p%d is %v", want, got)
			}
		}
		time.Sleep(40 * time.Second)
		snap = s.Snapshot()
		if snap.Samples != 0 || snap.Rate != 0 || snap.ErrorRate != 0 || snap.Mean != 0 || snap.P99 != 0 {
			t.Errorf("after the window: %+v; want nothing", snap)
		}
	})
}

func TestRateIsKnownBeforeTheFirstWindowIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, append(isolated(), load.WithWindow(time.Minute))...)
		defer s.Close()
		for range 1200 {
			s.Enter(nil)
			s.Exit(time.Millisecond, load.Success)
			time.Sleep(10 * time.Millisecond)
		}
		if rate := s.Snapshot().Rate; !about(rate, 100, 0.01) {
			t.Errorf("100 a second for 12 s reads %v", rate)
		}
	})
}

func TestOutcomeOutsideTheNamedOnesIsIgnored(t *testing.T) {
	s := newSampler(t, isolated()...)
	for range 3 {
		s.Enter(nil)
	}
	s.Exit(time.Second, load.Outcome(77))
	s.ExitAt(s.Now(), time.Second, load.Outcome(77))
	s.ExitAt(s.Now(), -time.Second, load.Failure)
	snap := s.Snapshot()
	if snap.InFlight != 0 || snap.Samples != 1 || snap.ErrorRate != 1 || snap.Mean != 0 {
		t.Errorf("%+v; want one failure of no duration", snap)
	}
}

func TestLongLivedRequestsAreCountedApart(t *testing.T) {
	s := newSampler(t, isolated()...)
	for range 3 {
		s.Enter(nil)
	}
	s.Detach()
	s.Detach()
	if snap := s.Snapshot(); snap.InFlight != 1 || snap.LongLived != 2 {
		t.Errorf("%d in flight and %d long-lived, want 1 and 2", snap.InFlight, snap.LongLived)
	}
	s.Ended()
	s.Ended()
	s.Exit(time.Millisecond, load.Success)
	if snap := s.Snapshot(); snap.InFlight != 0 || snap.LongLived != 0 || snap.Samples != 1 {
		t.Errorf("%+v; want one sample and nothing in flight", snap)
	}
}

// counting is what every package that feeds a sampler does.
func counting(s *load.Sampler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rw, rec, owner := httpwrap.Wrap(w)
			if owner {
				defer rec.Release()
			}
			if s.Enter(rw) {
				began := s.Now()
				defer func() {
					now := s.Now()
					s.ExitAt(now, now-began, load.Success)
				}()
			}
			next.ServeHTTP(rw, r)
		})
	}
}

// foreign wraps as other people's middleware does.
type foreign struct{ http.ResponseWriter }

func (w foreign) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestRequestIsCountedOnceHoweverManyPackagesAreStacked(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			one, other := newSampler(t, isolated()...), newSampler(t, isolated()...)
			inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if one.InFlight() != 1 || other.InFlight() != 1 {
					t.Errorf("%d and %d in flight within the handler, want 1 and 1", one.InFlight(), other.InFlight())
				}
				io.WriteString(w, r.Proto)
			})
			within := counting(one)(counting(other)(inner))
			behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { within.ServeHTTP(foreign{w}, r) })
			server := httptest.NewUnstartedServer(counting(one)(counting(other)(counting(one)(behind))))
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			const requests = 10
			for range requests {
				resp, err := server.Client().Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != protocol {
					t.Errorf("served over %s", body)
				}
			}
			server.Close() // waits for the handlers
			for _, s := range []*load.Sampler{one, other} {
				if snap := s.Snapshot(); snap.Samples != requests || snap.InFlight != 0 {
					t.Errorf("%d samples and %d in flight after %d requests", snap.Samples, snap.InFlight, requests)
				}
			}
		})
	}
}

func TestCountingARequestAllocatesNothing(t *testing.T) {
	s := newSampler(t, isolated()...)
	rw, rec, _ := httpwrap.Wrap(httptest.NewRecorder())
	defer rec.Release()
	if s.Enter(rw); s.Enter(rw) {
		t.Error("counted twice")
	}
	if n := testing.AllocsPerRun(1000, func() {
		if s.Enter(rw) {
			t.Error("counted twice")
		}
		s.Enter(nil)
		s.Exit(time.Millisecond, load.Failure)
		s.Enter(nil)
		s.ExitAt(s.Now(), time.Millisecond, load.Success)
		s.Pressure()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
