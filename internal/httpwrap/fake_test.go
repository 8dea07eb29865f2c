package httpwrap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// fakeHTTP1 has the method set of net/http's HTTP/1 writer and does nothing.
type fakeHTTP1 struct {
	h       http.Header
	status  int
	written int
}

func (w *fakeHTTP1) Header() http.Header                          { return w.h }
func (w *fakeHTTP1) WriteHeader(status int)                       { w.status = status }
func (w *fakeHTTP1) Write(p []byte) (int, error)                  { w.written += len(p); return len(p), nil }
func (w *fakeHTTP1) WriteString(s string) (int, error)            { w.written += len(s); return len(s), nil }
func (w *fakeHTTP1) Flush()                                       {}
func (w *fakeHTTP1) FlushError() error                            { return nil }
func (w *fakeHTTP1) CloseNotify() <-chan bool                     { return nil }
func (w *fakeHTTP1) SetReadDeadline(time.Time) error              { return nil }
func (w *fakeHTTP1) SetWriteDeadline(time.Time) error             { return nil }
func (w *fakeHTTP1) EnableFullDuplex() error                      { return nil }
func (w *fakeHTTP1) ReadFrom(src io.Reader) (int64, error)        { return io.Copy(io.Discard, src) }
func (w *fakeHTTP1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// fakeHTTP2 has the method set of net/http's HTTP/2 writer.
type fakeHTTP2 struct {
	streamer
	partPush
}

// bare is a writer without any optional interface. It notes what is called.
type bare struct {
	h      http.Header
	events []string
	err    error
}

func newBare() *bare                   { return &bare{h: http.Header{}} }
func (w *bare) Header() http.Header    { return w.h }
func (w *bare) WriteHeader(status int) { w.note("header %d", status) }
func (w *bare) Write(p []byte) (int, error) {
	w.note("write %s", p)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

func (w *bare) note(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// The optional parts, to be embedded next to a bare.
type (
	partFlush    struct{ b *bare }
	partFlushErr struct{ b *bare }
	partHijack   struct{ b *bare }
	partReadFrom struct{ b *bare }
	partPush     struct{ b *bare }
	partUnwrap   struct{ inner http.ResponseWriter }
)

func (p partFlush) Flush()                              { p.b.note("flush") }
func (p partFlushErr) FlushError() error                { p.b.note("flusherror"); return p.b.err }
func (p partPush) Push(string, *http.PushOptions) error { p.b.note("push"); return p.b.err }
func (p partUnwrap) Unwrap() http.ResponseWriter        { return p.inner }
func (p partHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	p.b.note("hijack")
	return nil, nil, p.b.err
}
func (p partReadFrom) ReadFrom(src io.Reader) (int64, error) {
	b, err := io.ReadAll(src)
	p.b.note("readfrom %T %s", src, b)
	return int64(len(b)), err
}

type (
	justUnwrap struct {
		*bare
		partUnwrap
	}
	withFlushErr struct {
		*bare
		partFlushErr
	}
	withHijack struct {
		*bare
		partHijack
	}
	withReadFrom struct {
		*bare
		partReadFrom
	}
)

// combinations returns a foreign writer for each set of the four parts.
func combinations(b *bare) map[Capability]http.ResponseWriter {
	f, h, r, p := partFlush{b}, partHijack{b}, partReadFrom{b}, partPush{b}
	return map[Capability]http.ResponseWriter{
		0: b,
		CanFlush: struct {
			*bare
			partFlush
		}{b, f},
		CanHijack: struct {
			*bare
			partHijack
		}{b, h},
		CanFlush | CanHijack: struct {
			*bare
			partFlush
			partHijack
		}{b, f, h},
		CanReadFrom: struct {
			*bare
			partReadFrom
		}{b, r},
		CanFlush | CanReadFrom: struct {
			*bare
			partFlush
			partReadFrom
		}{b, f, r},
		CanHijack | CanReadFrom: struct {
			*bare
			partHijack
			partReadFrom
		}{b, h, r},
		CanFlush | CanHijack | CanReadFrom: struct {
			*bare
			partFlush
			partHijack
			partReadFrom
		}{b, f, h, r},
		CanPush: struct {
			*bare
			partPush
		}{b, p},
		CanFlush | CanPush: struct {
			*bare
			partFlush
			partPush
		}{b, f, p},
		CanHijack | CanPush: struct {
			*bare
			partHijack
			partPush
		}{b, h, p},
		CanFlush | CanHijack | CanPush: struct {
			*bare
			partFlush
			partHijack
			partPush
		}{b, f, h, p},
		CanReadFrom | CanPush: struct {
			*bare
			partReadFrom
			partPush
		}{b, r, p},
		CanFlush | CanReadFrom | CanPush: struct {
			*bare
			partFlush
			partReadFrom
			partPush
		}{b, f, r, p},
		CanHijack | CanReadFrom | CanPush: struct {
			*bare
			partHijack
			partReadFrom
			partPush
		}{b, h, r, p},
		CanFlush | CanHijack | CanReadFrom | CanPush: struct {
			*bare
			partFlush
			partHijack
			partReadFrom
			partPush
		}{b, f, h, r, p},
	}
}

// offered names the optional interfaces of w.
func offered(w http.ResponseWriter) string {
	var s []string
	has := func(ok bool, name string) {
		if ok {
			s = append(s, name)
		}
	}
	_, ok := w.(http.Flusher)
	has(ok, "Flush")
	_, ok = w.(interface{ FlushError() error })
	has(ok, "FlushError")
	_, ok = w.(http.Hijacker)
	has(ok, "Hijack")
	_, ok = w.(io.ReaderFrom)
	has(ok, "ReadFrom")
	_, ok = w.(http.Pusher)
	has(ok, "Push")
	_, ok = w.(closeNotifier)
	has(ok, "CloseNotify")
	_, ok = w.(interface{ SetReadDeadline(time.Time) error })
	has(ok, "SetReadDeadline")
	_, ok = w.(interface{ SetWriteDeadline(time.Time) error })
	has(ok, "SetWriteDeadline")
	_, ok = w.(interface{ EnableFullDuplex() error })
	has(ok, "EnableFullDuplex")
	return strings.Join(s, " ")
}
