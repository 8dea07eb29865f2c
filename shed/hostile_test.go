package shed_test

import (
	"errors"
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

func TestHostileHeadersAreOrdinaryRequests(t *testing.T) {
	huge := strings.Repeat("critical", 1<<17) // 1 MiB
	s := shedder(t, trusting(shed.WithMaxTenants(16))...)
	h := s.Wrap(noop)
	r := request()
	for _, values := range [][]string{
		{huge}, {huge, huge}, {"critical", "background"}, {""}, {}, {"\x00\r\n"}, {"critical\r\nX-Class: critical"},
		{strings.Repeat("9", 1<<20)}, {"-9223372036854775808"}, {"\xff\xfe"},
	} {
		for _, name := range []string{classHeader, tenantHeader, attemptHeader} {
			r.Header[name] = values
		}
		h.ServeHTTP(&nullWriter{http.Header{}}, r)
	}
	st := s.Stats()
	if normal := st.ByPriority[handrail.Normal.Rank()].Admitted; normal != 10 || st.Admitted != 10 {
		t.Errorf("%d of 10 were ordinary", normal)
	}
	// What is kept of the tenants is bounded in bytes as well.
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	delete(r.Header, classHeader)
	for i := range 1000 {
		r.Header[tenantHeader] = []string{strings.Repeat(string(rune('a'+i%26)), 1<<16+i)}
		h.ServeHTTP(&nullWriter{http.Header{}}, r)
	}
	r.Header[tenantHeader] = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 512<<10 {
		t.Errorf("a thousand long tenant names left %d KiB", grown>>10)
	}
	if got := s.Stats().Tenants; got > 16 {
		t.Errorf("%d tenants", got)
	}
}

func TestALoadThatCannotBeReadShedsNobody(t *testing.T) {
	known := func(v float64) load.Value { return load.Value{V: v, Known: true} }
	sources := map[string]func() (load.Usage, error){
		"fails":  func() (load.Usage, error) { return load.Usage{}, errors.New("unavailable") },
		"panics": func() (load.Usage, error) { panic("source") },
		"NaN":    func() (load.Usage, error) { return load.Usage{CPU: known(math.NaN()), Memory: known(math.NaN())}, nil },
		"infinite": func() (load.Usage, error) {
			return load.Usage{CPU: known(math.Inf(1)), Memory: known(math.Inf(1))}, nil
		},
		"negative":  func() (load.Usage, error) { return load.Usage{CPU: known(-1), Memory: known(math.Inf(-1))}, nil },
		"is absent": func() (load.Usage, error) { return load.Usage{}, nil },
	}
	schedulers := map[string]func() load.Scheduler{
		"fine":   func() load.Scheduler { return load.Scheduler{Known: true} },
		"panics": func() load.Scheduler { panic("scheduler") },
		"NaN":    func() load.Scheduler { return load.Scheduler{Runnable: math.NaN(), Known: true} },
		"infinite": func() load.Scheduler {
			return load.Scheduler{Runnable: math.Inf(1), Latency: math.MinInt64, Known: true}
		},
		"unknown": func() load.Scheduler { return load.Scheduler{} },
	}
	strategies := map[string][]shed.Option{
		"adaptive": nil,
		"target":   {shed.ForTarget(time.Second)},
		"random":   {shed.WithStrategy(shed.Random)},
		"priority": {shed.ByPriority(map[handrail.Priority]float64{handrail.Normal: 1})},
		"circuit":  {shed.WithCircuit(shed.CircuitSettings{Hold: 1})},
	}
	for sourceName, source := range sources {
		for schedulerName, scheduler := range schedulers {
			bubble(t, func(t *testing.T) {
				sampler, err := load.New(load.WithInterval(20*time.Millisecond), load.WithSource(source), load.WithScheduler(scheduler))
				must(t, err)
				defer sampler.Close()
				for name, opts := range strategies {
					s := shedder(t, append(opts, shed.WithSampler(sampler))...)
					h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }))
					for range 60 {
						if got := get(h); got != http.StatusOK {
							t.Fatalf("source %s, scheduler %s, %s: status %d", sourceName, schedulerName, name, got)
						}
						time.Sleep(2 * time.Millisecond)
					}
					st := s.Stats()
					if math.IsNaN(st.Pressure) || st.Pressure != 0 || st.Limit < 1 || st.Circuit != shed.CircuitClosed {
						t.Errorf("source %s, scheduler %s, %s: pressure %v, limit %d, circuit %v", sourceName, schedulerName, name, st.Pressure, st.Limit, st.Circuit)
					}
					for _, m := range metrics(s) {
						if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
							t.Errorf("%s is %v", m.Name, m.Value)
						}
					}
				}
			})
		}
	}
}

func TestACallbackThatPanicsHurtsNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := 0
		s := shedder(t, never(), shed.OnShed(func(shed.Event) {
			told++
			if told%2 == 1 {
				panic("callback")
			}
			runtime.Goexit()
		}))
		h := s.Wrap(noop)
		for range 10 {
			if got := get(h); got != http.StatusServiceUnavailable {
				t.Errorf("status %d", got)
			}
			synctest.Wait()
		}
		if told != 10 {
			t.Errorf("told %d of 10", told)
		}
	})
}

func TestACallbackThatBlocksHoldsNobodyUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		var told atomic.Int64
		m := new(machine)
		m.set(1, 1)
		s := shedder(t, shed.WithSampler(m.sampler(t)), shed.WithCircuit(shed.CircuitSettings{Hold: 1, CoolDown: 10 * time.Millisecond}),
			shed.OnShed(func(shed.Event) { <-hold; told.Add(1) }),
			shed.OnStateChange(func(_, _ shed.CircuitState) { <-hold }))
		h := s.Wrap(noop)
		began := time.Now()
		get(h)
		time.Sleep(time.Millisecond)
		for range 3000 {
			get(h)
		}
		if took := time.Since(began); took != time.Millisecond {
			t.Errorf("serving took %v", took)
		}
		before := s.Stats()
		if before.Shed != 3000 || before.DroppedEvents < 3000-1024-1 || before.DroppedEvents > 3000-1024 {
			t.Errorf("shed %d, dropped %d events", before.Shed, before.DroppedEvents)
		}
		close(hold)
		synctest.Wait()
		if got := uint64(told.Load()) + before.DroppedEvents; got != 3000 {
			t.Errorf("told %d and dropped %d of 3000", told.Load(), before.DroppedEvents)
		}
	})
}

func TestACallbackMayCallBackIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := new(machine)
		m.set(1, 1)
		var s *shed.Shedder
		told, turned := 0, 0
		s = shedder(t, shed.WithSampler(m.sampler(t)), shed.WithCircuit(shed.CircuitSettings{Hold: 1}),
			shed.OnShed(func(shed.Event) {
				told++
				s.Stats()
				s.Collect(func(handrail.Metric) { s.Stats() })
				if err := s.Update(shed.WithMessage("another")); err != nil {
					t.Error(err)
				}
				get(s.Wrap(noop), "X-Within", "1")
			}),
			shed.OnStateChange(func(_, to shed.CircuitState) {
				turned++
				if s.Stats().Circuit != to {
					t.Errorf("told %v while %v", to, s.Stats().Circuit)
				}
				if err := s.Update(shed.WithStatus(429)); err != nil {
					t.Error(err)
				}
			}),
			shed.WithExempt(func(r *http.Request) bool { s.Stats(); return r.Header.Get("X-Within") != "" }),
			shed.WithPriority(func(*http.Request) handrail.Priority { s.Stats(); return handrail.Normal }))
		h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.Stats() }))
		for range 5 {
			get(h)
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if told != 4 || turned != 1 {
			t.Errorf("told %d refusals and %d changes", told, turned)
		}
	})
}

func TestAFunctionThatPanicsOnTheWayInLosesNoSlot(t *testing.T) {
	boom := func(r *http.Request) {
		if r.Header.Get("X-Boom") != "" {
			panic("boom")
		}
	}
	for name, opt := range map[string]shed.Option{
		"priority":   shed.WithPriority(func(r *http.Request) handrail.Priority { boom(r); return handrail.Normal }),
		"tenant":     shed.WithTenant(func(r *http.Request) string { boom(r); return "" }),
		"attempt":    shed.WithAttempt(func(r *http.Request) int { boom(r); return 0 }),
		"exempt":     shed.WithExempt(func(r *http.Request) bool { boom(r); return false }),
		"long-lived": shed.WithLongLived(func(r *http.Request) bool { boom(r); return false }),
	} {
		bubble(t, func(t *testing.T) {
			s := shedder(t, opt, fixed(2), shed.WithMaxWait(0))
			h := s.Wrap(desk)
			for range 5 {
				if c := settled(h, "X-Boom", "1"); c.raised != "boom" {
					t.Errorf("%s: raised %v", name, c.raised)
				}
			}
			empty(t, s)
			finish(fill(t, h, 2))
		})
	}
}

func TestAnAttemptFunctionMayReturnAnything(t *testing.T) {
	for _, attempt := range []int{math.MinInt, -1, 0, 1, math.MaxInt} {
		s := shedder(t, shed.WithAttempt(func(*http.Request) int { return attempt }))
		if got := get(s.Wrap(noop)); got != http.StatusOK {
			t.Errorf("attempt %d: status %d", attempt, got)
		}
	}
}
