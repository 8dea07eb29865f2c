package httptorture

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
)

var abortCases = []testCase{
	{"panic", both, true, func(e *env) { panicWith(e, &treasure{1}, false) }},
	{"panic-of-the-runtime", both, false, func(e *env) { panicWith(e, errRuntime, false) }},
	{"panic-after-half-a-body", both, true, func(e *env) { panicWith(e, &treasure{2}, true) }},
	{"abort", both, true, func(e *env) { panicWith(e, http.ErrAbortHandler, false) }},
	{"abort-after-half-a-body", both, true, func(e *env) { panicWith(e, http.ErrAbortHandler, true) }},
	{"goexit", both, true, goexit},
	{"panics-lose-nothing", both, false, panicsLoseNothing},
	{"goexits-lose-nothing", both, false, goexitsLoseNothing},
}

// treasure is a panic value that can be told from its copies.
type treasure struct{ n int }

// errRuntime stands for what a nil dereference panics with.
var errRuntime = errors.New("a runtime.Error")

// ending is how a handler came back to whoever called it.
type ending struct {
	returned bool
	value    any
}

// watch reports how next ends and lets it end like that.
func watch(next http.Handler, endings chan<- ending) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		returned := false
		defer func() {
			v := recover()
			endings <- ending{returned, v}
			if v != nil {
				panic(v)
			}
		}()
		next.ServeHTTP(w, r)
		returned = true
	})
}

// panicWith has a handler panic. The value must reach whoever stands outside,
// the very same one, and the client must not get what looks like a complete
// response.
func panicWith(e *env, value any, half bool) {
	e.Helper()
	endings := make(chan ending, 1)
	arrived := make(chan struct{})
	s := e.serveAsIs(e.proto, watch(e.mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if half {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			e.await(arrived)
		}
		if value == any(errRuntime) {
			var nobody *treasure
			nobody.n++
		}
		panic(value)
	})), endings))

	resp, err := s.trySend(s.request("GET", "/", nil))
	close(arrived)
	switch {
	case err != nil && half:
		e.Errorf("the half that was flushed did not arrive: %v", err)
	case err == nil:
		body, cut := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !half {
			e.Errorf("the client got %d %q of a handler that panicked", resp.StatusCode, body)
		} else if cut == nil || string(body) != "half" {
			e.Errorf("the client got %q with error %v, want half a body that is visibly cut", body, cut)
		}
	}

	end := receive(e, endings, "the middleware is done")
	if _, ok := end.value.(runtime.Error); end.returned || (value == any(errRuntime) && !ok || value != any(errRuntime) && end.value != value) {
		e.Errorf("outside arrives %#v (returned: %v), want the panic value %#v itself", end.value, end.returned, value)
	}
	e.must(s.served, "the handler returns")
	e.settle()
	if logged := s.log.String(); value == any(http.ErrAbortHandler) {
		if logged != "" {
			e.Errorf("the server's log is not empty after an abort: %s", logged)
		}
	} else if strings.Count(logged, "panic serving") != 1 {
		e.Errorf("the server's log does not have the panic once: %s", logged)
	}
}

// goexit ends the goroutine of a handler, as t.FailNow does. The client must
// not wait for ever nor believe that it has a response.
func goexit(e *env) {
	ended := make(chan struct{}, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		runtime.Goexit()
	})
	re, err := s.fetch(s.request("GET", "/", nil))
	if e.over.Err() != nil {
		return
	}
	if err == nil && re.cut == nil {
		e.Errorf("the client got %d %q of a handler that exited", re.StatusCode, re.body)
	}
	e.must(ended, "the handler ends")
	e.must(s.served, "the middleware ends with it")
}

// rounds is how often something is lost before it is noticed: more than the
// requests that the suite runs at once.
const rounds = 2 * parallel

func panicsLoseNothing(e *env) {
	e.survives(func() { panic(http.ErrAbortHandler) })
}

func goexitsLoseNothing(e *env) { e.survives(runtime.Goexit) }

// survives ends many handlers badly and expects ordinary service after that.
func (e *env) survives(end func()) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			end()
		}
		io.WriteString(w, "fine")
	})
	for range rounds {
		if re, err := s.fetch(s.request("GET", "/bad", nil)); err == nil && re.cut == nil {
			e.Fatalf("the client got %d %q of a handler that never answered", re.StatusCode, re.body)
		}
	}
	if re := s.get("/"); re.StatusCode != 200 || string(re.body) != "fine" {
		e.Errorf("after %d bad requests a good one is answered with %d %q", rounds, re.StatusCode, re.body)
	}
}
