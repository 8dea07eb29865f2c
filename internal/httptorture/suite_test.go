package httptorture

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tape stands in for a *testing.T and records that it failed.
type tape struct {
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (t *tape) Helper()          {}
func (t *tape) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *tape) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *tape) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// failuresOf runs one case.
func failuresOf(tc testCase, p protocol, mw middleware, patience time.Duration, c config) []string {
	t := new(tape)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(t.cleanups) {
				f()
			}
		}()
		tc.run(newEnv(t, p, mw, patience, c))
	}()
	<-done
	return t.failures
}

func findCase(name string) (testCase, bool) {
	i := slices.IndexFunc(cases, func(tc testCase) bool { return tc.name == name })
	if i < 0 {
		return testCase{}, false
	}
	return cases[i], true
}

// TestEachCaseNoticesItsDefect runs cases against middlewares that must not
// pass them. Patience is short, because what a broken middleware withholds
// never comes.
func TestEachCaseNoticesItsDefect(t *testing.T) {
	const short = 50 * time.Millisecond
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	proven := map[string]bool{}
	for _, b := range brokenOnes(release) {
		t.Run(b.defect, func(t *testing.T) {
			for _, name := range b.fails {
				only, rest, ok := strings.Cut(name, "/")
				if !ok {
					only, rest = "", name
				}
				tc, ok := findCase(rest)
				if !ok {
					t.Fatalf("there is no case %q", rest)
				}
				for _, p := range []protocol{http1, http2} {
					if tc.on&p == 0 || only != "" && only != p.String() {
						continue
					}
					failures := failuresOf(tc, p, b.mw, short, config{})
					if len(failures) == 0 {
						t.Errorf("%s/%s lets it pass", p, tc.name)
						continue
					}
					t.Logf("%s/%s: %s", p, tc.name, failures[0])
					proven[p.String()+"/"+tc.name] = true
				}
			}
		})
	}
	if t.Failed() {
		return
	}
	for _, tc := range cases {
		for _, p := range []protocol{http1, http2} {
			if tc.on&p != 0 && !proven[p.String()+"/"+tc.name] {
				t.Errorf("nothing shows that %s/%s can fail", p, tc.name)
			}
		}
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, tc := range cases {
		if seen[tc.name] {
			t.Errorf("two cases are called %s", tc.name)
		}
		seen[tc.name] = true
	}
}

func TestDeclaredHeadersAndGoroutinesAreNotDefects(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	adding := around(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("X-Request-Id", "1")
		go serveTheProcess(release)
		next.ServeHTTP(w, r)
	})
	c := config{}
	AddsHeader("x-request-id")(&c)
	LeavesGoroutine("httptorture.serveTheProcess")(&c)
	tc, _ := findCase("status-and-headers")
	for _, p := range []protocol{http1, http2} {
		if failures := failuresOf(tc, p, adding, patience, c); len(failures) != 0 {
			t.Errorf("%s: %q", p, failures)
		}
	}
}

func serveTheProcess(release <-chan struct{}) { <-release }

func TestCasesAreLeftOutByNameAndWithAReason(t *testing.T) {
	without := func(reason string, names ...string) config {
		c := config{without: map[string]string{}}
		Without(reason, names...)(&c)
		return c
	}
	c := without("because", "event-stream", "HTTP1/upgrade", "HTTP2/panic")
	if faults := c.faults(); len(faults) != 0 {
		t.Errorf("faults %q", faults)
	}
	for name, want := range map[string]string{
		"HTTP1/event-stream": "because", "HTTP2/event-stream": "because",
		"HTTP1/panic": "", "HTTP2/panic": "because",
		"HTTP1/upgrade": "because", "HTTP1/abort": "",
	} {
		p := http1
		if strings.HasPrefix(name, "HTTP2/") {
			p = http2
		}
		if got := c.skips(p, name[len("HTTPx/"):]); got != want {
			t.Errorf("%s is left out for %q, want %q", name, got, want)
		}
	}
	for _, c := range []config{
		without("because", "no-such-case"),
		without("because", "HTTP2/upgrade"), // a case of HTTP/1.1 only
		without("because", "HTTP3/panic"),
		without(" ", "panic"),
	} {
		if len(c.faults()) != 1 {
			t.Errorf("%v: faults %q", c.without, c.faults())
		}
	}
}
