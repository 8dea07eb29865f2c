package httpwrap

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// ErrReleased is what a writer returns that is used after its handler
// returned. See the package comment for when that cannot be noticed.
var ErrReleased = errors.New("httpwrap: response writer used after its handler returned")

// sniffLen is how much of a body net/http itself looks at before it hands
// the rest of a file to the kernel.
const sniffLen = 512

// core passes every call on and records what it did to the response. The
// exposed methods are those that every writer offers; the others are lower
// case and offered by the types in capability.go.
type core struct {
	rec Recorder
	// w is nil after Release.
	w http.ResponseWriter
	// asked is whether somebody inside called Header. Calling it on their
	// behalf makes net/http clone the header map.
	asked bool
	first [sniffLen]byte
}

func (c *core) recorder() *Recorder { return &c.rec }

func (c *core) gone() bool { return c.w == nil || c.rec.released() }

// commit records status where it is the first. It runs before the writer
// within is told, so that a concurrent reader never believes that there is
// still a response to choose while one is being sent.
func (c *core) commit(status int) {
	if !c.rec.commit(status) {
		return
	}
	if status == http.StatusSwitchingProtocols || c.asked && IsEventStream(c.w.Header()) {
		c.rec.becomeLongLived()
	}
}

// Unwrap serves http.ResponseController. It is nil after Release.
func (c *core) Unwrap() http.ResponseWriter {
	if c.gone() {
		return nil
	}
	return c.w
}

func (c *core) Header() http.Header {
	if c.gone() {
		return make(http.Header)
	}
	c.asked = true
	return c.w.Header()
}

func (c *core) WriteHeader(status int) {
	if c.gone() {
		return
	}
	if final(status) {
		c.commit(status)
	}
	// A second call goes through as well: net/http reports it.
	c.w.WriteHeader(status)
}

func (c *core) Write(p []byte) (int, error) {
	if c.gone() {
		return 0, ErrReleased
	}
	c.commit(http.StatusOK)
	n, err := c.w.Write(p)
	c.rec.bytes.Add(int64(n))
	if err != nil {
		c.rec.failed(err)
	}
	return n, err
}

// WriteString is offered whatever is within: where that has none, the effect
// is that of Write.
func (c *core) WriteString(s string) (int, error) {
	if c.gone() {
		return 0, ErrReleased
	}
	c.commit(http.StatusOK)
	n, err := io.WriteString(c.w, s)
	c.rec.bytes.Add(int64(n))
	if err != nil {
		c.rec.failed(err)
	}
	return n, err
}

func (c *core) flush() error {
	if c.gone() {
		return ErrReleased
	}
	c.commit(http.StatusOK)
	err := http.NewResponseController(c.w).Flush()
	if err != nil {
		c.rec.failed(err)
	}
	// Somebody outside may have made it an event stream. Now that the header
	// is out, asking for it is free.
	if !c.asked && !c.rec.Hijacked() {
		c.asked = true
		if IsEventStream(c.w.Header()) {
			c.rec.becomeLongLived()
		}
	}
	return err
}

func (c *core) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if c.gone() {
		return nil, nil, ErrReleased
	}
	conn, rw, err := http.NewResponseController(c.w).Hijack()
	if err == nil {
		c.rec.flags.Or(flagHijacked)
		c.rec.commit(http.StatusSwitchingProtocols)
		c.rec.becomeLongLived()
	}
	return conn, rw, err
}

// readFrom hands src on as it is, which lets the server use sendfile. Only
// the first bytes of an uncommitted response go through Write: an empty
// source commits nothing, and a source that never ends must not keep what it
// began secret.
func (c *core) readFrom(src io.Reader) (n int64, err error) {
	if c.gone() {
		return 0, ErrReleased
	}
	for !c.rec.Committed() {
		m, rerr := src.Read(c.first[:])
		if m > 0 {
			written, werr := c.Write(c.first[:m])
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
	}
	m, err := c.w.(io.ReaderFrom).ReadFrom(src)
	c.rec.bytes.Add(m)
	if err != nil {
		c.rec.failed(err)
	}
	return n + m, err
}

func (c *core) push(target string, opts *http.PushOptions) error {
	if c.gone() {
		return ErrReleased
	}
	return c.w.(http.Pusher).Push(target, opts)
}

func (c *core) closeNotify() <-chan bool {
	if c.gone() {
		ch := make(chan bool, 1)
		ch <- true
		return ch
	}
	return c.w.(closeNotifier).CloseNotify()
}

func (c *core) setReadDeadline(t time.Time) error {
	if c.gone() {
		return ErrReleased
	}
	return http.NewResponseController(c.w).SetReadDeadline(t)
}

func (c *core) setWriteDeadline(t time.Time) error {
	if c.gone() {
		return ErrReleased
	}
	return http.NewResponseController(c.w).SetWriteDeadline(t)
}

func (c *core) enableFullDuplex() error {
	if c.gone() {
		return ErrReleased
	}
	return http.NewResponseController(c.w).EnableFullDuplex()
}
