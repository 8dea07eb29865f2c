package main

import (
	"net/http"
	"time"
)

// ours is the name of the rows of this toolkit.
const ours = "handrail"

type middleware = func(http.Handler) http.Handler

// row is one middleware in a comparison.
type row struct {
	name string
	// without says what a peer does not do that the first row does.
	without string
	// less says that some of what it does not do would cost something on every
	// request, so that its cost is not that of the same work.
	less bool
	wrap func(http.Handler) http.Handler
}

// kind is one thing that several middlewares do.
type kind struct {
	name, title string
	// about says what is measured, in sentences.
	about string
	// rows has ours first. It sets up what the rows need.
	rows    func() []row
	budgets []budget
	// answers says that the middleware answers itself: no request reaches the
	// handler.
	answers bool
	// handler is the bare one, noop where it is nil.
	handler http.Handler
	// path is that of the requests, /orders/7 where it is empty.
	path string
}

// budget is what a row of ours may cost over the bare handler, with a request
// that is reused, on one goroutine.
type budget struct {
	// row is the row's name, ours where it is empty.
	row string
	// time and allocs are not judged where they are unlimited.
	time   time.Duration
	allocs int
	// of and share bound the time by that of another row in the same run.
	of    string
	share float64
	// because is where the time goes, as a profile or another row shows it, for
	// the page to say where the budget is not met; empty where nobody looked.
	because string
}

const unlimited = -1

func (b budget) subject() string {
	if b.row == "" {
		return ours
	}
	return b.row
}

// kinds are all comparisons, in the order of the page.
var kinds = []kind{
	shedding, shedRefusing, timeouts, breakers, breakerOpen, bulkheads, bulkheadFull, retries,
	metrics, logs, traces, everything, probes,
	resilience, wholeStack, answeredStack, tracedStack,
}

// inner is the bare handler.
func (k kind) inner() http.Handler {
	if k.handler == nil {
		return noop
	}
	return k.handler
}

func bare(h http.Handler) http.Handler { return h }
