package timeout

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/refuse"
)

// The inline way: the handler stays on the serving goroutine and the deadline
// comes on another, which is all that HTTP/1 needs, because there a response
// is complete when its last byte is. It saves a goroutine for each request,
// and a handler that outlives its deadline still holds what stands outside.

// grace is how long a handler has to come back once its context is done. If it
// does, the connection lives on; if not, the answer closes it.
const grace = 2 * time.Millisecond

func (p *plain) serveInline(next http.Handler) {
	e, w := &p.exchange, p.writer()
	r := e.r.WithContext(&e.ctx)
	e.guardBody(r)
	e.arm()
	returned := false
	defer func() { e.leaveInline(r, returned) }()
	next.ServeHTTP(w, r)
	returned = true
}

// leaveInline ends the exchange on every way out of the handler.
func (e *exchange) leaveInline(r *http.Request, returned bool) {
	e.timer.Stop()
	took := e.took()
	before, inTime := e.end(took)
	e.body.forget()
	if inTime {
		e.copyBack(r)
		e.book(took, before, returned)
		e.finish(before, returned)
		return
	}

	if before == late {
		await(&e.gate) // the deadline's goroutine
	} else {
		e.expire(ReasonDeadline)
	}
	e.mu.Lock() // waits for it where it is sending
	e.returned = true
	if e.back != nil {
		close(e.back)
	}
	answered, cut := e.answered, e.cut()
	e.mu.Unlock()
	e.copyBack(r)
	e.overdue(-1)
	switch {
	case cut:
		e.removeFiles(r)
		if e.unframed.Load() {
			closeUnder(e.server(), true)
		}
		if returned {
			panic(http.ErrAbortHandler)
		}
	case !answered:
		e.answer(ReasonDeadline)
		if !returned {
			http.NewResponseController(e.w).Flush() // what follows is the end of the connection
		}
	}
}

// answerInline answers while the handler is running, unless it comes back.
func (e *exchange) answerInline() {
	if e.comesBack() {
		return
	}
	e.mu.Lock()
	if e.returned {
		e.mu.Unlock()
		return
	}
	if e.passing {
		e.answered = true
		e.passOn()
		e.mu.Unlock()
		return
	}
	outside := e.restore().Clone()
	r := e.r.WithContext(e.r.Context()) // the other changes when the handler returns
	e.mu.Unlock()
	// A rejection handler is somebody else's, so there is no lock here.
	a := e.t.compose(outside, r)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.returned {
		return
	}
	e.answered = true
	if given, ok := yield(e.w); ok {
		e.send(a)
		given()
	}
}

// comesBack waits for the handler to return by itself.
func (e *exchange) comesBack() bool {
	e.mu.Lock()
	if e.returned {
		e.mu.Unlock()
		return true
	}
	e.back = make(chan struct{})
	e.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-e.back:
		return true
	case <-timer.C:
		return false
	}
}

// passOn sends the answer of a timeout further in, whose end would only come
// with that of the handler.
func (e *exchange) passOn() {
	controller := http.NewResponseController(e.w)
	controller.SetWriteDeadline(time.Now().Add(sendLimit))
	e.deliver()
	controller.Flush()
}

// send is the whole answer, at once, on a connection that the handler may
// still be reading from.
func (e *exchange) send(a whole) {
	controller := http.NewResponseController(e.w)
	controller.SetWriteDeadline(time.Now().Add(sendLimit))
	a.header["Connection"] = []string{"close"} // so net/http does not wait for the body first
	outside := e.w.Header()
	clear(outside)
	maps.Copy(outside, a.header)
	e.w.WriteHeader(a.status)
	if e.r.Method != http.MethodHead {
		e.w.Write(a.body)
	}
	controller.Flush()
	if e.r.Body != nil && e.r.Body != http.NoBody {
		refuse.CloseGently(e.w)
		controller.SetReadDeadline(time.Now()) // ends a read of the body
	}
}

// cutInline ends a response that has begun while its handler is running: the
// connection is closed under it.
func (e *exchange) cutInline() {
	if !e.unframed.Load() && e.comesBack() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.returned {
		closeUnder(e.server(), e.unframed.Load())
	}
}

// closeUnder closes the connection under a response. Where the end of the
// connection is that of the response, it must not be a regular one, which would
// make the response look complete (RFC 9112, section 6.3).
func closeUnder(w http.ResponseWriter, unframed bool) {
	// Not through a timeout further out, which would take it for a takeover.
	for {
		outer, ok := w.(guarded)
		if !ok || outer.guard().apart != nil {
			break
		}
		e := outer.guard()
		e.mu.Lock()
		defer e.mu.Unlock()
		w = e.server()
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if unframed {
		if t, ok := conn.(*tls.Conn); ok {
			conn = t.NetConn()
		}
		if t, ok := conn.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
	}
	conn.Close()
}
