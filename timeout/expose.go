package timeout

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// A handler gets exactly the optional interfaces that the writer outside has.
// There is no Unwrap: who was cut off must not get hold of the connection.

// plain, http1 and http2 have one underlying type, so that a pointer to one
// converts to any other.
type (
	plain struct{ exchange }
	http1 struct{ exchange }
	http2 struct{ exchange }
)

func (w *http1) Flush()                                       { w.flush() }
func (w *http1) FlushError() error                            { return w.flush() }
func (w *http1) CloseNotify() <-chan bool                     { return w.closeNotify() }
func (w *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }
func (w *http1) ReadFrom(src io.Reader) (int64, error)        { return w.readFrom(src) }

func (w *http2) Flush()                                           { w.flush() }
func (w *http2) FlushError() error                                { return w.flush() }
func (w *http2) CloseNotify() <-chan bool                         { return w.closeNotify() }
func (w *http2) Push(target string, opts *http.PushOptions) error { return w.push(target, opts) }

// What writers of other packages may have.
type (
	flusher  struct{ e *exchange }
	hijacker struct{ e *exchange }
)

func (f flusher) Flush()                                        { f.e.flush() }
func (f flusher) FlushError() error                             { return f.e.flush() }
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.e.hijack() }

// writer is what the handler gets.
func (w *plain) writer() http.ResponseWriter {
	e := &w.exchange
	switch httpwrap.Protocol(e.w) {
	case 1:
		return (*http1)(w)
	case 2:
		return (*http2)(w)
	}
	switch httpwrap.Capabilities(e.w) & (httpwrap.CanFlush | httpwrap.CanHijack) {
	case httpwrap.CanFlush:
		return struct {
			*exchange
			flusher
		}{e, flusher{e}}
	case httpwrap.CanHijack:
		return struct {
			*exchange
			hijacker
		}{e, hijacker{e}}
	case httpwrap.CanFlush | httpwrap.CanHijack:
		return struct {
			*exchange
			flusher
			hijacker
		}{e, flusher{e}, hijacker{e}}
	}
	return w
}
