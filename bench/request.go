package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
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

// connection makes requests as they come from one connection of a server: with
// contexts that are canceled with the connection's.
type connection struct {
	ctx   context.Context
	close context.CancelFunc
	model *http.Request
}

func connect(path string) *connection {
	if path == "" {
		path = "/orders/7"
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Pattern = "GET /orders/{id}"
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "gzip")
	return &connection{ctx, cancel, r}
}

// request is one with a writer of its own, and what ends it.
func (c *connection) request() (http.ResponseWriter, *http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx)
	r := c.model.WithContext(ctx)
	r.Header = maps.Clone(c.model.Header)
	return &writer{http.Header{}}, r, cancel
}

// serve has h answer n requests, each a new one if fresh.
func (c *connection) serve(h http.Handler, n int, fresh bool) {
	if fresh {
		for range n {
			w, r, end := c.request()
			h.ServeHTTP(w, r)
			end()
		}
		return
	}
	w, r, end := c.request()
	defer end()
	for range n {
		h.ServeHTTP(w, r)
	}
}
