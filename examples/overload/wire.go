package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
)

// connection carries one request at a time.
type connection interface {
	// do sends a request of that kind and reads the whole answer. It returns
	// os.ErrDeadlineExceeded, possibly wrapped, when giveUp comes first.
	do(k kind, giveUp time.Time) (status int, err error)
	close()
}

// connector opens a connection, or prepares one that is opened when it is
// needed. When the context is done the connection breaks at once.
type connector func(context.Context) connection

// wire is an HTTP/1.1 client connection reduced to what the generator needs:
// one write, then status, headers and body through one buffer. net/http's
// client costs several times as much, and here client and server may share a
// core.
type wire struct {
	ctx      context.Context // done: the run is over, give up at once
	addr     string
	requests *[kinds][]byte

	conn   net.Conn
	unhook func() bool
	in     *bufio.Reader
}

// rendered are the bytes of every kind of request.
func rendered(host string) *[kinds][]byte {
	var all [kinds][]byte
	for k := range allKinds {
		all[k] = fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n%s: %s\r\n\r\n",
			host, priorityHeader, k.className(), tenantHeader, k.tenantName())
	}
	return &all
}

var errMalformed = errors.New("malformed answer")

func (w *wire) do(k kind, giveUp time.Time) (int, error) {
	reused := w.conn != nil
	status, begun, err := w.once(k, giveUp)
	// A kept connection may have been closed by the server meanwhile. Like
	// net/http's client, try once more on a fresh one.
	if err != nil && reused && !begun && !isTimeout(err) && w.ctx.Err() == nil {
		status, _, err = w.once(k, giveUp)
	}
	return status, err
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// once reports with begun whether any of the answer arrived.
func (w *wire) once(k kind, giveUp time.Time) (status int, begun bool, err error) {
	keep := false
	defer func() {
		if !keep {
			w.close()
		}
	}()
	if w.conn == nil {
		if err := w.dial(giveUp); err != nil {
			return 0, false, err
		}
	}
	if err := w.conn.SetDeadline(giveUp); err != nil {
		return 0, false, err
	}
	if _, err := w.conn.Write(w.requests[k]); err != nil {
		return 0, false, err
	}
	if _, err := w.in.Peek(1); err != nil {
		return 0, false, err
	}
	status, keep, err = readAnswer(w.in)
	return status, true, err
}

func (w *wire) dial(giveUp time.Time) error {
	dialer := net.Dialer{Deadline: giveUp, KeepAlive: -1}
	conn, err := dialer.DialContext(w.ctx, "tcp", w.addr)
	if err != nil {
		return err
	}
	w.conn = conn
	w.unhook = context.AfterFunc(w.ctx, func() { conn.Close() })
	if w.in == nil {
		w.in = bufio.NewReaderSize(conn, 4096)
	} else {
		w.in.Reset(conn)
	}
	return nil
}

// close resets the connection instead of leaving it in TIME_WAIT: a client
// that gives up thousands of times a second would run out of ports. The server
// sees the client gone either way.
func (w *wire) close() {
	if w.conn == nil {
		return
	}
	w.unhook()
	if tcp, ok := w.conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	w.conn.Close()
	w.conn = nil
}

// readAnswer reads one final response to a GET and reports whether the
// connection can carry another request.
func readAnswer(in *bufio.Reader) (status int, keep bool, err error) {
	for {
		length, chunked, closing := int64(-1), false, false
		line, err := readLine(in)
		if err != nil {
			return 0, false, err
		}
		if status, err = parseStatus(line); err != nil {
			return 0, false, err
		}
		for {
			if line, err = readLine(in); err != nil {
				return 0, false, err
			}
			if len(line) == 0 {
				break
			}
			name, value, ok := bytes.Cut(line, []byte{':'})
			if !ok {
				return 0, false, errMalformed
			}
			value = bytes.TrimSpace(value)
			switch {
			case named(name, "Content-Length"):
				if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 {
					return 0, false, errMalformed
				}
			case named(name, "Transfer-Encoding"):
				chunked = named(value, "chunked")
			case named(name, "Connection"):
				closing = named(value, "close")
			}
		}
		switch {
		case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
			continue
		case status == http.StatusNoContent || status == http.StatusNotModified:
			return status, !closing, nil
		case chunked:
			if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
				return 0, false, err
			}
			for { // trailers
				if line, err = readLine(in); err != nil {
					return 0, false, err
				}
				if len(line) == 0 {
					return status, !closing, nil
				}
			}
		case length >= 0:
			for length > 0 {
				n, err := in.Discard(int(min(length, 1<<20)))
				if err != nil {
					return 0, false, err
				}
				length -= int64(n)
			}
			return status, !closing, nil
		default: // the body ends with the connection
			_, err := io.Copy(io.Discard, in)
			return status, false, err
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errMalformed
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func parseStatus(line []byte) (int, error) {
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return 0, errMalformed
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 {
		return 0, errMalformed
	}
	return status, nil
}

func named(b []byte, name string) bool {
	return len(b) == len(name) && bytes.EqualFold(b, []byte(name))
}
