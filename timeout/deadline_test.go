package timeout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// Whatever a handler does about its deadline, if its response had not begun
// then the client has the whole answer of the timeout, and nothing else.
func TestAHandlerThatIsNotDoneIsAnsweredForAtItsDeadline(t *testing.T) {
	try(t, slices.Concat(silent, unflushed, copies, methods, headers, statuses, rejections, deadlineHeaders, exceptions))
}

// Handlers that write nothing.
var silent = []trial{
	{
		name: "has a client that has closed its half of the connection", on: onHTTP1,
		// net/http takes that for a client that left. It may be one that has no
		// more to ask, so it is answered, as one that is not counted.
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			c.Conn.(*net.TCPConn).CloseWrite()
			return c.receive("GET")
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.heed(r)
			if err := r.Context().Err(); err != context.Canceled {
				s.tooLate()
			}
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asCanceled, outcome: httpwrap.Canceled,
	},
	{
		name:   "returns silently when its context is done",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) { s.heed(r) },
		want:   timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name:    "ignores its context",
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "answers itself when its context is done",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.heed(r)
			w.Header().Set("X-Handler", "late")
			w.WriteHeader(http.StatusInternalServerError)
			if n, err := io.WriteString(w, "context deadline exceeded"); n != 0 || err != http.ErrHandlerTimeout {
				s.note("Write: %d, %v", n, err)
			}
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "finds its context done with the reason",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if d, ok := ctx.Deadline(); !ok || time.Until(d) > s.deadline {
				s.note("deadline %v, %v", d, ok)
			}
			type key struct{}
			child, cancel := context.WithCancel(context.WithValue(ctx, key{}, "value"))
			defer cancel()
			select {
			case <-child.Done():
			case <-time.After(patience):
			}
			for _, c := range []context.Context{ctx, child} {
				cause := context.Cause(c)
				var own *timeout.Error
				if c.Err() != context.DeadlineExceeded || !errors.Is(cause, context.DeadlineExceeded) || !errors.As(cause, &own) {
					s.note("error %v, cause %v", c.Err(), cause)
				} else if own.Name != "checkout" || own.After <= 0 || own.After > s.deadline || !own.Timeout() {
					s.note("cause %#v", own)
				}
			}
			if child.Value(key{}) != "value" || ctx.Value(http.ServerContextKey) == nil {
				s.note("a value is lost")
			}
			s.outlive()
			if ctx.Err() != context.DeadlineExceeded {
				s.note("the error is now %v", ctx.Err())
			}
		},
		options: func(*stage) []timeout.Option { return []timeout.Option{timeout.WithName("checkout")} },
		overdue: true,
		want: func(s *stage, re *reply) {
			for _, fault := range faults(re, 503, "deadline", "checkout") {
				s.Errorf("%s", fault)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "waits for somebody that waits for the context",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			told := make(chan struct{})
			context.AfterFunc(r.Context(), func() { close(told) })
			<-told
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "changes its request until the end",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			// What a handler may do to its own request must not meet what the
			// timeout looks at meanwhile, or the race detector says so.
			defer func(m string) { r.Method = m }(r.Method)
			for done := false; !done; {
				select {
				case <-s.answered:
					done = true
				case <-time.After(time.Millisecond):
				}
				r.Method, r.RequestURI, r.Pattern = "CHANGED", "/changed", "/changed"
				r.URL.Path = "/changed"
				r.Header.Set("Expect", "nothing")
				r.Header.Set("Accept", "nothing")
				r.Header.Del("Connection")
				r.Close = !r.Close
				r.ContentLength = 1 << 40
				r.ProtoMajor = 7
				r.Host = "changed"
				r.Body = http.NoBody
				r.Trailer = http.Header{"Changed": nil}
			}
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "changes its header until the end",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			for i := 0; ; i++ {
				select {
				case <-s.answered:
					return
				default:
				}
				w.Header().Set(fmt.Sprintf("X-Handler-%d", i%100), "changing")
				w.Header().Del(fmt.Sprintf("X-Handler-%d", i/2%100))
				w.Header()["X-Outside"] = append(w.Header()["X-Outside"][:0], "changed")
				if i%1000 == 999 {
					time.Sleep(time.Millisecond)
				}
			}
		},
		around:  setting("X-Outside", "set"),
		overdue: true,
		want:    both(timedOut, header("X-Outside", "set")), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "is done in time",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			w.WriteHeader(http.StatusCreated)
			s.write(w, "created")
			s.inTime(r)
		},
		want: both(whole(201, "created"), header("X-Handler", "yes")), counts: asDone,
	},
	{
		name: "finds its route within",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
				s.write(w, r.Pattern)
				s.inTime(r)
			})
			mux.ServeHTTP(w, r)
		},
		pattern: "GET /{$}",
		want:    whole(200, "GET /{$}"), counts: asDone,
	},
	{
		name:   "is done in time without a word",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) { s.inTime(r) },
		want:   whole(200, ""), counts: asDone,
	},
}

// Handlers whose response is still held back at the deadline.
var unflushed = []trial{
	{
		name: "wrote a whole response and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Handler", "yes")
			h.Set("Content-Type", "text/html")
			h.Set("Content-Encoding", "gzip")
			h.Set("Etag", `"1"`)
			h.Set("Cache-Control", "max-age=3600")
			h.Set("Set-Cookie", "session=1")
			h.Set("Retry-After", "3600")
			w.WriteHeader(http.StatusOK)
			s.write(w, "a whole response")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    both(timedOut, both(header("Set-Cookie"), both(header("Etag"), header("Content-Encoding")))),
		counts:  asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "wrote a whole response and waits for its context",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "a whole response")
			s.inTime(r)
			s.heed(r)
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "chose a status and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "wrote an empty body and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Write(nil)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "wrote 2 KiB in pieces and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			for range 2048 / 8 {
				s.write(w, "8 bytes.")
			}
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "declared a length, wrote less and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			s.write(w, "the beginning")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "declared a length, wrote all of it and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			s.write(w, "content")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "declared trailers and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Handler-Sum")
			s.write(w, "body")
			w.Header().Set("X-Handler-Sum", "42")
			w.Header().Set(http.TrailerPrefix+"X-Handler-More", "43")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    both(timedOut, header("Trailer")), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "chose 204 and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "sent early hints and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.Header().Set("X-Handler", "yes")
			w.WriteHeader(http.StatusEarlyHints)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want: func(s *stage, re *reply) {
			timedOut(s, re)
			header("Link")(s, re)
			if !slices.Equal(re.hints, []string{"103 [</style.css>; rel=preload]"}) {
				s.Errorf("informational responses %q", re.hints)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "sent early hints, wrote and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
			s.write(w, "nothing there")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want: func(s *stage, re *reply) {
			timedOut(s, re)
			if len(re.hints) != 1 {
				s.Errorf("informational responses %q", re.hints)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// slowSource gives some bytes and then nothing until the stage is over, as a
// backend does that hangs.
type slowSource struct {
	s    *stage
	r    *http.Request
	give string
	// stopped says that all was given in time.
	stopped bool
}

func (src *slowSource) Read(p []byte) (int, error) {
	if len(src.give) > 0 {
		n := copy(p, src.give)
		src.give = src.give[n:]
		return n, nil
	}
	src.stopped = true
	src.s.inTime(src.r)
	src.s.outlive()
	n := copy(p, "late")
	return n, io.EOF
}

// copying has io.Copy do what it does, ReadFrom where the writer has it.
func copying(give int) func(*stage, http.ResponseWriter, *http.Request) {
	return func(s *stage, w http.ResponseWriter, r *http.Request) {
		src := &slowSource{s: s, r: r, give: strings.Repeat("x", give)}
		_, err := io.Copy(w, src)
		s.note("Copy: %v", err)
		if !src.stopped {
			s.tooLate()
		}
	}
}

// Handlers that copy from a source which does not come to its end: nothing
// may be locked meanwhile that the deadline needs.
var copies = []trial{
	{
		name: "copies a file so small that it is held back",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			name := filepath.Join(s.TempDir(), "small")
			if err := os.WriteFile(name, []byte("held back"), 0o600); err != nil {
				s.note("%v", err)
			}
			f, err := os.Open(name)
			if err != nil {
				s.note("%v", err)
				return
			}
			defer f.Close()
			if n, err := io.Copy(w, f); n != 9 || err != nil {
				s.note("Copy: %d, %v", n, err)
			}
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name:    "copies from a source that is silent",
		handle:  copying(0),
		overdue: true, notes: []string{"Copy: " + http.ErrHandlerTimeout.Error()},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name:    "copies from a source that stops",
		handle:  copying(100),
		overdue: true, notes: []string{"Copy: " + http.ErrHandlerTimeout.Error()},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name:    "copies much from a source that stops",
		handle:  copying(100_000),
		overdue: true, notes: []string{"Copy: " + http.ErrHandlerTimeout.Error()},
		want: neverComplete, counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "writes much and stops",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, strings.Repeat("x", 2049))
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    neverComplete, counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "writes much in pieces and waits for its context",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			for range 3000 {
				s.write(w, "x")
			}
			s.inTime(r)
			s.heed(r)
		},
		want: neverComplete, counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "writes very much and stops",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, strings.Repeat("x", 300_000))
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    cutShort(200, strings.Repeat("x", 1000)), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "copies all in time",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(w, bytes.NewReader(bytes.Repeat([]byte("x"), 100_000)))
			s.note("Copy: %d, %v", n, err)
			s.inTime(r)
		},
		notes: []string{"Copy: 100000, <nil>"},
		want:  whole(200, strings.Repeat("x", 100_000)), counts: asDone,
	},
}

func hanging(s *stage, w http.ResponseWriter, r *http.Request) {
	s.write(w, "a body")
	s.inTime(r)
	s.outlive()
}

func with(method string, headers ...string) func(*stage) *http.Request {
	return func(s *stage) *http.Request {
		r := s.request(method, "/", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return r
	}
}

var methods = []trial{
	{
		name: "HEAD", handle: hanging, request: with("HEAD"), overdue: true,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "HEAD that waits for its context", request: with("HEAD"),
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) { s.heed(r) },
		want:   timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "OPTIONS", handle: hanging, request: with("OPTIONS"), overdue: true,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a method of one's own", handle: hanging, request: with("BREW"), overdue: true,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a client that wants the connection closed", handle: hanging, request: with("GET", "Connection", "close"), overdue: true,
		on:   onHTTP1,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a client that accepts event streams only", handle: hanging, request: with("GET", "Accept", "text/event-stream"), overdue: true,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a client that asks for a websocket", handle: hanging, overdue: true, on: onHTTP1,
		request: with("GET", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a client that says there is more time", handle: hanging, overdue: true,
		request: with("GET", "X-Deadline", "3600000", "Grpc-Timeout", "1H", "X-Envoy-Expected-Rq-Timeout-Ms", "3600000", "X-Request-Timeout", "0"),
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// setting sets a header outside of the timeout.
func setting(name string, values ...string) func(*stage, http.Handler) http.Handler {
	return func(_ *stage, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()[name] = slices.Clone(values)
			next.ServeHTTP(w, r)
		})
	}
}

var headers = []trial{
	{
		name: "headers of outside that the handler changes",
		around: func(_ *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("X-Request-Id", "7")
				h["X-Removed"] = []string{"set"}
				h["X-Replaced"] = []string{"set"}
				h["X-Appended"] = append(make([]string, 0, 10), "set")
				h["X-Inside"] = []string{"set", "twice"}
				h["Access-Control-Allow-Origin"] = []string{"https://example.org"}
				next.ServeHTTP(w, r)
			})
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Del("X-Removed")
			h.Set("X-Replaced", "again")
			h["X-Appended"] = append(h["X-Appended"], "more")
			h["X-Inside"][0] = "changed"
			h.Del("Access-Control-Allow-Origin")
			h.Set("X-Handler", "yes")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want: func(s *stage, re *reply) {
			timedOut(s, re)
			for name, values := range map[string][]string{
				"X-Request-Id": {"7"}, "X-Removed": {"set"}, "X-Replaced": {"set"}, "X-Appended": {"set"},
				"X-Inside": {"set", "twice"}, "Access-Control-Allow-Origin": {"https://example.org"},
			} {
				header(name, values...)(s, re)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "headers of outside on a held response",
		around: func(_ *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Removed", "set")
				w.Header().Set("X-Kept", "set")
				next.ServeHTTP(w, r)
			})
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Del("X-Removed")
			w.Header().Set("X-Handler", "yes")
			w.WriteHeader(http.StatusAccepted)
			s.write(w, "held")
			s.inTime(r)
			s.heed(r)
		},
		want:   both(timedOut, both(header("X-Removed", "set"), header("X-Kept", "set"))),
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "headers of outside that describe another response",
		around: func(_ *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "5000")
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("Etag", `"1"`)
				next.ServeHTTP(w, r)
			})
		},
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    both(timedOut, both(header("Etag"), header("Content-Encoding"))), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "very many headers of outside",
		around: func(_ *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for i := range 60 {
					w.Header().Set(fmt.Sprintf("X-Outside-%d", i), strings.Repeat("x", 1000))
				}
				next.ServeHTTP(w, r)
			})
		},
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    both(timedOut, header("X-Outside-59", strings.Repeat("x", 1000))), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name:   "headers of outside stay when all is well",
		around: setting("X-Outside", "set"),
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Add("X-Outside", "again")
			s.write(w, "body")
			s.inTime(r)
		},
		want: both(whole(200, "body"), header("X-Outside", "set", "again")), counts: asDone,
	},
}

var statuses = []trial{
	{
		name: "504", handle: hanging, overdue: true,
		options: func(*stage) []timeout.Option { return []timeout.Option{timeout.WithStatus(504)} },
		want: func(s *stage, re *reply) {
			for _, fault := range faults(re, 504, "deadline", "") {
				s.Errorf("%s", fault)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "408", handle: hanging, overdue: true,
		options: func(*stage) []timeout.Option { return []timeout.Option{timeout.WithStatus(408)} },
		want: func(s *stage, re *reply) {
			for _, fault := range faults(re, 408, "deadline", "") {
				s.Errorf("%s", fault)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "outer layers know the status", handle: hanging, overdue: true,
		on: func(l lane) bool { return l.shared },
		around: func(s *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if rec := httpwrap.Find(w); rec.Status() != 503 || rec.Bytes() < 50 {
					s.Errorf("outside the status is %d, with %d bytes", rec.Status(), rec.Bytes())
				}
			})
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// own is an answer of the service's own.
func own(write func(w http.ResponseWriter)) func(*stage) []timeout.Option {
	return func(s *stage) []timeout.Option {
		return []timeout.Option{timeout.WithName("mine"), timeout.WithRejectionHandler(
			func(w http.ResponseWriter, r *http.Request, rejection handrail.Rejection) {
				if rejection.Code != timeout.Code || rejection.Reason != "deadline" || rejection.Status != 503 || rejection.Name != "mine" ||
					rejection.Message == "" || rejection.RetryAfter <= 0 || rejection.RetryAfter > 2*time.Second {
					s.Errorf("the rejection is %+v", rejection)
				}
				write(w)
			})}
	}
}

var rejections = []trial{
	{
		name: "an answer of the service's own that takes its time",
		// It goes on while the handler writes, which must not wait for it.
		options: func(s *stage) []timeout.Option {
			return []timeout.Option{timeout.WithRejectionHandler(func(w http.ResponseWriter, _ *http.Request, _ handrail.Rejection) {
				s.callNow <- struct{}{}
				select {
				case <-s.called:
				case <-time.After(patience):
					s.Errorf("a write of the handler waits for the answer")
				}
				w.WriteHeader(http.StatusTeapot)
				io.WriteString(w, "mine")
			})}
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			<-s.callNow
			s.callAll(w)
			s.called <- struct{}{}
			s.outlive()
		},
		overdue: true,
		want:    whole(http.StatusTeapot, "mine"), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer", handle: hanging, overdue: true,
		options: own(func(w http.ResponseWriter) {
			w.Header().Set("X-Mine", "yes")
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "mine")
		}),
		want: both(whole(418, "mine"), header("X-Mine", "yes")), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer without a length", handle: hanging, overdue: true,
		options: own(func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "mine ")
			io.WriteString(w, "in parts")
		}),
		want: whole(418, "mine in parts"), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer that is flushed", handle: hanging, overdue: true,
		options: own(func(w http.ResponseWriter) {
			io.WriteString(w, "mine ")
			http.NewResponseController(w).Flush() // which may not be supported
			io.WriteString(w, "in parts")
		}),
		want: whole(200, "mine in parts"), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer that is long", handle: hanging, overdue: true,
		options: own(func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			for range 100 {
				io.WriteString(w, strings.Repeat("mine", 250))
			}
		}),
		want: whole(418, strings.Repeat("mine", 25_000)), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer is nothing", handle: hanging, overdue: true,
		options: own(func(w http.ResponseWriter) {}),
		want:    whole(200, ""), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer to HEAD", handle: hanging, overdue: true, request: with("HEAD"),
		options: own(func(w http.ResponseWriter) { io.WriteString(w, "mine") }),
		want:    whole(200, ""), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer by http.Error", handle: hanging, overdue: true,
		around:  setting("X-Outside", "set"),
		options: own(func(w http.ResponseWriter) { http.Error(w, "mine", http.StatusServiceUnavailable) }),
		want:    both(whole(503, "mine\n"), header("X-Outside", "set")), counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "own answer where the handler comes back",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "held")
			s.inTime(r)
			s.heed(r)
		},
		options: own(func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "mine")
		}),
		want: whole(418, "mine"), counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// ahead sets the opted-in header, behind a timeout of an hour.
func ahead(values ...string) (func(*stage) []timeout.Option, func(*stage) *http.Request) {
	return func(s *stage) []timeout.Option {
			return []timeout.Option{timeout.WithDeadlineHeader("x-deadline")}
		}, func(s *stage) *http.Request {
			r := s.request("GET", "/", nil)
			r.Header["X-Deadline"] = values
			return r
		}
}

func headerTrial(name string, tr trial, values ...string) trial {
	tr.name = name
	tr.options, tr.request = ahead(values...)
	return tr
}

func never(s *stage, w http.ResponseWriter, r *http.Request) {
	s.Errorf("a request that had no time left is served")
}

// remaining notes if there is more time than the timeout allows.
func remaining(s *stage, w http.ResponseWriter, r *http.Request) {
	if d, ok := r.Context().Deadline(); !ok || time.Until(d) > s.deadline {
		s.note("deadline %v from now, %v", time.Until(d), ok)
	}
	s.outlive()
}

var (
	ignoredHeader = trial{handle: remaining, overdue: true, want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout}
	noTimeLeft    = trial{handle: never, want: refusedFor("expired"), counts: asExpired, outcome: httpwrap.Timeout}
)

var deadlineHeaders = []trial{
	headerTrial("a deadline header that allows more", ignoredHeader, "3600000"),
	headerTrial("a deadline header that is garbage", ignoredHeader, "soon"),
	headerTrial("a deadline header with a unit", ignoredHeader, "1h"),
	headerTrial("a deadline header below 0", ignoredHeader, "-1"),
	headerTrial("a deadline header with a sign", ignoredHeader, "+0"),
	headerTrial("a deadline header with a fraction", ignoredHeader, "0.0"),
	headerTrial("a deadline header that is empty", ignoredHeader, ""),
	headerTrial("a deadline header that is beyond all numbers", ignoredHeader, strings.Repeat("9", 400)),
	headerTrial("a deadline header that overflows", ignoredHeader, "9223372036854775808"),
	headerTrial("a deadline header that overflows as a duration", ignoredHeader, "9223372036854775"),
	headerTrial("a deadline header of nanoseconds that overflow to little", ignoredHeader, "18446744073710"),
	headerTrial("a deadline header in another number system", ignoredHeader, "0x0"),
	headerTrial("a deadline header given twice", ignoredHeader, "0", "0"),
	headerTrial("a deadline header that is a list", ignoredHeader, "0, 0"),
	headerTrial("a deadline header of 0", noTimeLeft, "0"),
	{
		name: "a deadline header that allows less",
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.Basic(time.Hour), timeout.WithDeadlineHeader("X-Deadline")}
		},
		request: with("GET", "X-Deadline", "30"),
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			if d, ok := r.Context().Deadline(); !ok || time.Until(d) > 30*time.Millisecond {
				s.note("deadline %v from now, %v", time.Until(d), ok)
			}
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
		after: func(s *stage) {
			if st := s.timeout.Stats(); st.MaxTimeout != 30*time.Millisecond {
				s.Errorf("the timeout chosen was %v", st.MaxTimeout)
			}
		},
	},
	{
		name: "a deadline header of gRPC",
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.Basic(time.Hour), timeout.WithDeadlineHeader("grpc-timeout")}
		},
		request: with("GET", "Grpc-Timeout", "30m"),
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// within30 gives the request a deadline of somebody else's.
func within30(s *stage, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Millisecond)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func anHour(*stage) []timeout.Option { return []timeout.Option{timeout.Basic(time.Hour)} }

var exceptions = []trial{
	{
		name: "a deadline further out comes first", around: within30, options: anHour,
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a deadline further out comes first and is heeded", around: within30, options: anHour,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.heed(r)
			if err := r.Context().Err(); err != context.DeadlineExceeded {
				s.note("error %v", err)
			}
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a deadline further out has passed",
		around: func(s *stage, next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, cancel := context.WithTimeout(r.Context(), -time.Second)
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		},
		handle: never, want: refusedFor("expired"), counts: asExpired, outcome: httpwrap.Timeout,
	},
	{
		name: "an exempt request",
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/" })}
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			if d, ok := r.Context().Deadline(); ok {
				s.note("deadline %v", d)
			}
			time.Sleep(2 * s.deadline)
			s.write(w, "all the time in the world")
		},
		exempt: true,
		want:   whole(200, "all the time in the world"), counts: asDone,
	},
	{
		name: "a server that stops writing before the deadline", on: onHTTP1,
		// Its deadline for writes passes first, which would leave the client
		// without any answer.
		server:  func(s *stage, srv *http.Server) { srv.WriteTimeout = s.deadline / 2 },
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a server that stops reading before the deadline",
		server: func(s *stage, srv *http.Server) {
			srv.ReadTimeout, srv.ReadHeaderTimeout, srv.IdleTimeout = s.deadline/2, time.Hour, time.Hour
		},
		on: onHTTP1,
		// net/http then cancels the context of a request without a body,
		// although its client is still there.
		handle:  func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() },
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "64 goroutines write at the deadline",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					w.Header()
					s.heed(r)
					if n, err := io.WriteString(w, "from the handler"); n != 0 || err != http.ErrHandlerTimeout {
						s.note("Write: %d, %v", n, err)
					}
				})
			}
			all.Wait()
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "64 goroutines write until they are told not to",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for {
						if _, err := io.WriteString(w, "from the handler"); err != nil {
							if err != http.ErrHandlerTimeout {
								s.note("Write: %v", err)
							}
							return
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			all.Wait()
			s.outlive()
		},
		overdue: true,
		want: begins(func(s *stage, re *reply) {
			neverComplete(s, re)
			if rest := strings.ReplaceAll(re.body, "from the handler", ""); !strings.HasPrefix("from the handler", rest) {
				s.Errorf("the body has %.200q too", rest)
			}
		}),
		counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "a callback that panics",
		options: func(s *stage) []timeout.Option {
			return []timeout.Option{timeout.OnTimeout(func(timeout.Event) { panic("in the callback") })}
		},
		handle: hanging, overdue: true,
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a callback that blocks",
		options: func(s *stage) []timeout.Option {
			return []timeout.Option{timeout.WithName("mine"), timeout.OnTimeout(func(e timeout.Event) {
				s.outlive()
				if e.Name != "mine" || e.Reason != timeout.ReasonDeadline || e.Timeout != s.deadline || e.Method != "GET" || e.Aborted || e.At.IsZero() {
					s.Errorf("event %+v", e)
				}
			})}
		},
		handle: hanging, overdue: true,
		want: func(s *stage, re *reply) {
			for _, fault := range faults(re, 503, "deadline", "mine") {
				s.Errorf("%s", fault)
			}
		},
		counts: asTimeout, outcome: httpwrap.Timeout,
	},
}
