package timeout

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// guardedBody is the body of a request whose handler may be abandoned. The
// server discards what is left of the body then, and whoever reads on must not
// take the end that this leaves for the end of an upload. It is never reused:
// a client that forwards the body may read it after the handler has returned.
type guardedBody struct {
	body io.ReadCloser
	e    *exchange
	late atomic.Bool
	// using is held, for reading, while the body is read or closed: the one ends
	// the other.
	using sync.RWMutex

	mu sync.Mutex
	// w has a read deadline, nil if it has none or it is not ours any more.
	w http.ResponseWriter
}

// guardBody replaces the body of r, which is a copy.
func (e *exchange) guardBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	b := &guardedBody{body: r.Body, e: e}
	if limit := e.t.set.readTimeout; limit > 0 {
		// Without a body it would be the end of the connection instead.
		if http.NewResponseController(e.w).SetReadDeadline(e.began().Add(limit)) == nil {
			b.w = e.w
			e.clocked.Store(true)
		}
	}
	e.body, r.Body = b, b
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.using.RLock()
	defer b.using.RUnlock()
	if b.late.Load() {
		return 0, http.ErrHandlerTimeout
	}
	n, err := b.body.Read(p)
	if b.late.Load() {
		return 0, http.ErrHandlerTimeout
	}
	switch {
	case err == io.EOF:
		b.arrived()
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.e.clocked.Store(true)
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.using.RLock()
	defer b.using.RUnlock()
	if b.late.Load() {
		return nil // the server has closed it
	}
	return b.body.Close()
}

// arrived takes the read deadline back, which would end the connection's next
// read.
func (b *guardedBody) arrived() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w != nil {
		http.NewResponseController(b.w).SetReadDeadline(time.Time{})
		b.w = nil
	}
}

// forget leaves the deadline to the server, which needs it where a body has
// still to be discarded, and sets its own for the next request.
func (b *guardedBody) forget() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.w = nil
}

// cutOff makes every read fail from now on.
func (b *guardedBody) cutOff() {
	if b == nil {
		return
	}
	b.late.Store(true)
	b.forget()
}

// end ends a read that is under way: over HTTP/1 the server would wait for it,
// and for a client that stalls without end, since it clears the connection's
// deadline on the way. Where the read does not heed that deadline, because
// somebody outside has replaced the body, it is left alone.
func (b *guardedBody) end(w http.ResponseWriter, r *http.Request) {
	if b == nil || r.ProtoMajor != 1 {
		return
	}
	for wait := time.Duration(0); wait < 8*time.Millisecond; wait = 2*wait + time.Microsecond {
		if b.using.TryLock() {
			b.using.Unlock()
			return
		}
		if wait == 0 && http.NewResponseController(w).SetReadDeadline(time.Now()) != nil {
			return
		}
		time.Sleep(wait)
	}
}
