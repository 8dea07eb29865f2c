package handrail_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

func TestKeysAreBounded(t *testing.T) {
	long := strings.Repeat("k", 1<<20)
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.RemoteAddr = long, long
	r.Header.Set("X-Tenant", long)
	for name, key := range map[string]handrail.KeyFunc{
		"ByHost": handrail.ByHost, "ByClient": handrail.ByClient, "ByHeader": handrail.ByHeader("x-tenant"),
	} {
		if got := len(key(r)); got != handrail.MaxKeyLen {
			t.Errorf("%s returned a key of %d bytes, want %d", name, got, handrail.MaxKeyLen)
		}
	}
}

func TestByRouteIsThePatternAndNeverThePath(t *testing.T) {
	var before, inside string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(_ http.ResponseWriter, r *http.Request) { inside = handrail.ByRoute(r) })
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before = handrail.ByRoute(r)
		mux.ServeHTTP(w, r)
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
	if before != "" || inside != "GET /users/{id}" {
		t.Errorf("before the mux %q, inside %q", before, inside)
	}
}

func TestByClientIsTheAddressWithoutThePort(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:4711":             "192.0.2.7",
		"[::ffff:192.0.2.7]:4711":    "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":          "fe80::/64",
		"@":                          "@",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if got := handrail.ByClient(r); got != want {
			t.Errorf("%s has the key %q, want %q", remote, got, want)
		}
	}
}

func TestByHeaderIgnoresRepeatedOnes(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	key := handrail.ByHeader("X-Tenant")
	if got := key(r); got != "" {
		t.Errorf("absent: %q", got)
	}
	r.Header.Add("X-Tenant", "a")
	if got := key(r); got != "a" {
		t.Errorf("present: %q", got)
	}
	r.Header.Add("X-Tenant", "b")
	if got := key(r); got != "" {
		t.Errorf("repeated: %q", got)
	}
}

func TestByMuxKnowsTheRouteBeforeTheMuxDoes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	key := handrail.ByMux(mux)
	for path, want := range map[string]string{"/orders/7": "GET /orders/{id}", "/orders/8": "GET /orders/{id}", "/else": ""} {
		r := httptest.NewRequest("GET", path, nil)
		if got := key(r); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if r.Pattern != "" {
			t.Errorf("%s: asking changed the request's pattern to %q", path, r.Pattern)
		}
	}
	if got := handrail.ByMux(nil)(httptest.NewRequest("GET", "/nothing-there", nil)); got != "" {
		t.Errorf("the default mux knows %q", got)
	}
}
