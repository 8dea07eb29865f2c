package timeout

import (
	"bytes"
	"log"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/handrail-go/handrail"
)

// answer answers on the serving goroutine, in place of the handler.
func (e *exchange) answer(why Reason) {
	e.mu.Lock()
	if e.passing {
		e.deliver()
		e.mu.Unlock()
		return
	}
	e.restore()
	e.mu.Unlock()
	if given, ok := yield(e.w); ok {
		defer given()
		if e.r.ProtoMajor == 1 {
			// The server's WriteTimeout may be over. It is set anew for the next
			// request.
			http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(sendLimit))
			if e.duplex.Load() {
				e.w.Header()["Connection"] = []string{"close"} // net/http would wait for the body without end
			}
		}
		e.t.answers[why].Write(e.w, e.r, e.t.jitter.RetryAfter(0))
	}
}

// sendLimit bounds the sending of an answer to a client that does not read.
const sendLimit = 5 * time.Second

// whole is an answer that can be sent at once.
type whole struct {
	status int
	header http.Header
	body   []byte
}

// compose makes the answer for another goroutine than the serving one. header
// is what stands outside, and becomes that of the answer.
func (t *Timeout) compose(header http.Header, r *http.Request) whole {
	retryAfter := t.jitter.RetryAfter(0)
	if t.set.reject != nil {
		c := &collector{header: header.Clone()}
		if c.run(t.set.reject, r, handrail.Rejection{
			Status: t.set.status, Code: Code, Reason: ReasonDeadline.String(), Message: t.set.message,
			Name: t.set.name, RetryAfter: retryAfter,
		}) {
			clear(header)
			for name, values := range c.header {
				header[name] = values
			}
			delete(header, "Transfer-Encoding")
			if len(header["Content-Length"]) == 0 {
				header["Content-Length"] = []string{strconv.Itoa(c.body.Len())}
			}
			if c.status == 0 {
				c.status = http.StatusOK
			}
			return whole{status: c.status, header: header, body: c.body.Bytes()}
		}
	}
	t.standard.SetHeader(header, retryAfter)
	return whole{status: t.standard.Status(), header: header, body: t.standard.Body()}
}

// collector takes down what a rejection handler writes.
type collector struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *collector) Header() http.Header { return c.header }

// Flush does nothing: everything is sent together.
func (c *collector) Flush() {}

func (c *collector) WriteHeader(status int) {
	if c.status == 0 && status >= 200 && status <= 999 {
		c.status = status
	}
}

func (c *collector) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(p)
}

// run reports whether the handler came through. On this goroutine nobody else
// would catch its panic.
func (c *collector) run(reject handrail.RejectionHandler, r *http.Request, rejection handrail.Rejection) (ok bool) {
	if c.header == nil {
		c.header = make(http.Header)
	}
	defer func() {
		if v := recover(); v != nil {
			logf(r, "timeout: panic in the rejection handler: %v\n%s", v, debug.Stack())
		}
	}()
	reject(c, r, rejection)
	return true
}

// logf writes to the log of the server that r came to.
func logf(r *http.Request, format string, args ...any) {
	if server := serverOf(r); server != nil && server.ErrorLog != nil {
		server.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// serverOf is the server that r came to, nil if there is none.
func serverOf(r *http.Request) *http.Server {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return server
}
