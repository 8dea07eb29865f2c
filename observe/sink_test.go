package observe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/observe"
)

// script is a sink of functions.
type script struct {
	start, observe, longLived func(*observe.Exchange)
}

func (s *script) Start(x *observe.Exchange)     { call(s.start, x) }
func (s *script) Observe(x *observe.Exchange)   { call(s.observe, x) }
func (s *script) LongLived(x *observe.Exchange) { call(s.longLived, x) }

func call(f func(*observe.Exchange), x *observe.Exchange) {
	if f != nil {
		f(x)
	}
}

func TestASinkThatPanicsTakesNothingDown(t *testing.T) {
	calls := map[string]int{}
	counting := func(name string) *script {
		f := func(what string) func(*observe.Exchange) {
			return func(*observe.Exchange) { calls[name+" "+what]++ }
		}
		return &script{f("start"), f("observe"), f("long-lived")}
	}
	bad := func(*observe.Exchange) { panic("sink") }
	o := observer(t, observe.WithSink(counting("first"), &script{bad, bad, bad}, counting("second"), &script{bad, bad, bad}))
	h := o.Wrap(handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte("data"))
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request())
	if w.Body.String() != "data" {
		t.Errorf("the body is %q", w.Body)
	}
	for _, name := range []string{"first start", "first observe", "first long-lived", "second start", "second observe", "second long-lived"} {
		if calls[name] != 1 {
			t.Errorf("%s was called %d times", name, calls[name])
		}
	}
	if s := o.Stats(); s.SinkPanics != 6 || s.Requests != 1 || s.InFlight != 0 || s.LongLived != 0 {
		t.Errorf("statistics are %+v", s)
	}
}

func TestASinkThatPanicsDoesNotHideTheHandlersPanic(t *testing.T) {
	o := observer(t, observe.WithSink(observe.SinkFunc(func(*observe.Exchange) { panic("sink") })))
	defer func() {
		if v := recover(); v != errBoom {
			t.Errorf("panicked with %v", v)
		}
		if s := o.Stats(); s.SinkPanics != 1 || s.Outcomes["panic"] != 1 || s.InFlight != 0 {
			t.Errorf("statistics are %+v", s)
		}
	}()
	o.Wrap(handle(func(http.ResponseWriter, *http.Request) { panic(errBoom) })).ServeHTTP(httptest.NewRecorder(), request())
}

func TestEachSinkIsToldWhereOneEndsTheGoroutine(t *testing.T) {
	told := 0
	count := observe.SinkFunc(func(*observe.Exchange) { told++ })
	o := observer(t, observe.WithSink(count, observe.SinkFunc(func(*observe.Exchange) { runtime.Goexit() }), count))
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Wrap(noop).ServeHTTP(httptest.NewRecorder(), request())
	}()
	<-done
	if s := o.Stats(); told != 2 || s.SinkPanics != 1 || s.InFlight != 0 {
		t.Errorf("%d were told, statistics are %+v", told, s)
	}
}

func TestASinksContextReachesTheHandlerAndTheSinksAfterIt(t *testing.T) {
	var before, after, observed any
	o := observer(t, observe.WithSink(
		&script{start: func(x *observe.Exchange) { before = x.Context().Value(contextKey{}) }},
		contextual{discard},
		&script{
			start:   func(x *observe.Exchange) { after = x.Context().Value(contextKey{}) },
			observe: func(x *observe.Exchange) { observed = x.Context().Value(contextKey{}) },
		},
	))
	o.Wrap(handle(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Context().Value(contextKey{}); got != "set" {
			t.Errorf("the handler got %v", got)
		}
	})).ServeHTTP(httptest.NewRecorder(), request())
	if before != nil || after != "set" || observed != "set" {
		t.Errorf("the sinks saw %v, %v and %v", before, after, observed)
	}
}

func TestWhatTheFilterLeavesOutIsOnlyCounted(t *testing.T) {
	sink := newSeen()
	o := observer(t, observe.WithSink(sink), observe.WithRequestIDs(), observe.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	h := o.Wrap(noop)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if s := o.Stats(); s.Skipped != 1 || s.Requests != 1 || len(sink.all) != 1 || len(w.Header()) != 0 {
		t.Errorf("statistics are %+v, with %d exchanges and header %v", s, len(sink.all), w.Header())
	}
}

func TestAFollowerIsToldOfWhatWasLongLivedBeforeItCame(t *testing.T) {
	follower := &following{seen: newSeen()}
	o := observer(t, observe.WithSink(follower))
	inner := o.Wrap(noop)
	observe.Middleware()(handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		inner.ServeHTTP(w, r)
	})).ServeHTTP(httptest.NewRecorder(), request())
	if x := follower.seen.one(t); follower.told != 1 || follower.untimely || !x.LongLived {
		t.Errorf("the follower was told %d times, untimely: %t", follower.told, follower.untimely)
	}
	if s := o.Stats(); s.LongLived != 0 || s.InFlight != 0 {
		t.Errorf("statistics are %+v", s)
	}
}

// What is long-lived only after its end counts no more.
func TestAnExchangeThatIsOverDoesNotBecomeLongLived(t *testing.T) {
	told, free := make(chan struct{}), make(chan struct{})
	outer := observer(t, observe.WithSink(&script{longLived: func(*observe.Exchange) { close(told); <-free }}))
	late := 0
	o := observer(t, observe.WithSink(&script{
		observe:   func(*observe.Exchange) { close(free) },
		longLived: func(*observe.Exchange) { late++ },
	}))
	wrote := make(chan struct{})
	outer.Wrap(o.Wrap(handle(func(w http.ResponseWriter, r *http.Request) {
		httpwrap.Find(w).Retain() // as who lets a handler outlive its exchange does
		go func() {
			defer close(wrote)
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(200)
		}()
		<-told
	}))).ServeHTTP(httptest.NewRecorder(), request())
	<-wrote
	if s := o.Stats(); late != 0 || s.LongLived != 0 || s.InFlight != 0 || s.Requests != 1 {
		t.Errorf("the follower was told %d times, statistics are %+v", late, s)
	}
}

func TestNoContextIsTheRequests(t *testing.T) {
	o := observer(t, observe.WithSink(&script{start: func(x *observe.Exchange) { var none context.Context; x.SetContext(none) }}))
	o.Wrap(handle(func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Value(contextKey{}) != "there" {
			t.Error("the handler got another context")
		}
	})).ServeHTTP(httptest.NewRecorder(), request().WithContext(context.WithValue(context.Background(), contextKey{}, "there")))
}
