package breaker_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/race"
)

func perTenant(opts ...breaker.Option) []breaker.Option {
	return append([]breaker.Option{breaker.PerTenant(handrail.ByHeader("X-Tenant"))}, opts...)
}

func TestOneKeyDoesNotOpenForTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant()...)
		d := drive(b)
		d.trip(5, "X-Tenant", "acme")
		if d.do(fine, "X-Tenant", "acme") || !d.do(fine, "X-Tenant", "globex") || !d.do(fine) {
			t.Error("the wrong one is open")
		}
	})
}

func TestPerOperationKnowsTheRouteAndNeverThePath(t *testing.T) {
	b := made(t, breaker.PerOperation())
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })))
	mux.Handle("GET /users/{id}", b.Wrap(noop))
	for i := range 10 {
		for _, kind := range []string{"orders", "users"} {
			mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprintf("/%s/%d", kind, i), nil))
		}
	}
	if circuits := b.Stats().Circuits; len(circuits) != 2 || circuitOf(b, "GET /orders/{id}").State != breaker.Open || circuitOf(b, "GET /users/{id}").State != breaker.Closed {
		t.Errorf("%+v", circuits)
	}
}

func TestAMillionKeysStayWithinTheBoundAndAnOpenOneIsKept(t *testing.T) {
	b := made(t, perTenant(breaker.WithMaxKeys(100))...)
	d := drive(b)
	d.trip(5, "X-Tenant", "acme")
	h := b.Wrap(noop)
	w, r := &nullWriter{http.Header{}}, httptest.NewRequest("GET", "/", nil)
	for i := range race.Either(1_000_000, 20_000) {
		r.Header["X-Tenant"] = []string{strconv.Itoa(i)}
		h.ServeHTTP(w, r)
	}
	if s := b.Stats(); len(s.Circuits) > 100 || s.SharedKeys != 0 || s.ForgottenOpen != 0 {
		t.Errorf("%d circuits, %d shared, %d forgotten", len(s.Circuits), s.SharedKeys, s.ForgottenOpen)
	}
	if d.do(fine, "X-Tenant", "acme") {
		t.Error("the open one was forgotten")
	}
}

func TestKeysThatFindNoPlaceShareOneCircuit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithMaxKeys(3))...)
		d := drive(b)
		for i := range 3 {
			d.trip(5, "X-Tenant", strconv.Itoa(i))
		}
		for i := range 5 {
			if !d.do(failed, "X-Tenant", fmt.Sprint("new", i)) {
				t.Error("refused")
			}
		}
		if d.do(fine, "X-Tenant", "another") {
			t.Error("they do not share their circuit")
		}
		s := b.Stats()
		last := s.Circuits[len(s.Circuits)-1]
		if len(s.Circuits) != 4 || !last.Shared || last.State != breaker.Open || s.SharedKeys != 6 {
			t.Errorf("%+v", s)
		}
	})
}

// What is not closed is kept as long as somebody asks for it or its open time
// lasts, and then its place goes to others, but not in silence.
func TestAnOpenCircuitIsForgottenOnlyLongAfterItsOpenTimeAndSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var last breaker.Event
		b := made(t, perTenant(breaker.WithMaxKeys(1), breaker.WithGrowth(2, time.Hour), breaker.OnStateChange(func(e breaker.Event) { last = e }))...)
		d := drive(b)
		d.trip(5, "X-Tenant", "acme")
		wait(time.Minute)
		d.do(fine, "X-Tenant", "acme") // half-open
		wait(time.Hour - 1)
		d.do(fine, "X-Tenant", "other")
		if got := circuitOf(b, "acme").State; got != breaker.HalfOpen {
			t.Errorf("acme is %v", got)
		}
		wait(1)
		d.do(fine, "X-Tenant", "other")
		synctest.Wait()
		if s := b.Stats(); s.ForgottenOpen != 1 || s.Circuits[0].Key != "other" || last.Key != "acme" || last.Cause != breaker.CauseForgotten || last.To != breaker.Closed {
			t.Errorf("%+v, told %+v", s, last)
		}
	})
}

func TestACircuitThatIsAskedForIsKeptHoweverLongItDoesNotClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithMaxKeys(1))...)
		d := drive(b)
		d.trip(5, "X-Tenant", "acme")
		for range 10 {
			wait(time.Minute - 1)
			d.do(canceled, "X-Tenant", "acme")
			d.do(fine, "X-Tenant", "other")
		}
		if got := circuitOf(b, "acme").State; got != breaker.HalfOpen {
			t.Errorf("%v", got)
		}
	})
}

func TestACircuitIsKeptWhileOneOfItsRequestsIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithMaxKeys(1), breaker.WithConsecutiveFailures(1))...)
		d := drive(b)
		c := d.start("X-Tenant", "acme")
		for i := range 100 {
			d.do(fine, "X-Tenant", strconv.Itoa(i))
		}
		c.finish(failed)
		if d.do(fine, "X-Tenant", "acme") {
			t.Error("its circuit was forgotten")
		}
	})
}

func TestKeysAreCut(t *testing.T) {
	b := made(t, breaker.WithKey(func(*http.Request) string { return strings.Repeat("k", 1<<20) }))
	drive(b).do(fine)
	if got := len(b.Stats().Circuits[0].Key); got != handrail.MaxKeyLen {
		t.Errorf("a key of %d bytes", got)
	}
	b.Key(strings.Repeat("k", 1<<20)).ForceOpen()
	if drive(b).do(fine) {
		t.Error("the key is not found again")
	}
}

func TestTheStateOfAKeyIsTheOneThatARequestWouldFind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithSuccesses(1))...)
		d := drive(b)
		is := func(key string, want breaker.State) {
			t.Helper()
			if got := b.Key(key).State(); got != want {
				t.Errorf("%q is %v, want %v", key, got, want)
			}
		}
		is("acme", breaker.Closed)
		if n := len(b.Stats().Circuits); n != 0 {
			t.Errorf("to ask has made %d circuits", n)
		}
		d.do(fine, "X-Tenant", "acme")
		is("acme", breaker.Closed)
		d.trip(5, "X-Tenant", "acme")
		is("acme", breaker.Open)
		is("globex", breaker.Closed)
		wait(time.Minute - 1)
		is("acme", breaker.Open)
		wait(1)
		is("acme", breaker.HalfOpen) // although nobody has asked
		if got := circuitOf(b, "acme").State; got != breaker.Open {
			t.Errorf("to ask has made it %v", got)
		}
		probe := d.start("X-Tenant", "acme")
		is("acme", breaker.HalfOpen)
		if d.do(fine, "X-Tenant", "acme") {
			t.Error("let in beside the probe")
		}
		probe.finish(fine)
		is("acme", breaker.Closed)
		b.Key("acme").ForceOpen()
		is("acme", breaker.Closed) // a mode is no state
	})
}

func TestTheStateOfTheOneCircuitIsThatOfTheEmptyKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t)
		drive(b).trip(5)
		if got := b.Key("").State(); got != breaker.Open {
			t.Errorf("%v", got)
		}
		if got := b.Key("acme").State(); got != breaker.Closed {
			t.Errorf("a key without a circuit is %v", got)
		}
	})
}

func TestAskingForAStateAllocatesNothingAndIsNoUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithMaxKeys(2))...)
		d := drive(b)
		d.do(fine, "X-Tenant", "a")
		d.do(fine, "X-Tenant", "b")
		ask := func() { b.Key("a").State() }
		if n := testing.AllocsPerRun(100, ask); n != 0 && !race.Enabled {
			t.Errorf("%v allocations", n)
		}
		d.do(fine, "X-Tenant", "c") // takes the place of the least recently used
		for _, c := range b.Stats().Circuits {
			if c.Key == "a" {
				t.Error("a was kept because somebody asked for its state")
			}
		}
	})
}
