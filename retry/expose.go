package retry

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// A handler gets exactly the optional interfaces that the writer outside has.
// There is no Unwrap: an attempt that is over must not get hold of the
// connection, on which the next one answers.

// plain, http1 and http2 have one underlying type, so that a pointer to one
// converts to any other.
type (
	plain struct{ attempt }
	http1 struct{ attempt }
	http2 struct{ attempt }
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
	flusher  struct{ a *attempt }
	hijacker struct{ a *attempt }
)

func (f flusher) Flush()                                        { f.a.flush() }
func (f flusher) FlushError() error                             { return f.a.flush() }
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.a.hijack() }

// writer is what the handler gets.
func (w *plain) writer() http.ResponseWriter {
	a := &w.attempt
	switch httpwrap.Protocol(a.w) {
	case 1:
		return (*http1)(w)
	case 2:
		return (*http2)(w)
	}
	switch httpwrap.Capabilities(a.w) & (httpwrap.CanFlush | httpwrap.CanHijack) {
	case httpwrap.CanFlush:
		return struct {
			*attempt
			flusher
		}{a, flusher{a}}
	case httpwrap.CanHijack:
		return struct {
			*attempt
			hijacker
		}{a, hijacker{a}}
	case httpwrap.CanFlush | httpwrap.CanHijack:
		return struct {
			*attempt
			flusher
			hijacker
		}{a, flusher{a}, hijacker{a}}
	}
	return w
}
