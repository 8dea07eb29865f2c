package main

import (
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// serverSettings say what a server process serves.
type serverSettings struct {
	Service   string        // pool, cpu or target
	Workers   int           // of the pool
	Work      time.Duration // mean service time
	Procs     int           // GOMAXPROCS of the process; 0 leaves it alone
	HTTP2     bool          // cleartext HTTP/2 instead of HTTP/1.1
	Target    string        // URL behind the proxy
	Seed      uint64
	Protected bool // also listen behind the protection
}

// maxServerConns bounds the connections a server accepts at a time; further
// ones wait in the system's backlog. Without a bound the unprotected server
// would collect abandoned requests until files or memory run out.
const maxServerConns = 8192

func newSource(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x68616e647261696c)) }

func (set serverSettings) handler() (http.Handler, error) {
	switch set.Service {
	case "cpu":
		return newBurner(set.Work), nil
	case "target":
		u, err := url.Parse(set.Target)
		if err != nil {
			return nil, err
		}
		return newTarget(u), nil
	default:
		return newPool(set.Workers, set.Work, newSource(set.Seed)), nil
	}
}

// stage serves in this process until end is called. Both listeners share one
// service, so what is measured on one holds for the other.
func stage(set serverSettings) (at addresses, end func(), err error) {
	service, err := set.handler()
	if err != nil {
		return at, nil, err
	}
	bare, addr, err := listen(service, set.HTTP2)
	if err != nil {
		return at, nil, err
	}
	at.Bare = addr
	if !set.Protected {
		return at, func() { bare.Close() }, nil
	}
	wrap, err := protect()
	if err != nil {
		bare.Close()
		return at, nil, err
	}
	protected, addr, err := listen(wrap(service), set.HTTP2)
	if err != nil {
		bare.Close()
		return at, nil, err
	}
	at.Protected = addr
	return at, func() { bare.Close(); protected.Close() }, nil
}

func listen(h http.Handler, http2 bool) (*http.Server, string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(http2)
	srv := &http.Server{
		Handler:   h,
		Protocols: &protocols,
		// Connections that break are this program's daily bread.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		if err := srv.Serve(newBounded(ln, maxServerConns)); !errors.Is(err, http.ErrServerClosed) {
			log.Print("overload: server: ", err)
		}
	}()
	return srv, ln.Addr().String(), nil
}

// bounded is a listener with at most so many connections open at a time.
type bounded struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func newBounded(ln net.Listener, most int) *bounded {
	return &bounded{Listener: ln, slots: make(chan struct{}, most), done: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{TCPConn: conn.(*net.TCPConn), slots: b.slots}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

type boundedConn struct {
	*net.TCPConn
	once  sync.Once
	slots chan struct{}
}

func (c *boundedConn) Close() error {
	defer c.once.Do(func() { <-c.slots })
	return c.TCPConn.Close()
}
