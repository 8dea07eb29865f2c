package timeout_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// patience is how long a test waits for what has to happen. It is spent only
// where that never does.
const patience = 10 * time.Second

// lane is a way from the client to the handler. Which mechanism enforces the
// deadline depends on it, and what the client sees must not.
type lane struct {
	name  string
	proto int
	// shared puts this module's own wrapper outside, foreign one that the
	// timeout cannot know.
	shared, foreign bool
}

var (
	plainHTTP1   = lane{name: "HTTP1", proto: 1}
	sharedHTTP1  = lane{name: "HTTP1 shared", proto: 1, shared: true}
	foreignHTTP1 = lane{name: "HTTP1 foreign", proto: 1, shared: true, foreign: true}
	plainHTTP2   = lane{name: "HTTP2", proto: 2, shared: true}

	lanes = []lane{plainHTTP1, sharedHTTP1, foreignHTTP1, plainHTTP2}
)

// inline says that the handler runs on the serving goroutine.
func (l lane) inline() bool { return l.proto == 1 && !l.foreign }

// serverHTTP1 and serverHTTP2 are what net/http's writers offer.
type serverHTTP1 interface {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	CloseNotify() <-chan bool
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

type serverHTTP2 interface {
	http.ResponseWriter
	http.Flusher
	http.Pusher
	io.StringWriter
	CloseNotify() <-chan bool
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// foreignWriter1 and foreignWriter2 pass everything through, and no package
// but this one knows that.
type (
	foreignWriter1 struct{ serverHTTP1 }
	foreignWriter2 struct{ serverHTTP2 }
)

func (w foreignWriter1) Unwrap() http.ResponseWriter { return w.serverHTTP1 }
func (w foreignWriter2) Unwrap() http.ResponseWriter { return w.serverHTTP2 }

func foreign(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch t := w.(type) {
		case serverHTTP1:
			w = foreignWriter1{t}
		case serverHTTP2:
			w = foreignWriter2{t}
		default:
			panic(fmt.Sprintf("%T is no writer of the server", w))
		}
		next.ServeHTTP(w, r)
	})
}

// ending is how one request came back to the outermost layer.
type ending struct {
	returned bool
	raised   any
	// outcome and status are known where the lane is shared.
	outcome httpwrap.Outcome
	status  int
	pattern string
}

// service is a server with a timeout, and one client of it.
type service struct {
	t testing.TB
	lane
	timeout *timeout.Timeout
	srv     *httptest.Server
	client  *http.Client
	log     *logbook
	// ends has the endings of requests, in the order in which they end.
	ends chan ending
}

// certificate is for all servers: one handshake with RSA takes longer than
// most tests.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// outermost tells how each request ends and wraps the writer as the lane says.
func (s *service) outermost(next http.Handler) http.Handler {
	if s.foreign {
		next = foreign(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var rec *httpwrap.Recorder
		if s.shared {
			var owner bool
			if w, rec, owner = httpwrap.Wrap(w); owner {
				defer rec.Release()
			}
		}
		returned := false
		defer func() {
			end := ending{returned: returned, pattern: r.Pattern}
			if rec != nil {
				end.outcome, end.status = rec.Outcome(), rec.Status()
			}
			if !returned {
				end.raised = recover() // nil where the goroutine exits
			}
			s.ends <- end
			if end.raised != nil {
				panic(end.raised)
			}
		}()
		next.ServeHTTP(w, r)
		returned = true
	})
}

// calm is the path that is served without the timeout under test, to see
// whether connection and server are still good for something.
const calm = "/calm"

// serve starts a server with handler behind around and the timeout. The
// server is closed by close.
func serve(t testing.TB, l lane, to *timeout.Timeout, around func(http.Handler) http.Handler, handler http.Handler, configure ...func(*http.Server)) *service {
	s := &service{t: t, lane: l, timeout: to, log: new(logbook), ends: make(chan ending, 20_000)}
	h := to.Wrap(handler)
	if around != nil {
		h = around(h)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(calm, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "calm")
	})
	outermost := s.outermost(h)
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == calm {
			mux.ServeHTTP(w, r)
			return
		}
		outermost.ServeHTTP(w, r)
	}))
	s.srv.Config.ErrorLog = log.New(s.log, "", 0)
	for _, f := range configure {
		f(s.srv.Config)
	}
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: patience, MaxIdleConnsPerHost: 1000}
	if l.proto == 2 {
		cert, err := certificate()
		if err != nil {
			t.Fatal(err)
		}
		s.srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: []tls.CurveID{tls.X25519}}
		s.srv.EnableHTTP2 = true
		s.srv.StartTLS()
		transport.ForceAttemptHTTP2 = true
		transport.TLSClientConfig = s.srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		s.srv.Start()
	}
	s.client = &http.Client{Transport: transport}
	return s
}

func (s *service) close() {
	s.client.CloseIdleConnections()
	done := make(chan struct{})
	go func() {
		s.srv.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		s.t.Errorf("a request does not end when the server closes")
		s.srv.CloseClientConnections()
	}
}

// request makes a request that ends when the patience does.
func (s *service) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, s.srv.URL+path, body)
	if err != nil {
		panic(err)
	}
	return r
}

// reply is what a client got.
type reply struct {
	*http.Response // nil where there was none, and err says why
	err            error
	body           string
	cut            error // what ended the body before its end
	hints          []string
	reused         bool // the connection had been used before
}

func (re *reply) String() string {
	switch {
	case re.Response == nil:
		return fmt.Sprintf("no response: %v", re.err)
	case re.cut != nil:
		return fmt.Sprintf("%d %.200q, cut short: %v", re.StatusCode, re.body, re.cut)
	}
	return fmt.Sprintf("%d %.200q", re.StatusCode, re.body)
}

// fetch sends a request and reads its response to the end.
func (s *service) fetch(r *http.Request) *reply {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	re := new(reply)
	resp, err := s.client.Do(re.trace(r.WithContext(ctx)))
	if err != nil {
		re.err = err
		return re
	}
	re.take(resp)
	if want := s.proto; resp.ProtoMajor != want {
		s.t.Errorf("answered over %s", resp.Proto)
	}
	return re
}

func (re *reply) trace(r *http.Request) *http.Request {
	return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { re.reused = info.Reused },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			re.hints = append(re.hints, fmt.Sprint(code, " ", h["Link"]))
			return nil
		},
	}))
}

// take reads the body.
func (re *reply) take(resp *http.Response) {
	re.Response = resp
	var body []byte
	body, re.cut = io.ReadAll(resp.Body)
	re.body = string(body)
	resp.Body.Close()
}

// get fetches path with GET.
func (s *service) get(path string) *reply { return s.fetch(s.request("GET", path, nil)) }

// wire is a connection of HTTP/1.1 that is spoken by hand.
type wire struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func (s *service) dial() *wire {
	conn, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return &wire{Conn: conn, in: bufio.NewReader(conn), t: s.t}
}

func (c *wire) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *wire) send(raw string) {
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

// receive reads a response, the next one on this connection.
func (c *wire) receive(method string) *reply {
	re := new(reply)
	for {
		resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
		if err != nil {
			re.err = err
			return re
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			re.take(resp)
			return re
		}
		re.hints = append(re.hints, fmt.Sprint(resp.StatusCode, " ", resp.Header["Link"]))
	}
}

// rest is what comes until the server ends the connection.
func (c *wire) rest() (string, error) {
	rest, err := io.ReadAll(c.in)
	return string(rest), err
}

// logbook is what a server logs.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// eventually waits for something that nobody tells of.
func eventually(holds func() bool) bool {
	for deadline := time.Now().Add(patience); ; {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(500 * time.Microsecond)
	}
}
