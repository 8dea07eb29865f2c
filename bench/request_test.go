package bench

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// writer has what net/http's own of HTTP/1.1 has, and sends nowhere.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header               { return w.header }
func (w *writer) WriteHeader(int)                   {}
func (w *writer) Write(p []byte) (int, error)       { return len(p), nil }
func (w *writer) WriteString(s string) (int, error) { return len(s), nil }
func (w *writer) Flush()                            {}
func (w *writer) FlushError() error                 { return nil }
func (w *writer) SetReadDeadline(time.Time) error   { return nil }
func (w *writer) SetWriteDeadline(time.Time) error  { return nil }
func (w *writer) EnableFullDuplex() error           { return nil }
func (w *writer) CloseNotify() <-chan bool          { return nil }
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, io.EOF
}
func (w *writer) ReadFrom(src io.Reader) (int64, error) { return io.Copy(io.Discard, src) }

var noop = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// row is one middleware in a comparison.
type row struct {
	name string
	// without says what a peer does not do that the first row does.
	without string
	wrap    func(http.Handler) http.Handler
}

func bare(h http.Handler) http.Handler { return h }

// compare measures the rows serially and in parallel.
func compare(b *testing.B, rows ...row) {
	for _, r := range append([]row{{name: "bare", wrap: bare}}, rows...) {
		h := r.wrap(noop)
		b.Run(r.name, func(b *testing.B) {
			b.Run("serial", func(b *testing.B) {
				w, r := call(b)
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(w, r)
				}
			})
			b.Run("parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					w, r := call(b)
					for pb.Next() {
						h.ServeHTTP(w, r)
					}
				})
			})
		})
	}
}

// call is a request as it comes from a server, with a context that can be
// canceled.
func call(b *testing.B) (http.ResponseWriter, *http.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	return &writer{http.Header{}}, httptest.NewRequest("GET", "/orders/7", nil).WithContext(ctx)
}
