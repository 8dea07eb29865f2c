package timeout_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// network is a real server and a client of it that are connected in memory, so
// that both can be in one bubble of synctest: there every instant is exact, and
// nothing is proven by waiting.
type network struct {
	t      testing.TB
	lane   lane
	srv    *http.Server
	client *http.Client
	log    *logbook
	conns  chan net.Conn
	// wrap, where it is set before the first request, is put around the
	// server's side of a connection.
	wrap   func(net.Conn) net.Conn
	closed chan struct{}
}

// sharing puts this module's own writer around the one within.
func sharing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw, rec, owner := httpwrap.Wrap(w)
		if owner {
			defer rec.Release()
		}
		next.ServeHTTP(rw, r)
	})
}

// connect serves h in the caller's bubble, which it lets end in a cleanup. The
// calm path is served beside h.
func connect(t testing.TB, l lane, h http.Handler) *network {
	n := &network{t: t, lane: l, log: new(logbook), conns: make(chan net.Conn), closed: make(chan struct{})}
	if l.foreign {
		h = foreign(h)
	}
	if l.shared {
		h = sharing(h)
	}
	n.srv = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == calm {
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, "calm")
				return
			}
			h.ServeHTTP(w, r)
		}),
		ErrorLog:  log.New(n.log, "", 0),
		Protocols: new(http.Protocols),
	}
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return n.dial() },
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	if l.proto == 2 {
		n.srv.Protocols.SetUnencryptedHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		n.srv.Protocols.SetHTTP1(true)
		transport.Protocols.SetHTTP1(true)
	}
	n.client = &http.Client{Transport: transport}
	served := make(chan struct{})
	go func() {
		defer close(served)
		n.srv.Serve(n)
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		n.srv.Close()
		<-served
		time.Sleep(time.Minute) // net/http may linger for a moment
	})
	return n
}

func (n *network) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case n.conns <- b:
		return a, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Accept, Close and Addr make it a listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		if n.wrap != nil {
			c = n.wrap(c)
		}
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

var closing sync.Mutex

func (n *network) Close() error {
	closing.Lock()
	defer closing.Unlock()
	select {
	case <-n.closed:
		return errors.New("closed already")
	default:
		close(n.closed)
		return nil
	}
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (n *network) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, "http://test"+path, body)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// fetch sends a request and reads its response to the end. It gives up after an
// hour of the bubble.
func (n *network) fetch(r *http.Request) *reply {
	ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
	defer cancel()
	re := new(reply)
	resp, err := n.client.Do(re.trace(r.WithContext(ctx)))
	if err != nil {
		re.err = err
		return re
	}
	re.take(resp)
	if resp.ProtoMajor != n.lane.proto {
		n.t.Errorf("answered over %s", resp.Proto)
	}
	return re
}

func (n *network) get(path string) *reply { return n.fetch(n.request("GET", path, nil)) }

// inBubble runs f in a bubble of its own for each lane.
func inBubble(t *testing.T, lanes []lane, f func(t *testing.T, l lane)) {
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, l) })
		})
	}
}

// soon is how much later than its deadline an answer may be in a bubble: the
// time that a handler is given to return.
const soon = 10 * time.Millisecond
