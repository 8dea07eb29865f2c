package timeout_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// A response that has begun at the deadline is cut so that its client sees it,
// or spared. It never ends as if it were complete.
func TestAResponseThatHasBegunIsCutAtItsDeadlineOrSpared(t *testing.T) {
	try(t, slices.Concat(begun, spared, hijacked, slowReaders))
}

// flushing writes, flushes and hangs.
func flushing(parts ...string) func(*stage, http.ResponseWriter, *http.Request) {
	return func(s *stage, w http.ResponseWriter, r *http.Request) {
		for _, p := range parts {
			s.write(w, p)
		}
		s.flush(w)
		s.inTime(r)
		s.outlive()
	}
}

// beginning sends the beginning of a response from outside of the timeout.
func beginning(s *stage, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.write(w, "the beginning")
		s.flush(w)
		next.ServeHTTP(w, r)
	})
}

var begun = []trial{
	{
		name: "begun outside of the timeout, and hangs", on: func(l lane) bool { return l.shared },
		around: beginning, handle: func(s *stage, w http.ResponseWriter, r *http.Request) { s.outlive() }, overdue: true,
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "begun outside of the timeout, and waits for its context", on: func(l lane) bool { return l.shared },
		around: beginning, handle: func(s *stage, w http.ResponseWriter, r *http.Request) { s.heed(r) },
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed and hangs", handle: flushing("the beginning"), overdue: true,
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed and waits for its context",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "the beginning")
			s.flush(w)
			s.inTime(r)
			s.heed(r)
		},
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed its header and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			w.WriteHeader(http.StatusCreated)
			s.flush(w)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    both(cutShort(201, ""), header("X-Handler", "yes")), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed by the Flusher and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "the beginning")
			w.(http.Flusher).Flush()
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed part of its declared length and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			s.write(w, "the beginning")
			s.flush(w)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed all of its declared length and hangs", on: onHTTP1,
		// The client has a whole response, whatever becomes of the handler.
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			s.write(w, "content")
			s.flush(w)
			s.inTime(r)
			s.heed(r)
		},
		want: whole(200, "content"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed 204 and hangs", on: onHTTP1,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			s.flush(w)
			s.inTime(r)
			s.heed(r)
		},
		want: whole(204, ""), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed with trailers to come and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Handler-Sum")
			s.write(w, "the beginning")
			s.flush(w)
			w.Header().Set("X-Handler-Sum", "42")
			w.Header().Set(http.TrailerPrefix+"X-Handler-More", "43")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want: func(s *stage, re *reply) {
			cutShort(200, "the beginning")(s, re)
			if re.Response != nil && (re.Trailer.Get("X-Handler-Sum") != "" || re.Trailer.Get("X-Handler-More") != "") {
				s.Errorf("trailers %v", re.Trailer)
			}
		},
		counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed an error page and hangs",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no", http.StatusBadGateway)
			s.flush(w)
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    cutShort(502, "no\n"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushes again and again",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, "the beginning")
			s.flush(w)
			s.inTime(r)
			c := http.NewResponseController(w)
			for {
				if _, err := io.WriteString(w, "."); err != nil {
					break
				}
				if err := c.Flush(); err != nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
			// The write that met the deadline may have failed on its own.
			if _, err := io.WriteString(w, "."); err != http.ErrHandlerTimeout {
				s.note("Write: %v", err)
			}
			if err := c.Flush(); err != http.ErrHandlerTimeout {
				s.note("Flush: %v", err)
			}
			s.outlive()
		},
		overdue: true,
		want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed as a client of HTTP/1.0 asked for", on: onHTTP1,
		// Without chunks and length the end of the body is that of the
		// connection, so nothing but a reset shows that it is cut.
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.0\r\n\r\n")
			return c.receive("GET")
		},
		handle: flushing("the beginning"), overdue: true,
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "flushed and done in time",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			s.write(w, "the beginning")
			s.flush(w)
			s.write(w, " and the end")
			w.Header().Set("X-Sum", "42")
			w.Header().Set(http.TrailerPrefix+"X-More", "43")
			s.inTime(r)
		},
		want: func(s *stage, re *reply) {
			whole(200, "the beginning and the end")(s, re)
			if re.Response != nil && (re.Trailer.Get("X-Sum") != "42" || re.Trailer.Get("X-More") != "43") {
				s.Errorf("trailers %v", re.Trailer)
			}
		},
		counts: asDone,
	},
	{
		name: "an event that tells of the cut", handle: flushing("the beginning"), overdue: true,
		options: func(s *stage) []timeout.Option {
			return []timeout.Option{timeout.OnTimeout(func(e timeout.Event) {
				if !e.Aborted || e.Reason != timeout.ReasonDeadline || e.Timeout != s.deadline {
					s.Errorf("event %+v", e)
				}
			})}
		},
		want: cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "an event stream that has not begun",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			s.write(w, "data: held back\n\n")
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "an event stream that is not spared",
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithStreams(timeout.SpareNone)}
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			flushing("data: 1\n\n")(s, w, r)
		},
		overdue: true,
		want:    cutShort(200, "data: 1\n\n"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "what only resembles an event stream",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-streams")
			flushing("data: 1\n\n")(s, w, r)
		},
		overdue: true,
		want:    cutShort(200, "data: 1\n\n"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "nothing begun where every stream is spared", handle: hanging, overdue: true,
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithStreams(timeout.SpareAll)}
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// living goes on until well after the deadline, of which it must not notice
// anything.
func (s *stage) living(r *http.Request) {
	if st := s.timeout.Stats(); st.LongLived != 1 || st.Overdue != 0 {
		s.note("before the deadline the gauges are %d and %d", st.LongLived, st.Overdue)
	}
	select {
	case <-r.Context().Done():
		s.note("the context is done: %v", r.Context().Err())
	case <-time.After(2*s.deadline + 20*time.Millisecond):
	}
	if err := r.Context().Err(); err != nil {
		s.note("the context has %v", err)
	}
	if d, ok := r.Context().Deadline(); ok {
		s.note("the context has the deadline %v", d)
	}
	if st := s.timeout.Stats(); st.LongLived != 1 || st.Overdue != 0 {
		s.note("after the deadline the gauges are %d and %d", st.LongLived, st.Overdue)
	}
}

func eventStream(contentType string) func(*stage, http.ResponseWriter, *http.Request) {
	return func(s *stage, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		s.write(w, "data: 1\n\n")
		s.flush(w)
		s.inTime(r)
		s.living(r)
		for i := range 3 {
			s.write(w, fmt.Sprintf("data: %d\n\n", i+2))
			s.flush(w)
		}
	}
}

const events = "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"

var spared = []trial{
	{
		name: "an event stream", handle: eventStream("text/event-stream"),
		want: whole(200, events), counts: asDone,
	},
	{
		name: "an event stream in other letters and with a parameter", handle: eventStream("Text/Event-Stream; charset=utf-8"),
		want: whole(200, events), counts: asDone,
	},
	{
		name: "an event stream begun by its status alone",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			s.inTime(r)
			s.living(r)
			s.write(w, "data: 1\n\n")
		},
		want: whole(200, "data: 1\n\n"), counts: asDone,
	},
	{
		name: "any stream where all are spared", handle: eventStream("application/x-ndjson"),
		options: func(*stage) []timeout.Option { return []timeout.Option{timeout.WithStreams(timeout.SpareAll)} },
		want:    whole(200, events), counts: asDone,
	},
	{
		name: "a long body where all are spared",
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithStreams(timeout.SpareAll)}
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.write(w, strings.Repeat("x", 5000))
			s.inTime(r)
			s.living(r)
			s.write(w, "end")
		},
		want: whole(200, strings.Repeat("x", 5000)+"end"), counts: asDone,
	},
	{
		name: "an event stream whose client leaves",
		client: func(s *stage) *reply {
			ctx, leave := context.WithCancel(s.Context())
			defer leave()
			resp, err := s.client.Do(s.request("GET", "/", nil).WithContext(ctx))
			if err == nil {
				defer resp.Body.Close()
			}
			return &reply{err: err}
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			s.write(w, "data: 1\n\n")
			s.flush(w)
			s.inTime(r)
			s.heed(r)
			if err := r.Context().Err(); err != context.Canceled {
				s.note("the context has %v", err)
			}
		},
		want: func(*stage, *reply) {}, counts: asCanceled, outcome: httpwrap.Canceled,
	},
	{
		name: "an event stream with a deadline further out", around: within30, options: anHour,
		// That deadline is somebody else's, who may know why.
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			s.write(w, "data: 1\n\n")
			s.flush(w)
			s.inTime(r)
			s.heed(r)
			s.write(w, "data: 2\n\n")
		},
		want: whole(200, "data: 1\n\ndata: 2\n\n"), counts: asDone,
	},
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// talking takes the connection over and echoes lines.
func talking(take func(s *stage, w http.ResponseWriter) (net.Conn, *bufio.Reader)) func(*stage, http.ResponseWriter, *http.Request) {
	return func(s *stage, w http.ResponseWriter, r *http.Request) {
		conn, in := take(s, w)
		if conn == nil {
			s.inTime(r)
			return
		}
		defer conn.Close()
		s.inTime(r)
		s.living(r)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				break
			}
			io.WriteString(conn, strings.ToUpper(line))
		}
		if _, err := w.Write([]byte("into the conversation")); err != http.ErrHijacked {
			s.note("Write: %v", err)
		}
	}
}

func byHijacker(s *stage, w http.ResponseWriter) (net.Conn, *bufio.Reader) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		s.note("Hijack: %v", err)
		return nil, nil
	}
	io.WriteString(conn, switching)
	return conn, rw.Reader
}

func byController(s *stage, w http.ResponseWriter) (net.Conn, *bufio.Reader) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "echo")
	w.Header()["Date"] = nil
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.note("Hijack: %v", err)
		return nil, nil
	}
	rw.Flush()
	return conn, rw.Reader
}

func talk(s *stage) *reply {
	c := s.dial()
	defer c.Close()
	c.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	head := make([]byte, len(switching))
	if _, err := io.ReadFull(c, head); err != nil || !strings.EqualFold(string(head), switching) {
		s.Errorf("the conversation begins with %q, %v", head, err)
		return nil
	}
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		c.send(line)
		if got, err := c.in.ReadString('\n'); got != strings.ToUpper(line) {
			s.Errorf("%q is answered with %q, %v", line, got, err)
			return nil
		}
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := c.rest(); rest != "" || err != nil {
		s.Errorf("the conversation ends with %q, %v", rest, err)
	}
	return nil
}

// theLateWrite is what net/http says about one after Hijack.
var theLateWrite = []string{"response.Write on hijacked connection"}

var hijacked = []trial{
	{
		name: "a connection taken over by Hijack", on: onHTTP1,
		handle: talking(byHijacker), client: talk,
		want: func(*stage, *reply) {}, counts: asDone, log: theLateWrite,
	},
	{
		name: "a connection taken over by the controller", on: onHTTP1,
		handle: talking(byController), client: talk,
		want: func(*stage, *reply) {}, counts: asDone, log: theLateWrite,
	},
	{
		name: "a connection taken over where no stream is spared", on: onHTTP1,
		options: func(*stage) []timeout.Option {
			return []timeout.Option{timeout.WithStreams(timeout.SpareNone), timeout.WithIdleTimeout(time.Millisecond)}
		},
		handle: talking(byHijacker), client: talk,
		want: func(*stage, *reply) {}, counts: asDone, log: theLateWrite,
	},
	{
		name: "a connection that cannot be taken over", on: onHTTP2,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			if _, ok := w.(http.Hijacker); ok {
				s.note("there is a Hijack")
			}
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				s.note("Hijack succeeds")
			}
			s.inTime(r)
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a connection that was announced and not taken over", on: onHTTP1,
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			return c.receive("GET")
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
			s.inTime(r)
			s.heed(r)
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
}

// large is a file that no buffer holds.
func (s *stage) large() string {
	name := filepath.Join(s.TempDir(), "large")
	f, err := os.Create(name)
	if err == nil {
		err = f.Truncate(64 << 20)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.Errorf("a large file: %v", err)
	}
	return name
}

var slowReaders = []trial{
	{
		name: "a client that does not read", on: onHTTP1,
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			if !eventually(func() bool { return len(s.left) == 1 }) {
				s.Errorf("the handler does not end while its client does not read")
			}
			return c.receive("GET")
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			block := strings.Repeat("x", 100_000)
			for range 1000 {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
			s.note("100 MB went out to nobody")
		},
		want: arrives(cutShort(200, "xxx")), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "a client that does not read its stream", on: onHTTP2,
		client: func(s *stage) *reply {
			resp, err := s.client.Do(s.request("GET", "/", nil))
			if err != nil {
				return &reply{err: err}
			}
			if !eventually(func() bool { return len(s.left) == 1 }) {
				s.Errorf("the handler does not end while its client does not read")
			}
			re := new(reply)
			re.take(resp)
			return re
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			block := strings.Repeat("x", 100_000)
			for range 1000 {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
			s.note("100 MB went out to nobody")
		},
		want: arrives(cutShort(200, "xxx")), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "a file for a client that does not read", on: onHTTP1,
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			if !eventually(func() bool { return len(s.left) == 1 }) {
				s.Errorf("the handler does not end while its client does not read")
			}
			return c.receive("GET")
		},
		options: func(s *stage) []timeout.Option {
			s.file.Store(s.large())
			return nil
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, s.file.Load().(string))
		},
		want: arrives(cutShort(200, "\x00\x00\x00")), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name: "a client that does not read informational responses", on: onHTTP1,
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			if !eventually(func() bool { return len(s.left) == 1 }) {
				s.Errorf("the handler does not end while its client does not read")
			}
			return nil
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", strings.Repeat("x", 100_000))
			for began := time.Now(); r.Context().Err() == nil; {
				w.WriteHeader(http.StatusEarlyHints)
				if time.Since(began) < 9*s.deadline { // from the deadline on they fail at once, and many may
					s.hints.Add(1)
				}
			}
		},
		options: func(s *stage) []timeout.Option { return []timeout.Option{timeout.Basic(10 * s.deadline)} },
		after: func(s *stage) {
			if n := s.hints.Load(); n > 1000 {
				s.Errorf("%d informational responses went out to nobody", n)
			}
		},
		want: func(*stage, *reply) {}, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a write that is ended by a deadline of the handler's own", on: onHTTP1,
		options: anHour,
		client: func(s *stage) *reply {
			c := s.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			if !eventually(func() bool { return len(s.left) == 1 }) {
				s.Errorf("the write does not end")
			}
			return nil
		},
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			wrote := make(chan error, 1)
			var blocks atomic.Int64
			go func() {
				block := strings.Repeat("x", 100_000)
				var err error
				for range 1000 {
					if _, err = io.WriteString(w, block); err != nil {
						break
					}
					blocks.Add(1)
				}
				wrote <- err
			}()
			for before := int64(-1); blocks.Load() != before; { // until a write blocks
				before = blocks.Load()
				time.Sleep(100 * time.Millisecond)
			}
			c := http.NewResponseController(w)
			if err := c.SetWriteDeadline(time.Now()); err != nil {
				s.note("SetWriteDeadline: %v", err)
			}
			if err := <-wrote; err == nil {
				s.note("100 MB went out to nobody")
			}
		},
		// For net/http the client is gone.
		want: func(*stage, *reply) {}, counts: asCanceled, outcome: httpwrap.Canceled,
	},
}
