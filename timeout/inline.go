package timeout

import (
	"crypto/tls"
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

func (e *exchange) serveInline(next http.Handler) {
	w := e.writer()
	r := e.r.WithContext(e.ctx)
	if e.t.set.readTimeout > 0 {
		e.guardBody(r)
	}
	e.timer = time.AfterFunc(e.limit+e.shareDeadline(), e.fire)
	returned := false
	defer func() { e.leaveInline(r, returned) }()
	next.ServeHTTP(w, r)
	returned = true
}

// leaveInline ends the exchange on every way out of the handler.
func (e *exchange) leaveInline(r *http.Request, returned bool) {
	quiet := e.timer.Stop()
	took := time.Since(e.start)
	before, inTime := e.end(took)
	if inTime {
		e.copyBack(r)
		e.body.release()
		e.book(took, before, returned)
		if before != taken && returned {
			e.mu.Lock()
			e.deliver()
			e.mu.Unlock()
		}
		e.ctx.finish()
		e.recycle(before, quiet)
		return
	}

	if before == late {
		await(&e.gate) // the deadline's goroutine
	} else {
		e.ctx.expire(e.cause(ReasonDeadline))
	}
	e.mu.Lock() // waits for it where it is sending
	e.returned = true
	if e.back != nil {
		close(e.back)
	}
	answered, cut := e.answered, e.sent && !e.passing
	e.mu.Unlock()
	e.copyBack(r)
	e.leftBehind(-1)
	switch {
	case cut:
		e.removeFiles(r)
		if returned {
			panic(http.ErrAbortHandler)
		}
	case e.gone.Load():
		e.noteGone()
	case !answered:
		e.answer(ReasonDeadline)
		if !returned {
			http.NewResponseController(e.w).Flush() // what follows is the end of the connection
		}
	}
}

// answerInline answers while the handler is running, unless it comes back.
func (e *exchange) answerInline() {
	if e.gone.Load() || e.comesBack() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.returned {
		e.answered = true
		e.send()
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

// send is the whole answer, at once, on a connection that the handler may
// still be reading from.
func (e *exchange) send() {
	controller := http.NewResponseController(e.w)
	controller.SetWriteDeadline(time.Now().Add(sendLimit))
	if e.passing {
		e.deliver()
		controller.Flush()
		return
	}
	header := e.restore()
	given, ok := yield(e.w)
	if !ok {
		return
	}
	defer given()
	a := e.t.compose(header, e.r)
	a.header["Connection"] = []string{"close"} // so net/http does not wait for the body first
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
	if !endsWithConnection(e.r) && e.comesBack() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.returned {
		closeUnder(e.server, e.r)
	}
}

// endsWithConnection says that the end of the connection may be that of the
// response, so that a regular close would make it look complete (RFC 9112,
// section 6.3).
func endsWithConnection(r *http.Request) bool { return !r.ProtoAtLeast(1, 1) }

// closeUnder closes the connection under a response.
func closeUnder(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if endsWithConnection(r) {
		if t, ok := conn.(*tls.Conn); ok {
			conn = t.NetConn()
		}
		if t, ok := conn.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
	}
	conn.Close()
}
