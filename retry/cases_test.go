package retry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/retry"
)

// answer is what a scripted attempt does.
type answer = func(s *scene, w http.ResponseWriter, r *http.Request)

// respond answers with a status, a body and headers.
func respond(status int, body string, header ...string) answer {
	return func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func outcome(o httpwrap.Outcome, status int) answer {
	return func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		rw, rec, owner := httpwrap.Wrap(w)
		if owner {
			defer rec.Release()
		}
		rec.SetOutcome(o)
		http.Error(rw, "refused", status)
	}
}

func echo(s *scene, w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.Errorf("reading the request: %v", err)
	}
	w.Write(b)
}

// half reads n bytes and fails.
func half(n int64) answer {
	return func(s *scene, w http.ResponseWriter, r *http.Request) {
		if _, err := io.CopyN(io.Discard, r.Body, n); err != nil {
			s.Errorf("reading the request: %v", err)
		}
		r.Body.Close()
		w.WriteHeader(503)
	}
}

type testCase struct {
	name string
	// only is the one HTTP version that has this, 0 for both.
	only   int
	opts   []retry.Option
	outer  func(http.Handler) http.Handler
	script []answer // the last one goes on
	method string
	body   string
	header []string
	// want
	status   int
	answer   string
	attempts int
	has      []string // name, value of headers
	lacks    []string
	trailer  []string
	gaveUp   retry.Reason // where failed
	failed   bool
	do       func(s *scene) // in place of all that
}

func TestTheClientGetsExactlyOneAttempt(t *testing.T) {
	leaktest.Check(t)
	for _, tc := range append(responseCases, requestCases...) {
		for _, proto := range []int{1, 2} {
			if tc.only != 0 && tc.only != proto {
				continue
			}
			t.Run(fmt.Sprintf("HTTP%d/%s", proto, tc.name), func(t *testing.T) {
				s := stage(t, proto, tc.opts, tc.outer, func(s *scene, n int, w http.ResponseWriter, r *http.Request) {
					tc.script[min(n, len(tc.script))-1](s, w, r)
				})
				if tc.do != nil {
					tc.do(s)
					return
				}
				tc.play(s)
			})
		}
	}
}

func (tc *testCase) play(s *scene) {
	method := tc.method
	if method == "" {
		method = "GET"
	}
	var body io.Reader
	if tc.body != "" {
		body = strings.NewReader(tc.body)
	}
	resp, got := s.send(s.request(method, body, tc.header...))
	if resp.StatusCode != tc.status || got != tc.answer {
		s.Errorf("got %d %.60q, want %d %.60q", resp.StatusCode, got, tc.status, tc.answer)
	}
	for i := 0; i < len(tc.has); i += 2 {
		if got := strings.Join(resp.Header[tc.has[i]], ","); got != tc.has[i+1] {
			s.Errorf("%s is %q, want %q", tc.has[i], got, tc.has[i+1])
		}
	}
	for _, name := range tc.lacks {
		if v, ok := resp.Header[name]; ok {
			s.Errorf("%s is %q", name, v)
		}
		if v, ok := resp.Trailer[name]; ok {
			s.Errorf("trailer %s is %q", name, v)
		}
	}
	for i := 0; i < len(tc.trailer); i += 2 {
		if got := resp.Trailer.Get(tc.trailer[i]); got != tc.trailer[i+1] {
			s.Errorf("trailer %s is %q, want %q", tc.trailer[i], got, tc.trailer[i+1])
		}
	}
	s.tried(tc.attempts)
	if tc.failed {
		s.reason(tc.gaveUp)
	} else if n := len(s.gaveUp); n > 0 {
		s.Errorf("gave up %v", <-s.gaveUp)
	}
}

var ok = respond(200, "good", "X-Last", "yes")

var long = strings.Repeat("0123456789", 20_000)

func addingHeader(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outside", "kept")
		next.ServeHTTP(w, r)
	})
}

var responseCases = []testCase{
	{name: "a good answer comes from the first attempt", script: []answer{ok}, status: 200, answer: "good", attempts: 1},
	{name: "a failure is repeated", script: []answer{respond(503, "bad"), ok}, status: 200, answer: "good", attempts: 2},
	{name: "two failures are repeated", script: []answer{respond(502, "bad"), respond(500, "worse"), ok}, status: 200, answer: "good", attempts: 3},
	{name: "the last failure is the answer", script: []answer{respond(503, "1"), respond(500, "2"), respond(504, "3", "X-N", "3")},
		status: 504, answer: "3", attempts: 3, has: []string{"X-N", "3"}, failed: true, gaveUp: retry.ReasonExhausted},
	{name: "429 is repeated", script: []answer{respond(429, ""), ok}, status: 200, answer: "good", attempts: 2},
	{name: "400 is an answer", script: []answer{respond(400, "a")}, status: 400, answer: "a", attempts: 1},
	{name: "401 is an answer", script: []answer{respond(401, "a")}, status: 401, answer: "a", attempts: 1},
	{name: "403 is an answer", script: []answer{respond(403, "a")}, status: 403, answer: "a", attempts: 1},
	{name: "404 is an answer", script: []answer{respond(404, "a")}, status: 404, answer: "a", attempts: 1},
	{name: "422 is an answer", script: []answer{respond(422, "a")}, status: 422, answer: "a", attempts: 1},
	{name: "501 is an answer", script: []answer{respond(501, "a")}, status: 501, answer: "a", attempts: 1},
	{name: "statuses by option", opts: []retry.Option{retry.WithStatuses(409)}, script: []answer{respond(409, ""), respond(503, "b")}, status: 503, answer: "b", attempts: 2},
	{name: "a classifier makes a failure of an answer", opts: []retry.Option{retry.WithClassifier(func(r retry.Result) retry.Verdict {
		if r.Header.Get("X-Empty") != "" {
			return retry.Repeat
		}
		return retry.ByDefault
	})}, script: []answer{respond(200, "nothing", "X-Empty", "1"), ok}, status: 200, answer: "good", attempts: 2, lacks: []string{"X-Empty"}},
	{name: "a classifier makes an answer of a failure", opts: []retry.Option{retry.WithClassifier(func(retry.Result) retry.Verdict { return retry.Accept })},
		script: []answer{respond(503, "final")}, status: 503, answer: "final", attempts: 1},
	{name: "headers of a failed attempt do not leak", script: []answer{respond(503, "bad", "Set-Cookie", "a=1", "Content-Type", "text/bad", "Content-Length", "3", "Etag", `"x"`, "Retry-After", "0"), ok},
		status: 200, answer: "good", attempts: 2, has: []string{"X-Last", "yes"}, lacks: []string{"Set-Cookie", "Etag", "Retry-After"}},
	{name: "headers of the outside are there in each attempt", outer: addingHeader, script: []answer{
		func(_ *scene, w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("X-Outside")
			w.Header().Add("X-Outside", "spoiled")
			w.WriteHeader(503)
		}, ok}, status: 200, answer: "good", attempts: 2, has: []string{"X-Outside", "kept"}},
	{name: "a header may be taken back", outer: addingHeader, script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.Header().Del("X-Outside")
		w.Write([]byte("x"))
	}},
		status: 200, answer: "x", attempts: 1, lacks: []string{"X-Outside"}},
	{name: "headers after the status are none", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		w.Header().Set("X-Late", "1")
		w.Write([]byte("bad"))
	}}, opts: []retry.Option{retry.WithAttempts(2)}, status: 503, answer: "bad", attempts: 2, lacks: []string{"X-Late"}, failed: true, gaveUp: retry.ReasonExhausted},
	{name: "trailers of the last attempt arrive", script: []answer{trailing(503, "failed"), trailing(200, "fine")}, status: 200, answer: "body", attempts: 2, trailer: []string{"X-T", "fine", "X-U", "fine"}},
	{name: "trailers of a failure that is delivered arrive", opts: []retry.Option{retry.WithMaxRetryAfter(0)}, script: []answer{func(s *scene, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		trailing(503, "late")(s, w, r)
	}}, status: 503, answer: "body", attempts: 1, trailer: []string{"X-T", "late", "X-U", "late"}, failed: true, gaveUp: retry.ReasonRetryAfter},
	{name: "trailers of a failed attempt do not leak", script: []answer{trailing(503, "failed"), ok}, status: 200, answer: "good", attempts: 2, lacks: []string{"X-T", "X-U", "Trailer"}},
	{name: "a handler that answers nothing answered 200", script: []answer{func(*scene, http.ResponseWriter, *http.Request) {}}, status: 200, attempts: 1},
	{name: "a handler that only sets headers answered 200", script: []answer{respond(503, ""), func(_ *scene, w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Only", "1") }},
		status: 200, attempts: 2, has: []string{"X-Only", "1"}},
	{name: "a write without a status is 200", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); w.WriteHeader(503) }}, status: 200, answer: "x", attempts: 1},
	{name: "a flush commits a failure", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	}}, status: 503, answer: "ab", attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "full duplex commits a failure", only: 1, script: []answer{func(s *scene, w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			s.Error(err)
		}
		w.WriteHeader(503)
	}}, status: 503, attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "a failure too long to hold goes to the client", script: []answer{respond(503, long)}, status: 503, answer: long, attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "a failure that is copied and too long goes to the client", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		io.Copy(w, struct{ io.Reader }{strings.NewReader(long)})
	}}, status: 503, answer: long, attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "a failure just short enough is held", opts: []retry.Option{retry.WithMaxHeld(10)}, script: []answer{respond(503, "0123456789"), ok}, status: 200, answer: "good", attempts: 2},
	{name: "a failure a byte too long is not", opts: []retry.Option{retry.WithMaxHeld(9)}, script: []answer{respond(503, "0123456789"), ok}, status: 503, answer: "0123456789", attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "more than was announced is refused also while held", script: []answer{func(s *scene, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(503)
		if _, err := w.Write([]byte("1234")); !errors.Is(err, http.ErrContentLength) {
			s.Errorf("%v", err)
		}
	}, ok}, status: 200, answer: "good", attempts: 2},
	{name: "HEAD has the length and no body", method: "HEAD", script: []answer{respond(503, "bad"), respond(200, "12345", "Content-Length", "5")}, status: 200, attempts: 2, has: []string{"Content-Length", "5"}},
	{name: "HEAD of a failure", method: "HEAD", script: []answer{respond(503, "bad", "Content-Length", "3")}, status: 503, attempts: 3, has: []string{"Content-Length", "3"}, failed: true},
	{name: "204 has no body", script: []answer{respond(503, "bad"), func(s *scene, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
			s.Errorf("%v", err)
		}
	}}, status: 204, attempts: 2},
	{name: "304", script: []answer{respond(503, "bad"), respond(304, "", "Etag", `"v"`)}, status: 304, attempts: 2, has: []string{"Etag", `"v"`}},
	{name: "an unusual status", script: []answer{respond(799, "x")}, status: 799, answer: "x", attempts: 1},
	{name: "a superfluous status changes nothing", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		w.WriteHeader(200)
		io.WriteString(w, "bad")
	}}, status: 503, answer: "bad", attempts: 3, failed: true},
	{name: "an event stream is not held", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(503)
		io.WriteString(w, "data: 1\n\n")
	}}, status: 503, answer: "data: 1\n\n", attempts: 1, failed: true, gaveUp: retry.ReasonCommitted},
	{name: "an event stream arrives event by event", do: eventStream, script: []answer{respond(503, ""), events}},
	{name: "a good answer streams through", do: eventStream, script: []answer{events}},
	{name: "a shed attempt is not repeated", script: []answer{outcome(httpwrap.Shed, 503)}, status: 503, answer: "refused\n", attempts: 1, failed: true, gaveUp: retry.ReasonRejected},
	{name: "an open breaker's answer is not repeated", script: []answer{outcome(httpwrap.BreakerOpen, 503)}, status: 503, answer: "refused\n", attempts: 1, failed: true, gaveUp: retry.ReasonRejected},
	{name: "a full bulkhead's answer is not repeated", script: []answer{outcome(httpwrap.BulkheadFull, 429)}, status: 429, answer: "refused\n", attempts: 1, failed: true, gaveUp: retry.ReasonRejected},
	{name: "an inner timeout is repeated, and forgotten", outer: expecting(httpwrap.None), script: []answer{outcome(httpwrap.Timeout, 503), ok}, status: 200, answer: "good", attempts: 2},
	{name: "the outcome of the last attempt is known outside", outer: expecting(httpwrap.BreakerOpen), script: []answer{outcome(httpwrap.Timeout, 503), outcome(httpwrap.BreakerOpen, 503)},
		status: 503, answer: "refused\n", attempts: 2, failed: true, gaveUp: retry.ReasonRejected},
	{name: "Retry-After beyond its maximum", script: []answer{respond(503, "later", "Retry-After", "31")}, status: 503, answer: "later", attempts: 1, has: []string{"Retry-After", "31"}, failed: true, gaveUp: retry.ReasonRetryAfter},
	{name: "Retry-After in another century", script: []answer{respond(503, "later", "Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")}, status: 503, answer: "later", attempts: 1, failed: true, gaveUp: retry.ReasonRetryAfter},
	{name: "Retry-After that overflows", script: []answer{respond(503, "later", "Retry-After", "99999999999999999999999")}, status: 503, answer: "later", attempts: 1, failed: true, gaveUp: retry.ReasonRetryAfter},
	{name: "Retry-After in the past", script: []answer{respond(503, "", "Retry-After", "Fri, 01 Jan 1999 00:00:00 GMT"), ok}, status: 200, answer: "good", attempts: 2},
	{name: "Retry-After below zero", script: []answer{respond(503, "", "Retry-After", "-5"), ok}, status: 200, answer: "good", attempts: 2},
	{name: "Retry-After that says nothing", script: []answer{respond(503, "", "Retry-After", "soon"), ok}, status: 200, answer: "good", attempts: 2},
	{name: "an empty budget", opts: []retry.Option{retry.WithBudget(empty())}, script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1, failed: true, gaveUp: retry.ReasonBudget},
	{name: "one attempt in all", opts: []retry.Option{retry.WithAttempts(1)}, script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1, failed: true, gaveUp: retry.ReasonExhausted},
	{name: "a delay beyond the caller's deadline", outer: within(time.Hour), opts: []retry.Option{retry.WithFixed(2 * time.Hour), retry.WithJitter(retry.NoJitter)},
		script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1, failed: true, gaveUp: retry.ReasonDeadline},
	{name: "a delay beyond the total timeout", opts: []retry.Option{retry.WithFixed(2 * time.Hour), retry.WithTotalTimeout(time.Hour), retry.WithJitter(retry.NoJitter)},
		script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1, failed: true, gaveUp: retry.ReasonDeadline},
	{name: "Retry-After beyond the caller's deadline", outer: within(5 * time.Second), script: []answer{respond(503, "bad", "Retry-After", "10")}, status: 503, answer: "bad", attempts: 1, failed: true, gaveUp: retry.ReasonDeadline},
	{name: "a panic goes on", script: []answer{func(*scene, http.ResponseWriter, *http.Request) { panic("oh") }}, do: func(s *scene) { s.broken(1); s.reason(retry.ReasonPanic) }},
	{name: "ErrAbortHandler goes on", script: []answer{func(*scene, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}, do: func(s *scene) { s.broken(1) }, opts: []retry.Option{retry.WithRetryPanics(true)}},
	{name: "a panic in a failure goes on", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503); panic("oh") }}, do: func(s *scene) { s.broken(1) }},
	{name: "a panic in the middle of an answer cuts it", script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, long)
		panic("oh")
	}}, opts: []retry.Option{retry.WithRetryPanics(true)}, do: func(s *scene) { s.broken(1) }},
	{name: "panics are repeated by option", opts: []retry.Option{retry.WithRetryPanics(true)}, script: []answer{func(_ *scene, w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-P", "1"); panic("oh") }, ok}, status: 200, answer: "good", attempts: 2, lacks: []string{"X-P"}},
	{name: "the last panic goes on also by option", opts: []retry.Option{retry.WithRetryPanics(true)}, outer: recovering("oh"), script: []answer{func(*scene, http.ResponseWriter, *http.Request) { panic("oh") }}, status: 500, answer: "recovered", attempts: 3, failed: true, gaveUp: retry.ReasonPanic},
	{name: "a panic that the budget denies goes on", opts: []retry.Option{retry.WithRetryPanics(true), retry.WithBudget(empty())}, outer: recovering("oh"), script: []answer{func(*scene, http.ResponseWriter, *http.Request) { panic("oh") }}, status: 500, answer: "recovered", attempts: 1, failed: true, gaveUp: retry.ReasonBudget},
	{name: "early hints of every attempt arrive and stay out of the answer", do: earlyHints, script: []answer{hinting(503), hinting(200)}},
	{name: "a switch of protocols is not repeated", only: 1, script: []answer{respond(503, ""), switching}, do: takeOver},
	{name: "a hijacked connection is not repeated", only: 1, script: []answer{hijacking}, do: takeOver},
	{name: "an attempt that runs out of time is repeated", opts: []retry.Option{retry.WithAttemptTimeout(time.Millisecond)}, script: []answer{outOfTime, ok}, status: 200, answer: "good", attempts: 2},
	{name: "attempts that all run out of time", opts: []retry.Option{retry.WithAttemptTimeout(time.Millisecond)}, outer: expecting(httpwrap.Timeout), script: []answer{outOfTime},
		do: func(s *scene) {
			resp, body := s.send(s.request("GET", nil))
			if resp.StatusCode != 504 || !strings.Contains(body, retry.Code) {
				s.Errorf("%d %s", resp.StatusCode, body)
			}
			s.tried(3)
			s.reason(retry.ReasonExhausted)
		}},
	{name: "the attempt's timeout ends with the response's begin", opts: []retry.Option{retry.WithAttemptTimeout(50 * time.Millisecond)}, script: []answer{func(_ *scene, w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			io.WriteString(w, "canceled")
		case <-time.After(150 * time.Millisecond):
			io.WriteString(w, "finished")
		}
	}}, status: 200, answer: "finished", attempts: 1},
	{name: "exempt requests pass", opts: []retry.Option{retry.WithExempt(func(*http.Request) bool { return true })}, script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1},
	{name: "leftovers of a failed attempt are refused", do: leftovers, script: []answer{func(s *scene, w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		go leftover(s, w)
	}, ok}},
}

var requestCases = []testCase{
	{name: "POST is not repeated", method: "POST", body: "x", script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1},
	{name: "PATCH is not repeated", method: "PATCH", body: "x", script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1},
	{name: "POST with a key is", method: "POST", body: "x", header: []string{"Idempotency-Key", "k1"}, script: []answer{respond(503, ""), func(s *scene, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Idempotency-Key"))
	}}, status: 200, answer: "k1", attempts: 2},
	{name: "POST with an empty key is not", method: "POST", header: []string{"Idempotency-Key", ""}, script: []answer{respond(503, "bad")}, status: 503, answer: "bad", attempts: 1},
	{name: "POST by option", method: "POST", body: "x", opts: []retry.Option{retry.WithUnsafeMethods()}, script: []answer{respond(503, ""), echo}, status: 200, answer: "x", attempts: 2},
	{name: "PUT", method: "PUT", body: "x", script: []answer{respond(503, ""), echo}, status: 200, answer: "x", attempts: 2},
	{name: "DELETE", method: "DELETE", script: []answer{respond(503, ""), ok}, status: 200, answer: "good", attempts: 2},
	{name: "OPTIONS", method: "OPTIONS", script: []answer{respond(503, ""), ok}, status: 200, answer: "good", attempts: 2},
	{name: "TRACE", method: "TRACE", script: []answer{respond(503, ""), ok}, status: 200, answer: "good", attempts: 2},
	{name: "a body is read again", method: "PUT", body: long[:50_000], script: []answer{half(50_000), half(20_000), echo}, status: 200, answer: long[:50_000], attempts: 3},
	{name: "a body of exactly the bound is read again", method: "PUT", body: "0123456789", opts: []retry.Option{retry.WithMaxBody(10)}, script: []answer{half(10), echo}, status: 200, answer: "0123456789", attempts: 2},
	{name: "a body a byte over the bound is not", method: "PUT", body: "0123456789", opts: []retry.Option{retry.WithMaxBody(9)}, script: []answer{half(10), echo}, status: 503, attempts: 1, failed: true, gaveUp: retry.ReasonBody},
	{name: "a body over the bound streams through", method: "PUT", body: long, script: []answer{echo}, status: 200, answer: long, attempts: 1},
	{name: "a body of unknown length is read again", do: unknownLength("0123456789", 2, 200), opts: []retry.Option{retry.WithMaxBody(10)}, script: []answer{half(10), echo}},
	{name: "a body of unknown length over the bound is not", do: unknownLength("0123456789a", 1, 503), opts: []retry.Option{retry.WithMaxBody(10)}, script: []answer{func(s *scene, w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); string(b) != "0123456789a" || err != nil {
			s.Errorf("%q %v", b, err)
		}
		w.WriteHeader(503)
	}}},
	{name: "a body of unknown length that nobody read is read later", do: unknownLength(long, 2, 200), script: []answer{half(0), echo}},
	{name: "what an attempt does to the request is undone", outer: func(next http.Handler) http.Handler { return next }, header: []string{"X-In", "1"}, script: []answer{spoil, func(s *scene, w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, r.URL.Path, r.Header.Get("X-In"), r.Header.Get("X-New"), r.Form == nil)
	}}, status: 200, answer: "GET/1true", attempts: 2},
	{name: "further attempts are numbered", opts: []retry.Option{retry.WithAttemptHeader("x-attempt")}, script: []answer{numbered, numbered, func(_ *scene, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Join(r.Header["X-Attempt"], ","))
	}}, status: 200, answer: "2", attempts: 3},
	{name: "100-continue is left to the handler", method: "PUT", body: "x", header: []string{"Expect", "100-continue"}, script: []answer{respond(417, "no", "Connection", "close")}, status: 417, answer: "no", attempts: 1},
	{name: "100-continue and a body that is read in the second attempt", only: 1, method: "PUT", body: "x", header: []string{"Expect", "100-continue"}, script: []answer{respond(503, ""), echo}, status: 200, answer: "x", attempts: 2},
	{name: "a body that breaks off is not repeated", only: 1, do: brokenUpload, script: []answer{func(s *scene, w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			s.Error("half a body was taken for a whole one")
		}
		w.WriteHeader(503)
	}}},
	{name: "request trailers arrive in the second attempt", do: requestTrailers, script: []answer{half(0), func(s *scene, w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, r.Trailer.Get("X-Sum"))
	}}},
	{name: "files of failed attempts are removed", do: multipartForm, script: []answer{parseForm(503), parseForm(200)}},
	{name: "the route is known outside", outer: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.Pattern != "GET /{$}" {
				panic("the pattern is " + r.Pattern)
			}
		})
	}, script: []answer{routed(503), routed(200)}, status: 200, answer: "routed", attempts: 2},
	{name: "the body of a past attempt cannot be read", method: "PUT", body: "0123456789", script: []answer{pastBody, echo}, status: 200, answer: "0123456789", attempts: 2},
	{name: "a client that leaves during a delay ends it", opts: []retry.Option{retry.WithFixed(time.Hour), retry.WithJitter(retry.NoJitter)}, script: []answer{respond(503, "")}, do: func(s *scene) {
		ctx, cancel := context.WithCancel(context.Background())
		r := s.request("GET", nil).WithContext(ctx)
		done := make(chan error)
		go func() {
			_, err := s.client.Do(r)
			done <- err
		}()
		for s.attempts.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; err == nil {
			s.Error("there was an answer")
		}
		s.reason(retry.ReasonCanceled)
		s.tried(1)
	}},
}

func empty() *retry.Budget {
	b, _ := retry.NewBudget(0, 0)
	return b
}

func trailing(status int, value string) answer {
	return func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-T")
		w.WriteHeader(status)
		io.WriteString(w, "body")
		w.Header().Set("X-T", value)
		w.Header().Set(http.TrailerPrefix+"X-U", value)
	}
}

// expecting looks at the outcome that is known outside.
func expecting(want httpwrap.Outcome) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rw, rec, _ := httpwrap.Wrap(w)
			defer rec.Release()
			next.ServeHTTP(rw, r)
			if got := rec.Outcome(); got != want {
				panic(fmt.Sprintf("the outcome is %v, want %v", got, want))
			}
		})
	}
}

func within(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), d)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func recovering(want any) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if v := recover(); v == want {
					w.WriteHeader(500)
					io.WriteString(w, "recovered")
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// broken sends a request whose answer does not arrive, or not whole.
func (s *scene) broken(attempts int) {
	s.Helper()
	// A method that the client itself does not repeat.
	resp, err := s.client.Do(s.request("PUT", struct{ io.Reader }{strings.NewReader("x")}))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		s.Error("the answer looks whole")
	}
	s.tried(attempts)
}

func events(s *scene, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for range 3 {
		io.WriteString(w, "data: x\n")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-s.gaveUp: // the client has seen it
		}
	}
}

func eventStream(s *scene) {
	resp, err := s.client.Do(s.request("GET", nil))
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for range 3 {
		if line, err := lines.ReadString('\n'); line != "data: x\n" || err != nil {
			s.Fatalf("%q %v", line, err)
		}
		s.gaveUp <- retry.GiveUp{}
	}
}

func hinting(status int) answer {
	return func(_ *scene, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", fmt.Sprint("</", status, ">"))
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.WriteHeader(status)
	}
}

func earlyHints(s *scene) {
	var hints []string
	r := s.request("GET", nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h.Get("Link")))
		return nil
	}}))
	resp, _ := s.send(r)
	if got := fmt.Sprint(hints); got != "[103</503> 103</200>]" {
		s.Errorf("the hints are %s", got)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		s.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func switching(s *scene, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "test")
	w.WriteHeader(101)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.Error(err)
		return
	}
	defer conn.Close()
	line, _ := rw.ReadString('\n')
	io.WriteString(conn, line)
}

func hijacking(s *scene, w http.ResponseWriter, r *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		s.Error(err)
		return
	}
	defer conn.Close()
	if _, err := w.Write([]byte("late")); !errors.Is(err, http.ErrHijacked) {
		s.Errorf("writing after it: %v", err)
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
	line, _ := rw.ReadString('\n')
	io.WriteString(conn, line)
}

func takeOver(s *scene) {
	resp, err := s.client.Do(s.request("GET", nil, "Connection", "Upgrade", "Upgrade", "test"))
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 101 {
		s.Fatalf("%d", resp.StatusCode)
	}
	io.WriteString(resp.Body.(io.Writer), "hello\n")
	if b, _ := io.ReadAll(resp.Body); string(b) != "hello\n" {
		s.Errorf("%q", b)
	}
}

func outOfTime(s *scene, w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	var late *retry.Error
	if err := context.Cause(r.Context()); !errors.As(err, &late) || !late.Timeout() {
		s.Errorf("the cause is %v", err)
	}
}

func leftover(s *scene, w http.ResponseWriter) {
	defer func() { s.gaveUp <- retry.GiveUp{} }()
	for {
		w.Header().Set("X-Leftover", "1")
		w.WriteHeader(103)
		w.WriteHeader(200)
		if _, err := io.WriteString(w, "leftover"); err != nil {
			if http.NewResponseController(w).Flush() == nil {
				s.Error("a flush was let through")
			}
			if http.NewResponseController(w).SetReadDeadline(time.Now()) == nil {
				s.Error("a deadline was let through")
			}
			return
		}
	}
}

func leftovers(s *scene) {
	resp, body := s.send(s.request("GET", nil))
	if resp.StatusCode == 200 && (body != "good" || resp.Header.Get("X-Leftover") != "") {
		s.Errorf("%q %v", body, resp.Header)
	}
	<-s.gaveUp
}

func unknownLength(body string, attempts, status int) func(*scene) {
	return func(s *scene) {
		resp, got := s.send(s.request("PUT", struct{ io.Reader }{strings.NewReader(body)}))
		if resp.StatusCode != status || status == 200 && got != body {
			s.Errorf("%d %.60q", resp.StatusCode, got)
		}
		s.tried(attempts)
	}
}

func spoil(s *scene, w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	r.Header["X-In"][0] = "spoiled"
	r.Header.Add("X-In", "more")
	r.Header.Set("X-New", "new")
	r.URL.Path = "/spoiled"
	r.Method = "PUT"
	w.WriteHeader(503)
}

func numbered(s *scene, w http.ResponseWriter, r *http.Request) {
	want := ""
	if n := s.attempts.Load(); n > 1 {
		want = fmt.Sprint(n - 1)
	}
	if got := strings.Join(r.Header["X-Attempt"], ","); got != want {
		s.Errorf("attempt %d is numbered %q", s.attempts.Load(), got)
	}
	w.WriteHeader(503)
}

func brokenUpload(s *scene) {
	conn, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	conn.Close()
	pr, pw := io.Pipe()
	r := s.request("PUT", pr)
	go func() {
		io.WriteString(pw, "half")
		for s.attempts.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		pw.CloseWithError(errors.New("broken"))
	}()
	if resp, err := s.client.Do(r); err == nil {
		resp.Body.Close()
	}
	select {
	case g := <-s.gaveUp:
		// The server cancels the context as well.
		if g.Reason != retry.ReasonBody && g.Reason != retry.ReasonCanceled {
			s.Errorf("gave up for %v", g.Reason)
		}
	case <-time.After(10 * time.Second):
		s.Error("did not give up")
	}
	s.tried(1)
}

func requestTrailers(s *scene) {
	r := s.request("PUT", struct{ io.Reader }{strings.NewReader("body")})
	r.Trailer = http.Header{"X-Sum": {"42"}}
	if resp, got := s.send(r); got != "42" {
		s.Errorf("%d %q", resp.StatusCode, got)
	}
	s.tried(2)
}

func parseForm(status int) answer {
	return func(s *scene, w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			s.Error(err)
			return
		}
		f, err := r.MultipartForm.File["f"][0].Open()
		if err != nil {
			s.Error(err)
			return
		}
		defer f.Close()
		if status != 200 {
			w.Header().Set("X-File", f.(*os.File).Name())
			s.gaveUp <- retry.GiveUp{Name: f.(*os.File).Name()}
			w.WriteHeader(status)
			return
		}
		if _, err := os.Stat((<-s.gaveUp).Name); !os.IsNotExist(err) {
			s.Errorf("the file of the failed attempt: %v", err)
		}
		b, _ := io.ReadAll(f)
		w.Write(b[:5])
	}
}

func multipartForm(s *scene) {
	var buf strings.Builder
	mw := multipart.NewWriter(&buf)
	part, err := mw.CreateFormFile("f", "f.txt")
	if err != nil {
		s.Fatal(err)
	}
	io.WriteString(part, "hello"+strings.Repeat("x", 1000))
	mw.Close()
	resp, got := s.send(s.request("PUT", strings.NewReader(buf.String()), "Content-Type", mw.FormDataContentType()))
	if resp.StatusCode != 200 || got != "hello" {
		s.Errorf("%d %q", resp.StatusCode, got)
	}
	s.tried(2)
}

func routed(status int) answer {
	return func(s *scene, w http.ResponseWriter, r *http.Request) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "routed")
		})
		mux.ServeHTTP(w, r)
	}
}

func pastBody(s *scene, w http.ResponseWriter, r *http.Request) {
	body := r.Body
	io.CopyN(io.Discard, body, 3)
	w.WriteHeader(503)
	s.Cleanup(func() {
		if n, err := body.Read(make([]byte, 1)); n != 0 || err == nil {
			s.Errorf("read %d bytes, %v", n, err)
		}
	})
}
