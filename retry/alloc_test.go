package retry_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/retry"
)

var payload = []byte("hello")

// Allocations are exact, so what a request may cost of them is pinned.
func TestAFirstAttemptThatIsGoodAllocatesOnce(t *testing.T) {
	if race.Enabled {
		t.Skip("allocations are different under the race detector")
	}
	contentType := []string{"text/plain"}
	plain := httptest.NewRequest("GET", "/", nil)
	usual := httptest.NewRequest("GET", "/path?a=b", nil)
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "User-Agent", "X-Forwarded-For", "X-Request-Id"} {
		usual.Header.Set(name, "a value")
	}
	for _, tc := range []struct {
		name    string
		r       *http.Request
		handler http.HandlerFunc
		opts    []retry.Option
		most    float64
	}{
		{"a handler that does nothing", plain, func(http.ResponseWriter, *http.Request) {}, nil, 1},
		{"a handler that writes", plain, func(w http.ResponseWriter, _ *http.Request) { w.Write(payload) }, nil, 1},
		{"a handler that writes a status", usual, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.Write(payload) }, nil, 1},
		// The map of its own that the handler gets, and the first bucket of it.
		{"a handler that sets a header", usual, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = contentType
			w.Write(payload)
		}, nil, 3},
		{"a method that is not repeated", httptest.NewRequest("POST", "/", nil), func(w http.ResponseWriter, _ *http.Request) { w.Write(payload) }, nil, 0},
		{"an exempt request", plain, func(w http.ResponseWriter, _ *http.Request) { w.Write(payload) },
			[]retry.Option{retry.WithExempt(func(*http.Request) bool { return true })}, 0},
	} {
		h := retry.Middleware(tc.opts...)(tc.handler)
		w := &nullHTTP1{http.Header{}}
		got := testing.AllocsPerRun(2000, func() {
			clear(w.header)
			h.ServeHTTP(w, tc.r)
		})
		if got > tc.most {
			t.Errorf("%s: %v allocations, want %v at most", tc.name, got, tc.most)
		}
	}
}
