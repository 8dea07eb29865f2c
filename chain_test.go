package handrail_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

// trace is a middleware that notes the way in and the way out.
func trace(name string, log *[]string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*log = append(*log, name+" in")
			next.ServeHTTP(w, r)
			*log = append(*log, name+" out")
		})
	}
}

func TestChainPutsTheFirstOutermost(t *testing.T) {
	var log []string
	last := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { log = append(log, "handler") })
	h := handrail.Chain(trace("a", &log), trace("b", &log))(last)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	want := "a in, b in, handler, b out, a out"
	if got := strings.Join(log, ", "); got != want {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestChainOfNothingIsTheHandler(t *testing.T) {
	served := false
	h := handrail.Chain()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if !served {
		t.Error("the handler was not served")
	}
}

func TestChainKeepsItsOwnCopy(t *testing.T) {
	var log []string
	mws := []func(http.Handler) http.Handler{trace("a", &log)}
	chain := handrail.Chain(mws...)
	mws[0] = trace("b", &log)
	chain(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if log[0] != "a in" {
		t.Errorf("a change of the caller's slice changed the chain: %q", log[0])
	}
}

func TestChainRefusesNil(t *testing.T) {
	defer func() {
		if got, _ := recover().(string); !strings.Contains(got, "middleware 1 is nil") {
			t.Errorf("panicked with %q, want it to name middleware 1", got)
		}
	}()
	handrail.Chain(trace("a", new([]string)), nil)
}
