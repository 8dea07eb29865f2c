package timeout_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// A handler that does not return ends as it does without a timeout if it does
// so in time, and hurts nobody if it does so later.
func TestAHandlerMayPanicBeforeItsDeadlineAndAfter(t *testing.T) {
	try(t, append(endings, lateEndings()...))
}

// wreck is a panic value that can be told from others.
var wreck = &struct{ s string }{"the value of the panic"}

// handlerThatPanics is looked for in the log.
//
//go:noinline
func handlerThatPanics(value any) { panic(value) }

const itsFrame = "timeout_test.handlerThatPanics"

// where the panic is logged with the handler's frame.
var withItsStack = []string{"&{the value of the panic}", itsFrame}

var endings = []trial{
	{
		name: "panics in time",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.inTime(r)
			handlerThatPanics(wreck)
		},
		want: no, counts: asDone, raised: wreck, log: withItsStack,
	},
	{
		name: "panics in time after writing",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			s.write(w, "half")
			s.inTime(r)
			handlerThatPanics(wreck)
		},
		want: no, counts: asDone, raised: wreck, log: withItsStack,
	},
	{
		name: "panics in time after a flush",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "half")
			s.flush(w)
			s.inTime(r)
			handlerThatPanics(wreck)
		},
		want: neverComplete, counts: asDone, raised: wreck, log: withItsStack,
	},
	{
		name: "panics in time with a header, and somebody outside answers",
		around: func(s *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Outside", "yes")
				defer func() {
					if recover() == http.ErrAbortHandler {
						w.WriteHeader(http.StatusInternalServerError)
						s.write(w, "recovered")
					}
				}()
				next.ServeHTTP(w, r)
			})
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Outside", "replaced")
			w.Header().Set("X-Handler", "yes")
			w.Header().Set("Set-Cookie", "secret=1")
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusCreated)
			s.write(w, "half")
			s.inTime(r)
			panic(http.ErrAbortHandler)
		},
		want: func(s *stage, re *reply) {
			whole(http.StatusInternalServerError, "recovered")(s, re)
			header("X-Outside", "yes")(s, re)
			header("X-Handler")(s, re)
			header("Set-Cookie")(s, re)
		},
		counts: asDone,
	},
	{
		name: "aborts in time",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.inTime(r)
			panic(http.ErrAbortHandler)
		},
		want: no, counts: asDone, raised: http.ErrAbortHandler,
	},
	{
		name: "aborts in time after a flush",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "half")
			s.flush(w)
			s.inTime(r)
			panic(http.ErrAbortHandler)
		},
		want: neverComplete, counts: asDone, raised: http.ErrAbortHandler,
	},
	{
		name: "exits in time", on: onHTTP1,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.inTime(r)
			runtime.Goexit()
		},
		want: no, counts: asDone,
	},
	{
		name: "exits in time after a flush", on: onHTTP1,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "half")
			s.flush(w)
			s.inTime(r)
			runtime.Goexit()
		},
		want: neverComplete, counts: asDone,
	},
	{
		name: "the answer itself panics", handle: hanging, overdue: true,
		// Nobody but the client may notice that: it gets another answer, or
		// none, but nothing that looks complete and is not.
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithRejectionHandler(func(http.ResponseWriter, *http.Request, handrail.Rejection) {
				handlerThatPanics(wreck)
			})}
		},
		on:   lane.inline,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout, log: withItsStack,
	},
	{
		name: "the answer itself panics after writing", handle: hanging, overdue: true,
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithRejectionHandler(func(w http.ResponseWriter, _ *http.Request, _ handrail.Rejection) {
				w.Header().Set("X-Handler", "yes")
				io.WriteString(w, "half")
				handlerThatPanics(wreck)
			})}
		},
		on:   lane.inline,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout, log: withItsStack,
	},
	{
		name: "the answer itself panics on the serving goroutine", handle: hanging, overdue: true,
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithRejectionHandler(func(http.ResponseWriter, *http.Request, handrail.Rejection) {
				handlerThatPanics(wreck)
			})}
		},
		on:   func(l lane) bool { return !l.inline() },
		want: no, counts: asTimeout, outcome: httpwrap.Timeout, raised: wreck, log: withItsStack,
	},
}

// lateEndings are on both mechanisms, and differ in what comes out of ServeHTTP:
// only where the handler runs on the serving goroutine can its panic.
func lateEndings() (trials []trial) {
	for _, l := range []struct {
		name   string
		on     func(lane) bool
		inline bool
	}{
		{"on the serving goroutine", lane.inline, true},
		{"on a goroutine of its own", func(l lane) bool { return !l.inline() }, false},
	} {
		raised := func(value any) any {
			if l.inline {
				return value
			}
			return nil
		}
		trials = append(trials, []trial{
			{
				name: "panics late, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.outlive()
					handlerThatPanics(wreck)
				},
				overdue: true, raised: raised(wreck), log: withItsStack,
				want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "panics at its deadline, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.write(w, "held back")
					s.inTime(r)
					s.heed(r)
					handlerThatPanics(wreck)
				},
				raised: raised(wreck), log: withItsStack,
				want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "aborts late, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.outlive()
					panic(http.ErrAbortHandler)
				},
				overdue: true, raised: raised(http.ErrAbortHandler),
				want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "aborts at its deadline, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.heed(r)
					panic(http.ErrAbortHandler)
				},
				raised: raised(http.ErrAbortHandler),
				want:   timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "exits late, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.outlive()
					runtime.Goexit()
				},
				overdue: true,
				want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "exits at its deadline, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.heed(r)
					runtime.Goexit()
				},
				want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
			},
			{
				name: "panics after its response was cut, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.write(w, "the beginning")
					s.flush(w)
					s.inTime(r)
					s.outlive()
					handlerThatPanics(wreck)
				},
				overdue: true, log: withItsStack,
				raised: map[bool]any{true: wreck, false: http.ErrAbortHandler}[l.inline],
				want:   cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout,
			},
			{
				name: "panics at its deadline with a response that has begun, " + l.name, on: l.on,
				handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
					s.write(w, "the beginning")
					s.flush(w)
					s.inTime(r)
					s.heed(r)
					handlerThatPanics(wreck)
				},
				log:    withItsStack,
				raised: map[bool]any{true: wreck, false: http.ErrAbortHandler}[l.inline],
				want:   cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout,
			},
		}...)
	}
	return trials
}
