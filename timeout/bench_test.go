package timeout_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// A server's writers that send nowhere: all methods, no work.

type nullStream struct{ header http.Header }

func (w *nullStream) Header() http.Header               { return w.header }
func (w *nullStream) WriteHeader(int)                   {}
func (w *nullStream) Write(p []byte) (int, error)       { return len(p), nil }
func (w *nullStream) WriteString(s string) (int, error) { return len(s), nil }
func (w *nullStream) Flush()                            {}
func (w *nullStream) FlushError() error                 { return nil }
func (w *nullStream) SetReadDeadline(time.Time) error   { return nil }
func (w *nullStream) SetWriteDeadline(time.Time) error  { return nil }
func (w *nullStream) EnableFullDuplex() error           { return nil }
func (w *nullStream) CloseNotify() <-chan bool          { return nil }

type nullHTTP1 struct{ nullStream }

func (w *nullHTTP1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, io.EOF }
func (w *nullHTTP1) ReadFrom(src io.Reader) (int64, error)        { return io.Copy(io.Discard, src) }

type nullHTTP2 struct{ nullStream }

func (w *nullHTTP2) Push(string, *http.PushOptions) error { return http.ErrNotSupported }

var body = []byte(`{"id":7,"state":"paid"}`)

// BenchmarkPass is what a request costs that is done in time, beside
// http.TimeoutHandler: over HTTP/1.1, over HTTP/2, and with a writer of
// somebody else's outside. Subtract the bare handler.
func BenchmarkPass(b *testing.B) {
	handlers := []struct {
		name  string
		serve http.HandlerFunc
	}{
		{"noop", func(http.ResponseWriter, *http.Request) {}},
		{"json", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(body)
		}},
	}
	middlewares := []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"bare", func(h http.Handler) http.Handler { return h }},
		{"handrail", timeout.Middleware()},
		{"TimeoutHandler", func(h http.Handler) http.Handler { return http.TimeoutHandler(h, 30*time.Second, "") }},
	}
	for _, h := range handlers {
		for _, proto := range []string{"HTTP1", "HTTP2"} {
			for _, mw := range middlewares {
				b.Run(h.name+"/"+proto+"/"+mw.name, func(b *testing.B) {
					benchmark(b, mw.wrap(h.serve), proto)
				})
			}
		}
	}
}

func benchmark(b *testing.B, h http.Handler, proto string) {
	// As from a server: a context that can be canceled.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	newCall := func() (http.ResponseWriter, *http.Request, http.Header) {
		r := httptest.NewRequest("GET", "/orders/7", nil).WithContext(ctx)
		if proto == "HTTP2" {
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			w := &nullHTTP2{nullStream{http.Header{}}}
			return w, r, w.header
		}
		w := &nullHTTP1{nullStream{http.Header{}}}
		return w, r, w.header
	}
	b.Run("serial", func(b *testing.B) {
		w, r, header := newCall()
		b.ReportAllocs()
		for b.Loop() {
			clear(header)
			h.ServeHTTP(w, r)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			w, r, header := newCall()
			for pb.Next() {
				clear(header)
				h.ServeHTTP(w, r)
			}
		})
	})
}
