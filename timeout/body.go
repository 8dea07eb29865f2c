package timeout

import (
	"io"
	"net/http"
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
	late atomic.Bool
	// using is held while the body is read or closed.
	using sync.Mutex

	mu sync.Mutex
	// w has a read deadline, nil if it has none or it is not ours any more.
	w http.ResponseWriter
}

// guardBody replaces the body of r, which is a copy.
func (e *exchange) guardBody(r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	b := &guardedBody{body: r.Body}
	if limit := e.t.set.readTimeout; limit > 0 {
		// Without a body it would be the end of the connection instead.
		if http.NewResponseController(e.w).SetReadDeadline(e.start.Add(limit)) == nil {
			b.w = e.w
		}
	}
	e.body, r.Body = b, b
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.using.Lock()
	defer b.using.Unlock()
	if b.late.Load() {
		return 0, http.ErrHandlerTimeout
	}
	n, err := b.body.Read(p)
	if b.late.Load() {
		return 0, http.ErrHandlerTimeout
	}
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.using.Lock()
	defer b.using.Unlock()
	if b.late.Load() {
		return nil // the server has closed it
	}
	return b.body.Close()
}

// release takes the read deadline back, when the body has arrived: it would
// end the connection's next read.
func (b *guardedBody) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.w != nil {
		http.NewResponseController(b.w).SetReadDeadline(time.Time{})
		b.w = nil
	}
}

// expire makes every read fail, and ends the one there is: over HTTP/1 the
// server would wait for it, and for a client that stalls without end, since it
// clears the connection's deadline on the way.
func (b *guardedBody) expire(w http.ResponseWriter, r *http.Request) {
	if b == nil {
		return
	}
	b.late.Store(true)
	b.mu.Lock()
	b.w = nil
	b.mu.Unlock()
	if r.ProtoMajor != 1 {
		return
	}
	if b.using.TryLock() {
		b.using.Unlock()
		return
	}
	if http.NewResponseController(w).SetReadDeadline(time.Now()) == nil {
		await(&b.using)
	}
}
