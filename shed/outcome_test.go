package shed_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/shed"
)

// ways are all ways in which a request can end, and what the load makes of it.
var ways = []struct {
	name    string
	end     func(http.ResponseWriter, *http.Request)
	cancel  bool // the client leaves first
	counted bool
	failed  bool
	raised  any
}{
	{name: "nothing written", counted: true},
	{name: "a body without a status", counted: true, end: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }},
	{name: "200", counted: true, end: status(200)},
	{name: "204", counted: true, end: status(204)},
	{name: "302", counted: true, end: status(302)},
	{name: "400", counted: true, end: status(400)},
	{name: "404", counted: true, end: status(404)},
	{name: "429", counted: true, end: status(429)},
	{name: "499", counted: true, end: status(499)},
	{name: "500", counted: true, failed: true, end: status(500)},
	{name: "503 of the handler itself", counted: true, failed: true, end: status(503)},
	{name: "599", counted: true, failed: true, end: status(599)},
	{name: "200 first, 500 too late", counted: true, end: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); w.WriteHeader(500) }},
	{name: "103, then 500", counted: true, failed: true, end: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(500) }},
	{name: "a panic", counted: true, failed: true, raised: "boom", end: func(http.ResponseWriter, *http.Request) { panic("boom") }},
	{name: "a panic after 200", counted: true, failed: true, raised: "boom", end: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("boom") }},
	{name: "ErrAbortHandler", counted: true, failed: true, raised: http.ErrAbortHandler, end: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	{name: "Goexit", counted: true, failed: true, end: func(http.ResponseWriter, *http.Request) { runtime.Goexit() }},
	{name: "the client left", cancel: true, end: status(200)},
	{name: "the client left, then 500", cancel: true, end: status(500)},
	{name: "the client left, then a panic", cancel: true, raised: "boom", end: func(http.ResponseWriter, *http.Request) { panic("boom") }},
	{name: "the client left, then ErrAbortHandler", cancel: true, raised: http.ErrAbortHandler, end: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	{name: "an inner shedder refused", end: inner(httpwrap.Shed, 503)},
	{name: "an inner breaker refused", end: inner(httpwrap.BreakerOpen, 503)},
	{name: "an inner bulkhead refused", end: inner(httpwrap.BulkheadFull, 503)},
	{name: "an inner timeout", counted: true, failed: true, end: inner(httpwrap.Timeout, 504)},
	{name: "an inner timeout, whose client left before the handler was done", cancel: true, counted: true, failed: true, end: inner(httpwrap.Timeout, 504)},
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// inner is what a package further in does when it interferes.
func inner(o httpwrap.Outcome, code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		httpwrap.Find(w).SetOutcome(o)
		w.WriteHeader(code)
	}
}

func TestOnlyAnswersOfTheServiceEnterLatencyAndErrors(t *testing.T) {
	for _, strategy := range []shed.Option{shed.Basic(), shed.WithStrategy(shed.Random)} {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					sampler := idle(t)
					s := shedder(t, strategy, shed.WithSampler(sampler))
					c := settled(s.Wrap(desk))
					if got := s.Stats().Load.InFlight; got != 1 {
						t.Errorf("%d in flight while the request is inside", got)
					}
					time.Sleep(80 * time.Millisecond)
					if way.cancel {
						c.cancel()
					}
					c.release <- way.end
					synctest.Wait()
					if !c.over.Load() || c.raised != way.raised {
						t.Errorf("over: %t, raised %v, want %v", c.over.Load(), c.raised, way.raised)
					}
					l := s.Stats().Load
					if counted := l.Samples == 1; counted != way.counted {
						t.Errorf("%d samples", l.Samples)
					}
					if failed := l.ErrorRate == 1; failed != way.failed {
						t.Errorf("error rate %v", l.ErrorRate)
					}
					if way.counted && l.Mean != 80*time.Millisecond {
						t.Errorf("mean latency %v, want 80ms", l.Mean)
					}
					if !way.counted && (l.Mean != 0 || l.Rate != 0 || l.ErrorRate != 0) {
						t.Errorf("left a trace: %+v", l)
					}
					if st := s.Stats(); st.Admitted != 1 || st.Shed != 0 {
						t.Errorf("admitted %d, shed %d", st.Admitted, st.Shed)
					}
					empty(t, s)
				})
			})
		}
	}
}

func TestTimeInTheWaitingRoomIsNoLatencyOfTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		first := settled(h)
		second := settled(h)
		time.Sleep(50 * time.Millisecond)
		finish([]*call{first})
		time.Sleep(10 * time.Millisecond)
		finish([]*call{second})
		if l := s.Stats().Load; l.Samples != 2 || l.Mean != 30*time.Millisecond {
			t.Errorf("%d samples, mean %v, want 2 and 30ms", l.Samples, l.Mean)
		}
	})
}

func TestShedRequestsEnterNeitherLatencyNorErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, opts := range map[string][]shed.Option{
			"adaptive": {fixed(1), shed.WithMaxWait(0)},
			"random":   {shed.WithStrategy(shed.Random), shed.WithRates(1, 1)},
			"priority": {shed.ByPriority(map[handrail.Priority]float64{handrail.Normal: 1}), shed.WithRates(1, 1)},
			"custom":   {shed.Using(func(shed.Snapshot, *http.Request) bool { return true })},
		} {
			s := shedder(t, opts...)
			h := s.Wrap(desk)
			c := settled(h)
			if share := shedShare(h, 50); share != 1 {
				t.Fatalf("%s: shed only %v", name, share)
			}
			if l := s.Stats().Load; l.Samples != 0 || l.InFlight > 1 || l.ErrorRate != 0 {
				t.Errorf("%s: shed requests left %+v", name, l)
			}
			finish([]*call{c})
		}
	})
}

func TestRefusalsAndDeparturesAreNamedForPackagesFurtherOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		var outcome httpwrap.Outcome
		outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rw, rec, _ := httpwrap.Wrap(w)
			defer rec.Release()
			h.ServeHTTP(rw, r)
			outcome = rec.Outcome()
		})
		first := settled(h)
		c := settled(outside)
		if c.over.Load() {
			t.Fatal("did not wait")
		}
		c.cancel()
		synctest.Wait()
		if outcome != httpwrap.Canceled {
			t.Errorf("a client that left the room is %q", outcome)
		}
		c = settled(outside)
		time.Sleep(time.Minute)
		synctest.Wait()
		if outcome != httpwrap.Shed || c.answer.Code != http.StatusServiceUnavailable {
			t.Errorf("a refusal is %q with status %d", outcome, c.answer.Code)
		}
		finish([]*call{first})
	})
}

func TestOneSamplerCountsARequestOnceThroughSeveralShedders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sampler := idle(t)
		outer := shedder(t, shed.WithSampler(sampler))
		within := shedder(t, shed.WithSampler(sampler), shed.WithStrategy(shed.Random))
		c := settled(outer.Wrap(within.Wrap(desk)))
		if got := sampler.InFlight(); got != 1 {
			t.Errorf("%d in flight", got)
		}
		finish([]*call{c})
		if got := sampler.Snapshot(); got.InFlight != 0 || got.Samples != 1 {
			t.Errorf("afterwards %d in flight and %d samples", got.InFlight, got.Samples)
		}
		if a, b := outer.Stats().Admitted, within.Stats().Admitted; a != 1 || b != 1 {
			t.Errorf("admitted %d outside and %d within", a, b)
		}
	})
}

func TestARefusalWithinIsNoFailureOutside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sampler := idle(t)
		outer := shedder(t, shed.WithSampler(sampler))
		within := shedder(t, shed.WithSampler(sampler), shed.Using(func(shed.Snapshot, *http.Request) bool { return true }))
		if got := get(outer.Wrap(within.Wrap(noop))); got != http.StatusServiceUnavailable {
			t.Fatalf("status %d", got)
		}
		if l := sampler.Snapshot(); l.Samples != 0 || l.ErrorRate != 0 {
			t.Errorf("%d samples, error rate %v", l.Samples, l.ErrorRate)
		}
	})
}

func TestExemptRequestsAreNeverShedAndNeverSampled(t *testing.T) {
	for name, opts := range map[string][]shed.Option{
		"adaptive": {fixed(1), shed.WithMaxWait(0)},
		"random":   {shed.WithStrategy(shed.Random), shed.WithRates(1, 1)},
		"circuit":  {shed.WithCircuit(shed.CircuitSettings{Hold: 1})},
		"custom":   {shed.Using(func(shed.Snapshot, *http.Request) bool { return true })},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := new(machine)
				m.set(1, 1)
				sampler := m.sampler(t)
				s := shedder(t, append(opts, shed.WithSampler(sampler),
					shed.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/healthz" }),
					shed.WithTenant(func(r *http.Request) string {
						if r.URL.Path == "/healthz" {
							t.Error("an exempt request was asked for its tenant")
						}
						return ""
					}))...)
				h := s.Wrap(desk)
				c := settled(h)
				time.Sleep(time.Second)
				if share := shedShare(h, 20); share != 1 {
					t.Fatalf("shed %v of the others", share)
				}
				before := s.Stats()
				healthz := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if httpwrap.Find(w) != nil {
						t.Error("the writer of an exempt request was wrapped")
					}
					if sampler.InFlight() != before.Load.InFlight {
						t.Error("an exempt request was counted as in flight")
					}
					time.Sleep(time.Second)
					w.WriteHeader(http.StatusInternalServerError)
				}))
				for range 10 {
					w := httptest.NewRecorder()
					healthz.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
					if w.Code != http.StatusInternalServerError {
						t.Errorf("status %d", w.Code)
					}
				}
				after := s.Stats()
				if after.Admitted != before.Admitted || after.Shed != before.Shed || after.Load.Samples != before.Load.Samples {
					t.Errorf("exempt requests were counted: %+v, then %+v", before, after)
				}
				finish([]*call{c})
			})
		})
	}
}

func TestADeadlineThatPassedInTheHandlerIsJudgedByTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		c := startContext(ctx, s.Wrap(desk))
		time.Sleep(20 * time.Millisecond)
		c.release <- status(http.StatusGatewayTimeout)
		synctest.Wait()
		if l := s.Stats().Load; l.Samples != 1 || l.ErrorRate != 1 {
			t.Errorf("%d samples, error rate %v", l.Samples, l.ErrorRate)
		}
	})
}
