package observe_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// What a policy further in decides is named with its instance and its reason,
// however many others stand between.
func TestAPolicyWithinNamesItselfAndItsReason(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	broken, err := breaker.New(breaker.WithName("payments"))
	must(err)
	broken.ForceOpen()
	fallback, err := breaker.New(breaker.WithName("fallen"), breaker.WithFallback(noop))
	must(err)
	fallback.ForceOpen()
	slow := handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	failing := handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	retried := retry.Middleware(retry.WithName("again"), retry.WithFixed(time.Millisecond))
	mux := func(h http.Handler) http.Handler {
		m := http.NewServeMux()
		m.Handle("/", h)
		return m
	}

	for _, tt := range []struct {
		name    string
		handler http.Handler
		status  int
		want    observe.Cause
	}{
		{"shed", shed.Middleware(shed.WithName("front"), shed.Using(func(shed.Snapshot, *http.Request) bool { return true }))(noop),
			503, observe.Cause{Outcome: "shed", Policy: "front", Reason: "custom"}},
		{"timeout", timeout.Middleware(timeout.WithName("quick"), timeout.Basic(20*time.Millisecond))(slow),
			503, observe.Cause{Outcome: "timeout", Policy: "quick", Reason: "deadline"}},
		{"breaker", broken.Wrap(noop), 503, observe.Cause{Outcome: "breaker_open", Policy: "payments", Reason: "forced"}},
		{"breaker with fallback", fallback.Wrap(noop), 200, observe.Cause{Outcome: "breaker_open", Policy: "fallen", Reason: "forced"}},
		{"bulkhead", bulkhead.Middleware(bulkhead.WithName("db"), bulkhead.Basic(0))(noop),
			503, observe.Cause{Outcome: "bulkhead_full", Policy: "db", Reason: "global"}},
		{"bulkhead of tenants", bulkhead.Middleware(bulkhead.PerTenant(handrail.ByHost, 0))(noop),
			429, observe.Cause{Outcome: "bulkhead_full", Reason: "tenant"}},
		{"retry around a breaker", retried(broken.Wrap(noop)), 503, observe.Cause{Outcome: "breaker_open", Policy: "payments", Reason: "forced"}},
		{"retry that runs out of time", retry.Middleware(retry.WithName("patient"), retry.WithAttempts(2),
			retry.WithFixed(time.Millisecond), retry.WithAttemptTimeout(10*time.Millisecond))(slow),
			504, observe.Cause{Outcome: "timeout", Policy: "patient", Reason: "exhausted"}},
		{"retry of a failure", retried(failing), 503, observe.Cause{}},
		{"all of them", mux(timeout.Middleware(timeout.Basic(time.Minute))(retried(broken.Wrap(bulkhead.Middleware()(noop))))),
			503, observe.Cause{Outcome: "breaker_open", Policy: "payments", Reason: "forced"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := newSeen()
			both(t, observer(t, observe.WithSink(sink)).Wrap(tt.handler), func(t *testing.T, srv *httptest.Server) {
				status, _ := get(t, srv, "/")
				x := sink.one(t)
				if x.Cause != tt.want || x.Status != tt.status || status != tt.status {
					t.Errorf("observed %d and %+v, want %d and %+v", x.Status, x.Cause, tt.status, tt.want)
				}
				wantType := tt.want.Outcome
				if wantType == "" {
					wantType = "503"
				}
				if x.ErrorType != wantType {
					t.Errorf("the error type is %q", x.ErrorType)
				}
				if refused := tt.want.Outcome != "" && tt.want.Outcome != "timeout"; x.Cause.Refused() != refused {
					t.Errorf("refused: %t", x.Cause.Refused())
				}
			})
		})
	}
}

// Whoever stands inside of a retry sees each attempt, and whoever stands outside
// the request, whatever else stands there.
func TestEachAttemptIsObservedFurtherIn(t *testing.T) {
	for _, chain := range []string{"alone", "behind another observer", "twice"} {
		t.Run(chain, func(t *testing.T) {
			sink, outside := newSeen(), newSeen()
			o, further := observer(t, observe.WithSink(sink)), observer(t, observe.WithSink(outside))
			attempts := 0
			h := retry.Middleware(retry.WithFixed(1), retry.WithoutBudget())(o.Wrap(handle(func(w http.ResponseWriter, r *http.Request) {
				if attempts++; attempts == 1 {
					w.WriteHeader(500)
				}
			})))
			var want []int
			switch chain {
			case "alone":
				want = []int{500, 200}
			case "behind another observer":
				h, want = further.Wrap(h), []int{500, 200}
			case "twice":
				h, want = o.Wrap(h), []int{200}
			}
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			var got []int
			for _, x := range sink.all {
				got = append(got, x.Status)
			}
			if !slices.Equal(got, want) {
				t.Errorf("observed %v, want %v", got, want)
			}
			if chain == "behind another observer" && (len(outside.all) != 1 || outside.all[0].Status != 200) {
				t.Errorf("further out: %+v", outside.all)
			}
		})
	}
}

// The handler goes on after its deadline, and may change its request while the
// exchange is being told of.
func TestAHandlerThatOutlivesItsTimeoutIsNoRace(t *testing.T) {
	for name, cut := range map[string]func(http.Handler) http.Handler{
		"timeout":             timeout.Middleware(timeout.Basic(5 * time.Millisecond)),
		"http.TimeoutHandler": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, 5*time.Millisecond, "") },
	} {
		t.Run(name, func(t *testing.T) {
			sink := newSeen()
			log, lines := lines(t, observe.WithHeaders("X-Changing"), observe.WithQuery())
			release := make(chan struct{})
			mux := http.NewServeMux()
			done := make(chan struct{}, 2)
			mux.HandleFunc("/late/{id}", func(w http.ResponseWriter, r *http.Request) {
				defer func() { done <- struct{}{} }()
				<-r.Context().Done()
				for range 1000 {
					r.Header.Set("X-Changing", "b")
					r.Header.Set("User-Agent", "c")
					r.URL.Path, r.URL.RawQuery, r.RemoteAddr = "/x", "y", "z"
				}
				<-release
			})
			both(t, observer(t, observe.WithSink(sink, log), observe.WithRequestIDs(), observe.WithAttrs(2)).Wrap(cut(mux)),
				func(t *testing.T, srv *httptest.Server) {
					status, _ := get(t, srv, "/late/1?q=2")
					release <- struct{}{}
					x := sink.one(t)
					if status != 503 || x.Status != 503 {
						t.Errorf("the status is %d, observed %d", status, x.Status)
					}
					<-done
				})
			for _, line := range lines() {
				if line["url.path"] != "/late/1" || line["url.query"] != "q=2" {
					t.Errorf("the line is %v", line)
				}
			}
		})
	}
}
