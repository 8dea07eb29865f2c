package chain

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

var quietLogger = slog.New(slog.DiscardHandler)

// network is a server and a client of it.
type network struct {
	proto  int
	url    string
	client *http.Client
	dial   func() (net.Conn, error)
	close  func()
}

// inMemory connects both in memory, so that they can be in one bubble of
// synctest. It has to be closed there.
func inMemory(proto int, h http.Handler) *network {
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: h, ErrorLog: quiet, Protocols: new(http.Protocols)}
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return l.dial() },
		DisableCompression: true, MaxIdleConnsPerHost: 2000,
		Protocols: new(http.Protocols),
	}
	if proto == 2 {
		srv.Protocols.SetUnencryptedHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		srv.Protocols.SetHTTP1(true)
		transport.Protocols.SetHTTP1(true)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.Serve(l)
	}()
	return &network{
		proto: proto, url: "http://chain.test", dial: l.dial,
		client: &http.Client{Transport: transport},
		close: func() {
			transport.CloseIdleConnections()
			srv.Close()
			<-served
			time.Sleep(time.Minute) // net/http may linger for a moment
		},
	}
}

// listener hands over what was dialed.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return a, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// onSockets is a server as services have it. It closes with the test.
func onSockets(t testing.TB, proto int, h http.Handler) (*network, *httptest.Server) {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = quiet
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2000}
	if s.EnableHTTP2 = proto == 2; s.EnableHTTP2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	n := &network{proto: proto, url: s.URL, client: s.Client(),
		dial: func() (net.Conn, error) { return net.Dial("tcp", s.Listener.Addr().String()) }}
	transport := s.Client().Transport.(*http.Transport)
	transport.MaxIdleConnsPerHost = 2000
	n.close = func() {
		transport.CloseIdleConnections()
		s.Close()
	}
	t.Cleanup(n.close)
	return n, s
}

// overBoth runs a test over HTTP/1.1 and over HTTP/2.
func overBoth(t *testing.T, test func(t *testing.T, proto int)) {
	for proto, name := range map[int]string{1: "HTTP1", 2: "HTTP2"} {
		t.Run(name, func(t *testing.T) { test(t, proto) })
	}
}

// reply is what a client got.
type reply struct {
	err    error // no answer
	status int
	header http.Header
	body   string
	cut    error // the body ended before its end
	trail  http.Header
	infos  int
	took   time.Duration
}

func (n *network) do(r *http.Request) (re reply) {
	began := time.Now()
	defer func() { re.took = time.Since(began) }()
	resp, err := n.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: string(body), cut: err, trail: resp.Trailer}
}

func (n *network) get(path string, header ...string) reply {
	r, err := http.NewRequest("GET", n.url+path, nil)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return n.do(r)
}
