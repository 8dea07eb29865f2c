package retry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/shed"
)

// The refusals of this toolkit's own policies, each in its place within.
func TestWhatTheOtherPoliciesRefuseIsNotRepeated(t *testing.T) {
	for name, inner := range map[string]func(http.Handler) http.Handler{
		"shed":     shed.Middleware(shed.Using(func(shed.Snapshot, *http.Request) bool { return true })),
		"breaker":  breaker.Middleware(breaker.WithMode(breaker.ForcedOpen)),
		"bulkhead": bulkhead.Middleware(bulkhead.Basic(0)),
	} {
		p := made(t, eager()...)
		asked, served := 0, 0
		counting := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; next.ServeHTTP(w, r) })
		}
		h := handrail.Chain(p.Wrap, counting, inner)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusServiceUnavailable || asked != 1 || served != 0 {
			t.Errorf("%s: status %d, asked %d times, served %d", name, w.Code, asked, served)
		}
	}
}

// The same for clients, whose policies refuse with an error.
func TestWhatTheOtherTransportsRefuseIsNotSentAgain(t *testing.T) {
	open, err := breaker.New(breaker.WithMode(breaker.ForcedOpen))
	if err != nil {
		t.Fatal(err)
	}
	full, err := bulkhead.New(bulkhead.Basic(0), bulkhead.WithMaxWait(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for name, inner := range map[string]http.RoundTripper{"breaker": open.Transport(nil), "bulkhead": full.Transport(nil)} {
		p := made(t, eager()...)
		asked := 0
		rt := p.Transport(roundTrips(func(r *http.Request) (*http.Response, error) { asked++; return inner.RoundTrip(r) }))
		if _, err := rt.RoundTrip(httptest.NewRequest("GET", "http://nowhere.invalid/", nil)); err == nil || asked != 1 {
			t.Errorf("%s: asked %d times: %v", name, asked, err)
		}
	}
}

type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
