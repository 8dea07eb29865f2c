package httptorture

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
)

var takeoverCases = []testCase{
	{"upgrade", http1, true, func(e *env) { upgrade(e, rawUpgrade) }},
	{"upgrade-through-the-controller", http1, true, func(e *env) { upgrade(e, controllerUpgrade) }},
	{"upgrade-by-status", http1, true, func(e *env) { upgrade(e, statusUpgrade) }},
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

// The ways in which libraries take a connection over. They return nil where
// that is refused. What the server has read already is in the buffer.

func rawUpgrade(w http.ResponseWriter) *taken {
	h, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "not a Hijacker", http.StatusInternalServerError)
		return nil
	}
	conn, rw, err := h.Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	io.WriteString(conn, switching)
	return &taken{conn, rw.Reader}
}

func controllerUpgrade(w http.ResponseWriter) *taken {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	rw.WriteString(switching)
	rw.Flush()
	return &taken{conn, rw.Reader}
}

func statusUpgrade(w http.ResponseWriter) *taken {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "echo")
	w.Header()["Date"] = nil
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	rw.Flush()
	return &taken{conn, rw.Reader}
}

// upgrade switches protocols, talks in both directions while the handler runs
// and after it returned, and expects nothing else on the connection.
func upgrade(e *env, take func(http.ResponseWriter) *taken) {
	e.Helper()
	leave := make(chan struct{})
	late := make(chan error, 1)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		conn := take(w)
		if conn == nil {
			late <- nil
			return
		}
		go conn.echo()
		e.await(leave)
		_, err := w.Write([]byte("into the conversation"))
		late <- err
	})
	conn := s.dial()
	defer conn.Close()
	io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	e.expect(in, switching)
	io.WriteString(conn, "while the handler runs\n")
	e.expect(in, "while the handler runs\n")
	close(leave)
	if err := receive(e, late, "the handler writes"); describeError(err) != describeError(http.ErrHijacked) {
		e.Errorf("Write after Hijack: %v", err)
	}
	e.must(s.served, "the handler returns")
	io.WriteString(conn, "after it returned\n")
	e.expect(in, "after it returned\n")
	conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); len(rest) != 0 || err != nil {
		e.Errorf("at the end of the conversation: %q, %v", rest, err)
	}
}

// expect reads exactly want.
func (e *env) expect(in *bufio.Reader, want string) {
	e.Helper()
	buf := make([]byte, len(want))
	n, err := io.ReadFull(in, buf)
	if got := string(buf[:n]); err != nil || !strings.EqualFold(got, want) {
		e.Fatalf("the connection has %q (%v), want %q", got, err, want)
	}
}

// taken is a connection that was taken over.
type taken struct {
	net.Conn
	in *bufio.Reader
}

// echo sends everything back and closes the connection at its end.
func (t *taken) echo() {
	defer t.Close()
	for {
		line, err := t.in.ReadString('\n')
		io.WriteString(t.Conn, line)
		if err != nil {
			return
		}
	}
}
