package timeout

import (
	"bufio"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// Header is the handler's own map: the deadline may need what stands outside,
// at a time when the handler is changing its headers.
func (e *exchange) Header() http.Header {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.header == nil {
		if e.over() {
			e.header = make(http.Header)
		} else if e.header = e.w.Header().Clone(); e.header == nil {
			e.header = make(http.Header)
		}
	}
	return e.header
}

// WriteHeader chooses the response. It is sent with the first bytes that are
// not held back.
func (e *exchange) WriteHeader(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.over():
	case e.sent || e.state.Load() == taken || status < 100 || status > 999:
		e.w.WriteHeader(status) // net/http says what is wrong with it
	case e.status != 0:
		if e.begin() {
			e.w.WriteHeader(status)
		}
	case httpwrap.Informational(status, e.r):
		e.inform(status)
	default:
		e.choose(status)
	}
}

func (e *exchange) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.over():
		return 0, e.refusal()
	case e.holds(len(p)):
		e.held = append(e.held, p...)
		return len(p), nil
	case !e.begin():
		return 0, e.refusal()
	}
	defer e.writing()()
	return e.w.Write(p)
}

// WriteString is Write without making bytes of s.
func (e *exchange) WriteString(s string) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.over():
		return 0, e.refusal()
	case e.holds(len(s)):
		e.held = append(e.held, s...)
		return len(s), nil
	case !e.begin():
		return 0, e.refusal()
	}
	defer e.writing()()
	return io.WriteString(e.w, s)
}

func (e *exchange) flush() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over() {
		return e.refusal()
	}
	if e.state.Load() != taken && !e.sent {
		if e.status == 0 {
			e.choose(http.StatusOK)
		}
		if !e.begin() {
			return e.refusal()
		}
	}
	defer e.writing()()
	return http.NewResponseController(e.w).Flush()
}

// readFrom copies src. Only a regular file goes on as it is, which lets the
// server use sendfile, and only once more is there than can be held back. Any
// other source may keep the caller waiting, and nothing may be locked meanwhile.
func (e *exchange) readFrom(src io.Reader) (n int64, err error) {
	space := copies.Get().(*[copySize]byte)
	defer copies.Put(space)
	buf, file := space[:], isFile(src)
	if file {
		buf = buf[:512] // as much as net/http itself looks at first
	}
	for {
		m, rerr := src.Read(buf)
		if m > 0 {
			written, werr := e.Write(buf[:m])
			n += int64(written)
			switch {
			case werr != nil:
				return n, werr
			case written < m:
				return n, io.ErrShortWrite
			}
		}
		switch {
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, rerr
		}
		if file && e.state.Load() == begun {
			rest, err := e.sendFile(src)
			return n + rest, err
		}
	}
}

const copySize = 32 << 10

var copies = sync.Pool{New: func() any { return new([copySize]byte) }}

func (e *exchange) sendFile(src io.Reader) (int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over() || !e.begin() {
		return 0, e.refusal()
	}
	defer e.writing()()
	return e.w.(io.ReaderFrom).ReadFrom(src)
}

func isFile(src io.Reader) bool {
	if limited, ok := src.(*io.LimitedReader); ok {
		src = limited.R
	}
	// As package net knows one: io.Copy hands on an os.File in disguise.
	f, ok := src.(interface {
		fs.File
		syscall.Conn
	})
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

func (e *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over() {
		return nil, nil, e.refusal()
	}
	if e.status != 0 && !e.begin() {
		return nil, nil, e.refusal()
	}
	before := e.state.Load()
	if before >= done || !e.state.CompareAndSwap(before, taken) {
		return nil, nil, e.refusal()
	}
	conn, rw, err := http.NewResponseController(e.w).Hijack()
	if err != nil {
		e.state.Store(before)
		if e.took() >= e.limit {
			go e.onTimer() // the deadline may have come and gone
		}
		return nil, nil, err
	}
	e.spare()
	return conn, rw, nil
}

func (e *exchange) push(target string, opts *http.PushOptions) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over() {
		return e.refusal()
	}
	return e.w.(http.Pusher).Push(target, opts)
}

func (e *exchange) closeNotify() <-chan bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over() {
		ch := make(chan bool, 1)
		ch <- true
		return ch
	}
	return e.w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

// SetReadDeadline implements what [http.ResponseController] asks for; a writer
// that could be unwrapped would not need it.
func (e *exchange) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		e.clocked.Store(true)
	}
	return e.control(func(c *http.ResponseController) error { return c.SetReadDeadline(at) })
}

// SetWriteDeadline is like SetReadDeadline.
func (e *exchange) SetWriteDeadline(at time.Time) error {
	return e.control(func(c *http.ResponseController) error { return c.SetWriteDeadline(at) })
}

// EnableFullDuplex is like SetReadDeadline.
func (e *exchange) EnableFullDuplex() error {
	e.duplex.Store(true)
	return e.control((*http.ResponseController).EnableFullDuplex)
}

// control does not take the lock that a write may hold: a deadline is how to end
// one that the client does not read.
func (e *exchange) control(do func(*http.ResponseController) error) error {
	e.gate.Lock()
	defer e.gate.Unlock()
	if e.over() {
		return e.refusal()
	}
	return do(http.NewResponseController(e.w))
}

// What follows is called with the lock held.

// over says that the handler is cut off.
func (e *exchange) over() bool { return e.state.Load() >= done }

// yields says that the response is that of a timeout further in.
func (e *exchange) yields() bool {
	state := e.state.Load()
	return state == yielding || state == yielded
}

// choose fixes the response, which net/http does by copying the header.
func (e *exchange) choose(status int) {
	e.status = status
	if e.header == nil {
		return
	}
	e.length = httpwrap.DeclaredLength(e.header)
	e.expose()
}

// expose puts the handler's header in the place of what stands outside.
func (e *exchange) expose() {
	outside := e.w.Header()
	if !e.replaced {
		e.replaced = true
		if len(outside) > 0 {
			e.outer = maps.Clone(outside)
		}
	}
	clear(outside)
	// The handler may go on changing its header, down to the values.
	space := e.values[:0]
	for name, values := range e.header {
		if len(space)+len(values) > cap(space) {
			space = make([]string, 0, max(len(values), 4*len(e.header)))
		}
		n := len(space)
		space = append(space, values...)
		outside[name] = space[n:len(space):len(space)]
	}
}

// restore takes that back and returns what stands outside.
func (e *exchange) restore() http.Header {
	outside := e.w.Header()
	if e.replaced {
		clear(outside)
		maps.Copy(outside, e.outer)
	}
	return outside
}

// holds says whether n more bytes can be held back, and chooses the response
// where the handler did not.
func (e *exchange) holds(n int) bool {
	if e.sent || e.state.Load() == taken {
		return false
	}
	if e.status == 0 {
		e.choose(http.StatusOK)
	}
	if n > 0 && !bodyAllowed(e.status) {
		return false // net/http says so
	}
	all := len(e.held) + n
	if all > heldBack || e.length >= 0 && int64(all) > e.length {
		return false
	}
	if e.held == nil {
		e.space = spaces.Get().(*[heldBack]byte)
		e.held = e.space[:0]
	}
	return true
}

// free gives back where something was held.
func (e *exchange) free() {
	if e.space != nil {
		spaces.Put(e.space)
	}
	e.space, e.held = nil, nil
}

// begin sends what is held back. It reports false where the deadline came
// first.
func (e *exchange) begin() bool {
	if e.sent || e.state.Load() == taken {
		return true
	}
	if e.status == 0 {
		e.choose(http.StatusOK)
	}
	if e.spares() {
		e.spared.Store(true)
		e.touch()
	}
	if !e.state.CompareAndSwap(open, begun) && !e.yields() {
		return false
	}
	if e.spared.Load() {
		e.spare()
	}
	e.sent = true
	if te := e.header["Transfer-Encoding"]; !e.r.ProtoAtLeast(1, 1) || len(te) > 0 && te[0] == "identity" {
		e.unframed.Store(true)
	}
	defer e.writing()()
	e.w.WriteHeader(e.status)
	if len(e.held) > 0 {
		e.w.Write(e.held) // an error comes again with the next write
	}
	e.free()
	return true
}

// deliver sends a response whose handler is done.
func (e *exchange) deliver() {
	if !e.sent && e.status != 0 {
		e.sent = true
		done := e.writing()
		e.w.WriteHeader(e.status)
		if len(e.held) > 0 {
			e.w.Write(e.held)
		}
		if e.t.set.writeTimeout == 0 {
			done()
		} // else what net/http still has to send is bounded too
	} else if !e.sent && e.header != nil {
		e.expose() // for the 200 that the server is going to send
	}
	if e.sent {
		httpwrap.Trailers(e.w, e.header)
	}
}

// inform sends an informational response with the handler's header, which
// stays its own.
func (e *exchange) inform(status int) {
	e.informing.Store(true)
	defer e.informing.Store(false)
	if e.over() {
		return // it has not seen this, and so does not end it
	}
	httpwrap.Inform(e.w, status, e.header)
}

// writing bounds a write that follows, and returns what to do after it.
func (e *exchange) writing() func() {
	limit := e.t.set.writeTimeout
	if limit == 0 && !e.spared.Load() {
		return nothing
	}
	return e.bounded(limit)
}

func (e *exchange) bounded(limit time.Duration) func() {
	controller := http.NewResponseController(e.w)
	if limit > 0 {
		controller.SetWriteDeadline(time.Now().Add(limit))
	}
	return func() {
		e.touch()
		if limit > 0 && e.state.Load() < done {
			controller.SetWriteDeadline(e.serversWriteDeadline())
		}
	}
}

// serversWriteDeadline is what the server itself has set, none if it has not.
func (e *exchange) serversWriteDeadline() time.Time {
	if server := serverOf(e.r); server != nil && server.WriteTimeout > 0 {
		return e.began().Add(server.WriteTimeout)
	}
	return time.Time{}
}

func nothing() {}

// spares says whether a response that begins now is left to finish.
func (e *exchange) spares() bool {
	switch e.t.set.streams {
	case SpareAll:
		return true
	case SpareNone:
		return false
	}
	header := e.header
	if header == nil {
		if e.status != http.StatusOK || len(e.held) > 0 {
			return false // only a bare Flush can be a stream that somebody outside declared
		}
		header = e.w.Header()
	}
	return httpwrap.IsEventStream(header)
}

// spare takes the deadline back.
func (e *exchange) spare() {
	e.ctx.lift()
	e.spared.Store(true)
	if e.long.CompareAndSwap(false, true) {
		e.t.tally.long.Add(1)
	}
	if idle := e.t.set.idleTimeout; idle > 0 && e.state.Load() != taken {
		e.timer.Reset(idle)
	} else {
		e.timer.Stop()
	}
}

func (e *exchange) touch() { e.touched.Store(int64(e.took())) }

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
