package httpwrap

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"
)

// What a type offers is decided by its method set, so there is a type for
// each set that occurs: that of net/http's HTTP/1 writer, that of its HTTP/2
// writer, nothing at all, and combinations for writers of other packages.

type closeNotifier interface{ CloseNotify() <-chan bool }

// streamer is what the server's two writers have in common.
type streamer interface {
	http.ResponseWriter
	http.Flusher
	io.StringWriter
	closeNotifier
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// serverHTTP1 is what net/http's writer of HTTP/1 offers.
type serverHTTP1 interface {
	streamer
	http.Hijacker
	io.ReaderFrom
}

// serverHTTP2 is what net/http's writer of HTTP/2 offers.
type serverHTTP2 interface {
	streamer
	http.Pusher
}

// plain, http1 and http2 have one underlying type, so that a pointer to one
// converts to any other and one pool serves all.
type (
	plain struct{ core }
	http1 struct{ core }
	http2 struct{ core }
)

func (w *http1) Flush()                            { w.flush() }
func (w *http1) FlushError() error                 { return w.flush() }
func (w *http1) CloseNotify() <-chan bool          { return w.closeNotify() }
func (w *http1) SetReadDeadline(t time.Time) error { return w.setReadDeadline(t) }
func (w *http1) SetWriteDeadline(t time.Time) error {
	return w.setWriteDeadline(t)
}
func (w *http1) EnableFullDuplex() error { return w.enableFullDuplex() }
func (w *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.hijack()
}
func (w *http1) ReadFrom(src io.Reader) (int64, error) { return w.readFrom(src) }

func (w *http2) Flush()                            { w.flush() }
func (w *http2) FlushError() error                 { return w.flush() }
func (w *http2) CloseNotify() <-chan bool          { return w.closeNotify() }
func (w *http2) SetReadDeadline(t time.Time) error { return w.setReadDeadline(t) }
func (w *http2) SetWriteDeadline(t time.Time) error {
	return w.setWriteDeadline(t)
}
func (w *http2) EnableFullDuplex() error { return w.enableFullDuplex() }

// WriteHeader knows that net/http sends a 101 like any informational status
// over HTTP/2, which has no protocol switch (RFC 9113, section 8.6).
func (w *http2) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols {
		w.core.WriteHeader(status)
	} else if !w.gone() {
		w.w.WriteHeader(status)
	}
}
func (w *http2) Push(target string, opts *http.PushOptions) error {
	return w.push(target, opts)
}

// Protocol returns 1 or 2 where w offers just what net/http's own writer of that
// version of HTTP does, and 0 otherwise.
func Protocol(w http.ResponseWriter) int {
	switch t := w.(type) {
	case serverHTTP1:
		if _, more := t.(http.Pusher); !more {
			return 1
		}
	case serverHTTP2:
		_, hijack := t.(http.Hijacker)
		_, readFrom := t.(io.ReaderFrom)
		if !hijack && !readFrom {
			return 2
		}
	}
	return 0
}

// The parts that combinations are made of.
type (
	flusher    struct{ c *core }
	hijacker   struct{ c *core }
	readerFrom struct{ c *core }
	pusher     struct{ c *core }
)

func (f flusher) Flush()            { f.c.flush() }
func (f flusher) FlushError() error { return f.c.flush() }
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.c.hijack()
}
func (r readerFrom) ReadFrom(src io.Reader) (int64, error) { return r.c.readFrom(src) }
func (p pusher) Push(target string, opts *http.PushOptions) error {
	return p.c.push(target, opts)
}

// Capability is a set of what writers of other packages may have.
type Capability uint8

const (
	CanFlush    Capability = 1 << iota // http.Flusher or FlushError
	CanHijack                          // http.Hijacker
	CanReadFrom                        // io.ReaderFrom
	CanPush                            // http.Pusher
)

// Capabilities tests each on its own. Flush and Hijack count where
// http.ResponseController finds them, through Unwrap; ReadFrom and Push must
// be w's own, because going past w with a body would go past what w does to
// bodies.
func Capabilities(w http.ResponseWriter) (can Capability) {
	if _, ok := w.(unwrapper); ok {
		return search(w) // depends on what is within, not on the type alone
	}
	t := reflect.TypeOf(w)
	if last := lastSeen.Load(); last != nil && last.of == t {
		return last.can
	}
	can = search(w)
	lastSeen.Store(&seen{of: t, can: can})
	return can
}

// lastSeen saves the search where one type of writer comes again and again.
var lastSeen atomic.Pointer[seen]

type seen struct {
	of  reflect.Type
	can Capability
}

func search(w http.ResponseWriter) (can Capability) {
	if _, ok := w.(io.ReaderFrom); ok {
		can |= CanReadFrom
	}
	if _, ok := w.(http.Pusher); ok {
		can |= CanPush
	}
	for range maxDepth {
		if _, ok := w.(http.Flusher); ok {
			can |= CanFlush
		} else if _, ok := w.(interface{ FlushError() error }); ok {
			can |= CanFlush
		}
		if _, ok := w.(http.Hijacker); ok {
			can |= CanHijack
		}
		u, ok := w.(unwrapper)
		if !ok {
			break
		}
		if w = u.Unwrap(); w == nil {
			break
		}
	}
	return can
}

// offering exposes c with exactly these capabilities. All but the empty set
// cost an allocation, which the server's own writers do not come by.
func offering(can Capability, p *plain) http.ResponseWriter {
	c := &p.core
	f, h, r, q := flusher{c}, hijacker{c}, readerFrom{c}, pusher{c}
	switch can {
	case CanFlush:
		return struct {
			*core
			flusher
		}{c, f}
	case CanHijack:
		return struct {
			*core
			hijacker
		}{c, h}
	case CanFlush | CanHijack:
		return struct {
			*core
			flusher
			hijacker
		}{c, f, h}
	case CanReadFrom:
		return struct {
			*core
			readerFrom
		}{c, r}
	case CanFlush | CanReadFrom:
		return struct {
			*core
			flusher
			readerFrom
		}{c, f, r}
	case CanHijack | CanReadFrom:
		return struct {
			*core
			hijacker
			readerFrom
		}{c, h, r}
	case CanFlush | CanHijack | CanReadFrom:
		return struct {
			*core
			flusher
			hijacker
			readerFrom
		}{c, f, h, r}
	case CanPush:
		return struct {
			*core
			pusher
		}{c, q}
	case CanFlush | CanPush:
		return struct {
			*core
			flusher
			pusher
		}{c, f, q}
	case CanHijack | CanPush:
		return struct {
			*core
			hijacker
			pusher
		}{c, h, q}
	case CanFlush | CanHijack | CanPush:
		return struct {
			*core
			flusher
			hijacker
			pusher
		}{c, f, h, q}
	case CanReadFrom | CanPush:
		return struct {
			*core
			readerFrom
			pusher
		}{c, r, q}
	case CanFlush | CanReadFrom | CanPush:
		return struct {
			*core
			flusher
			readerFrom
			pusher
		}{c, f, r, q}
	case CanHijack | CanReadFrom | CanPush:
		return struct {
			*core
			hijacker
			readerFrom
			pusher
		}{c, h, r, q}
	case CanFlush | CanHijack | CanReadFrom | CanPush:
		return struct {
			*core
			flusher
			hijacker
			readerFrom
			pusher
		}{c, f, h, r, q}
	default:
		return p
	}
}
