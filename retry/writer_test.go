package retry_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// nullHTTP1 has the methods of net/http's HTTP/1 writer and does nothing.
type nullHTTP1 struct{ header http.Header }

func (w *nullHTTP1) Header() http.Header                          { return w.header }
func (w *nullHTTP1) WriteHeader(int)                              {}
func (w *nullHTTP1) Write(p []byte) (int, error)                  { return len(p), nil }
func (w *nullHTTP1) WriteString(s string) (int, error)            { return len(s), nil }
func (w *nullHTTP1) Flush()                                       {}
func (w *nullHTTP1) FlushError() error                            { return nil }
func (w *nullHTTP1) CloseNotify() <-chan bool                     { return nil }
func (w *nullHTTP1) SetReadDeadline(time.Time) error              { return nil }
func (w *nullHTTP1) SetWriteDeadline(time.Time) error             { return nil }
func (w *nullHTTP1) EnableFullDuplex() error                      { return nil }
func (w *nullHTTP1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (w *nullHTTP1) ReadFrom(src io.Reader) (int64, error)        { return io.Copy(io.Discard, src) }
