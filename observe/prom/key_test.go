package prom

import (
	"net/http"
	"testing"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/observe"
)

// What a key says is what the exchange said, and no two exchanges that differ in
// a label have one key.
func TestAKeyIsAsGoodAsItsLabels(t *testing.T) {
	seen := map[key][5]string{}
	for _, method := range append(methods[:], "BREW") {
		for _, scheme := range []string{"http", "https"} {
			for _, status := range []int{0, 100, 101, 200, 404, 500, 503, 599, 600, 999} {
				for _, kind := range append(errorTypes[:], "500", "503", "600+", "new") {
					for _, long := range []bool{false, true} {
						x := &observe.Exchange{Method: method, Scheme: scheme, Status: status, ErrorType: kind, LongLived: long}
						k := keyOf(x)
						labels := [5]string{k.method(), k.scheme(), k.status(), k.errorType()}
						if k.longLived() {
							labels[4] = "long-lived"
						}
						if before, ok := seen[k]; ok && before != labels {
							t.Fatalf("%v and %v have one key", before, labels)
						}
						seen[k] = labels
						if k.scheme() != scheme || k.longLived() != long || method != "BREW" && k.method() != method {
							t.Fatalf("%+v is %v", x, labels)
						}
						if methodAndScheme(x) != k&(keyMethod|keyScheme) {
							t.Fatalf("the gauge of %+v is another one at its start", x)
						}
						if n := int(k) % gauges; key(n) != methodAndScheme(x) {
							t.Fatalf("the gauge of %+v is another one at its end", x)
						}
					}
				}
			}
		}
	}
	for _, tc := range []struct {
		status       int
		kind         string
		code, errors string
		coarse       string
	}{
		{200, "", "200", "", "2xx"},
		{0, "panic", "unknown", "panic", "unknown"},
		{599, "599", "599", "599", "5xx"},
		{600, "600+", "unknown", "_OTHER", "unknown"},
		{503, "shed", "503", "shed", "5xx"},
		{404, "500", "404", "_OTHER", "4xx"},
	} {
		k := keyOf(&observe.Exchange{Status: tc.status, ErrorType: tc.kind})
		if k.status() != tc.code || k.errorType() != tc.errors || k.coarse().status() != tc.coarse {
			t.Errorf("%d %q is %q %q, coarse %q", tc.status, tc.kind, k.status(), k.errorType(), k.coarse().status())
		}
	}
}

// A method or an outcome that is new elsewhere must not end up as another.
func TestEveryMethodAndOutcomeHasALabel(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace} {
		if got := keyOf(&observe.Exchange{Method: method}).method(); got != method {
			t.Errorf("%s is %s", method, got)
		}
	}
	for o := httpwrap.Outcome(0); o == httpwrap.None || o.String() != ""; o++ {
		if got := keyOf(&observe.Exchange{ErrorType: o.String()}).errorType(); got != o.String() {
			t.Errorf("%s is %s", o, got)
		}
	}
}
