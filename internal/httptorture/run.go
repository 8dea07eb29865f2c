package httptorture

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long anything that should happen may take. It is spent only
// where something does not happen, so it is far beyond what is ever needed.
const patience = 10 * time.Second

// Option adapts the suite to what a middleware does on purpose.
type Option func(*config)

type config struct {
	without map[string]string
	adds    []string
	leaves  []string
}

// Without leaves out cases, for a middleware that promises something else.
// The reason is shown where the case would have run. A case is named as the
// subtest is, "event-stream", or "HTTP1/event-stream" for one protocol only;
// a name that no case has fails the run, and so does a missing reason.
func Without(reason string, cases ...string) Option {
	return func(c *config) {
		for _, name := range cases {
			c.without[name] = reason
		}
	}
}

// AddsHeader says that the middleware puts these headers on responses.
func AddsHeader(names ...string) Option {
	return func(c *config) {
		for _, name := range names {
			c.adds = append(c.adds, http.CanonicalHeaderKey(name))
		}
	}
}

// LeavesGoroutine allows goroutines with one of these strings in their stack
// to be there when the server is gone, such as one that serves the process.
func LeavesGoroutine(frames ...string) Option {
	return func(c *config) { c.leaves = append(c.leaves, frames...) }
}

// Run passes mw through every case, over HTTP/1.1 and over HTTP/2, each a
// subtest. mw is called for each server anew and is to let every request
// pass; see the package comment for the limits it must not be under.
//
// Run must not be called from a parallel test, because each case looks for
// the goroutines it left behind.
func Run(t *testing.T, mw func(http.Handler) http.Handler, opts ...Option) {
	t.Helper()
	c := config{without: map[string]string{}}
	for _, opt := range opts {
		opt(&c)
	}
	for _, fault := range c.faults() {
		t.Error(fault)
	}
	twice := func(h http.Handler) http.Handler { return mw(mw(h)) }
	for _, p := range []protocol{http1, http2} {
		t.Run(p.String(), func(t *testing.T) {
			for _, tc := range cases {
				if tc.on&p == 0 {
					continue
				}
				run := func(t *testing.T, mw middleware) {
					if reason := c.skips(p, tc.name); reason != "" {
						t.Skip(reason)
					}
					tc.run(newEnv(t, p, mw, patience, c))
				}
				t.Run(tc.name, func(t *testing.T) { run(t, mw) })
				if tc.twice {
					t.Run(tc.name+"-twice", func(t *testing.T) { run(t, twice) })
				}
			}
		})
	}
}

// faults says what is wrong with the options.
func (c config) faults() (faults []string) {
	for name, reason := range c.without {
		if !known(name) {
			faults = append(faults, fmt.Sprintf("there is no case %q to leave out", name))
		}
		if strings.TrimSpace(reason) == "" {
			faults = append(faults, fmt.Sprintf("case %q is left out without a reason", name))
		}
	}
	return faults
}

// skips is the reason to leave a case out, empty if there is none.
func (c config) skips(p protocol, name string) string {
	if reason, ok := c.without[name]; ok {
		return reason
	}
	return c.without[p.String()+"/"+name]
}

type middleware = func(http.Handler) http.Handler

// protocol is a set of HTTP versions.
type protocol uint8

const (
	http1 protocol = 1 << iota
	http2
	both = http1 | http2
)

func (p protocol) String() string {
	if p == http1 {
		return "HTTP1"
	}
	return "HTTP2"
}

// testCase is one thing that must be with a middleware as it is without.
type testCase struct {
	name string
	on   protocol
	// twice is for cases where two instances may get in each other's way.
	twice bool
	run   func(*env)
}

var cases = slices.Concat(interfaceCases, responseCases, streamCases, abortCases, takeoverCases,
	requestCases, proxyCases, concurrencyCases)

func known(name string) bool {
	return slices.ContainsFunc(cases, func(tc testCase) bool {
		p, rest, ok := strings.Cut(name, "/")
		if !ok {
			return tc.name == name
		}
		return tc.name == rest && (p == "HTTP1" && tc.on&http1 != 0 || p == "HTTP2" && tc.on&http2 != 0)
	})
}
