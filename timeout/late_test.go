package timeout_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// A handler that is cut off is told so by whatever it calls, and none of that
// has an effect: neither on its client nor on the request that comes next on
// the same connection.
func TestAHandlerThatIsCutOffCannotDoAnythingMore(t *testing.T) {
	try(t, lateCalls)
}

// methodsOfTheWriter are all that can fail. Each returns its error, or what is
// wrong with that; one that the protocol does not have is as good as refused.
var methodsOfTheWriter = []struct {
	name string
	call func(w http.ResponseWriter) error
}{
	{"Write", func(w http.ResponseWriter) error { return none(w.Write([]byte("late"))) }},
	{"Write of nothing", func(w http.ResponseWriter) error { return none(w.Write(nil)) }},
	{"Write of much", func(w http.ResponseWriter) error { return none(w.Write(make([]byte, 100_000))) }},
	{"WriteString", func(w http.ResponseWriter) error { return none(w.(io.StringWriter).WriteString("late")) }},
	{"Fprint", func(w http.ResponseWriter) error { return none(fmt.Fprint(w, "late")) }},
	{"ReadFrom", func(w http.ResponseWriter) error {
		if rf, ok := w.(io.ReaderFrom); ok {
			n, err := rf.ReadFrom(strings.NewReader("late"))
			return none(int(n), err)
		}
		return http.ErrHandlerTimeout
	}},
	{"Copy", func(w http.ResponseWriter) error {
		n, err := io.Copy(w, strings.NewReader("late"))
		return none(int(n), err)
	}},
	{"FlushError", func(w http.ResponseWriter) error { return w.(interface{ FlushError() error }).FlushError() }},
	{"Flush of a controller", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
	{"Hijack", func(w http.ResponseWriter) error {
		if h, ok := w.(http.Hijacker); ok {
			conn, _, err := h.Hijack()
			if conn != nil {
				conn.Close()
				return fmt.Errorf("there is a connection, with error %v", err)
			}
			return err
		}
		return http.ErrHandlerTimeout
	}},
	{"Hijack of a controller", func(w http.ResponseWriter) error {
		if _, ok := w.(http.Hijacker); !ok {
			return http.ErrHandlerTimeout
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if conn != nil {
			conn.Close()
			return fmt.Errorf("there is a connection, with error %v", err)
		}
		return err
	}},
	{"Push", func(w http.ResponseWriter) error {
		if p, ok := w.(http.Pusher); ok {
			return p.Push("/late", nil)
		}
		return http.ErrHandlerTimeout
	}},
	{"SetReadDeadline", func(w http.ResponseWriter) error {
		return w.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(longAgo)
	}},
	{"SetReadDeadline of a controller", func(w http.ResponseWriter) error {
		return http.NewResponseController(w).SetReadDeadline(longAgo)
	}},
	{"SetWriteDeadline", func(w http.ResponseWriter) error {
		return w.(interface{ SetWriteDeadline(time.Time) error }).SetWriteDeadline(longAgo)
	}},
	{"SetWriteDeadline of a controller", func(w http.ResponseWriter) error {
		return http.NewResponseController(w).SetWriteDeadline(longAgo)
	}},
	{"EnableFullDuplex", func(w http.ResponseWriter) error {
		return w.(interface{ EnableFullDuplex() error }).EnableFullDuplex()
	}},
	{"EnableFullDuplex of a controller", func(w http.ResponseWriter) error {
		return http.NewResponseController(w).EnableFullDuplex()
	}},
}

var longAgo = time.Unix(1, 0)

// none wants that nothing was written.
func none(n int, err error) error {
	if n != 0 {
		return fmt.Errorf("%d bytes are said to be written, with error %v", n, err)
	}
	return err
}

// callAll calls whatever there is.
func (s *stage) callAll(w http.ResponseWriter) {
	for _, m := range methodsOfTheWriter {
		if err := m.call(w); err != http.ErrHandlerTimeout {
			s.note("%s: %v", m.name, err)
		}
	}
	w.Header().Set("X-Handler", "late")
	w.Header().Set(http.TrailerPrefix+"X-Handler-Sum", "late")
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusContinue)
	w.WriteHeader(http.StatusSwitchingProtocols)
	w.WriteHeader(http.StatusTeapot)
	w.WriteHeader(0) // would be a panic
	w.(http.Flusher).Flush()
	if c, ok := w.(interface{ CloseNotify() <-chan bool }); ok {
		c.CloseNotify()
	}
	// Whoever unwraps the writer must not get further.
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		if within := u.Unwrap(); within != nil {
			s.note("the writer leads to a %T", within)
		}
	}
}

// accompanied keeps a second request in the handler of the calm path while the
// late calls are made, on the same connection where that lives on.
func accompanied(s *stage) *reply {
	re := s.get("/")
	body, send := io.Pipe()
	second := make(chan *reply, 1)
	go func() { second <- s.fetch(s.request("POST", calm, body)) }()
	io.WriteString(send, "some") // is in the handler when it is read
	s.callNow <- struct{}{}
	select {
	case <-s.called:
	case <-time.After(patience):
		s.Errorf("the late calls do not return")
	}
	io.WriteString(send, strings.Repeat("more", 50_000))
	send.Close()
	if next := <-second; next.Response == nil || next.StatusCode != 200 || next.body != "calm" || next.cut != nil {
		s.Errorf("the next request meanwhile: %v", next)
	}
	return re
}

var lateCalls = []trial{
	{
		name: "nothing written",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.heed(r)
			s.callAll(w)
			s.outlive()
			s.callAll(w)
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "nothing written, and back at once",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			s.heed(r)
			s.callAll(w)
		},
		want: timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a response held back",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			w.WriteHeader(http.StatusAccepted)
			s.write(w, "held back")
			s.inTime(r)
			s.heed(r)
			s.callAll(w)
			s.outlive()
			s.callAll(w)
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "a response that was cut",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			s.write(w, "the beginning")
			s.flush(w)
			s.inTime(r)
			s.heed(r)
			s.callAll(w)
			s.outlive()
			s.callAll(w)
		},
		overdue: true,
		want:    cutShort(200, "the beginning"), counts: asAborted, outcome: httpwrap.Timeout, raised: http.ErrAbortHandler,
	},
	{
		name:   "while the next request is served",
		client: accompanied,
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			select {
			case <-s.callNow:
				s.callAll(w)
			case <-time.After(2 * patience):
			}
			s.called <- struct{}{}
			s.outlive()
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "with a layer of this module's own within",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			rw, rec, owner := httpwrap.Wrap(w)
			if owner {
				defer rec.Release()
			}
			s.heed(r)
			s.callAllThrough(rw)
			s.outlive()
			s.callAllThrough(rw)
		},
		overdue: true,
		want:    timedOut, counts: asTimeout, outcome: httpwrap.Timeout,
	},
	{
		name: "with another timeout within",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			timeout.Middleware(timeout.Basic(time.Hour))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.heed(r)
				s.outlive()
				if _, err := io.WriteString(w, strings.Repeat("late", 1000)); err == nil {
					s.note("Write is well")
				}
			})).ServeHTTP(w, r)
		},
		// Both have the same deadline, and either may count it.
		countless: true,
		want:      timedOut, outcome: httpwrap.Timeout,
	},
	{
		name: "headers that are changed in place once the response is chosen",
		handle: func(s *stage, w http.ResponseWriter, r *http.Request) {
			w.Header()["X-One"] = []string{"first"}
			w.WriteHeader(http.StatusOK)
			w.Header()["X-One"][0] = "changed"
			s.write(w, "body")
			s.inTime(r)
		},
		want: both(whole(200, "body"), header("X-One", "first")), counts: asDone,
	},
}

// callAllThrough is callAll for a wrapper that has Unwrap for good reason.
func (s *stage) callAllThrough(w http.ResponseWriter) {
	for _, m := range methodsOfTheWriter {
		if err := m.call(w); err != http.ErrHandlerTimeout {
			s.note("%s: %v", m.name, err)
		}
	}
}
