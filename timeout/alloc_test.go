package timeout_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// Allocations are exact, so what a request may cost of them is pinned.
func TestARequestAllocatesAsLittleAsItDid(t *testing.T) {
	if race.Either(false, true) {
		t.Skip("allocations are different under the race detector")
	}
	silent := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	json := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
	for _, tc := range []struct {
		name    string
		handler http.Handler
		proto   int
		most    float64
	}{
		{"HTTP/1, a handler that does nothing", silent, 1, 4},
		{"HTTP/1, a short answer with a header", json, 1, 7}, // one of them the handler's own
		{"HTTP/2, a handler that does nothing", silent, 2, 6},
		{"HTTP/2, a short answer with a header", json, 2, 9},
	} {
		h := timeout.Middleware()(tc.handler)
		r := httptest.NewRequest("GET", "/", nil)
		r.ProtoMajor = tc.proto
		header := http.Header{}
		var w http.ResponseWriter = &nullHTTP1{nullStream{header}}
		if tc.proto == 2 {
			w = &nullHTTP2{nullStream{header}}
		}
		got := testing.AllocsPerRun(2000, func() {
			clear(header)
			h.ServeHTTP(w, r)
		})
		if got > tc.most {
			t.Errorf("%s: %v allocations, want %v at most", tc.name, got, tc.most)
		}
	}
}
