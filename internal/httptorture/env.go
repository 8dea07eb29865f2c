package httptorture

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
)

// tb is what a case needs of a *testing.T. It is an interface so that the
// tests of this package can watch a case fail.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// env is where one case runs: the middleware, servers with it and without,
// and what to do when something does not happen.
type env struct {
	tb
	config
	proto    protocol
	mw       middleware
	patience time.Duration

	// over is done when the case is, so that nothing waits any longer.
	over  context.Context
	sites []*site
	// before is what ran before the case, leaky whether something is known
	// to have stayed.
	before leaktest.Goroutines
	leaky  bool
}

func newEnv(t tb, p protocol, mw middleware, patience time.Duration, c config) *env {
	before := leaktest.Snapshot()
	over, end := context.WithCancel(context.Background())
	e := &env{tb: t, config: c, proto: p, mw: mw, patience: patience, over: over, before: before}
	t.Cleanup(func() {
		end()
		e.settle()
	})
	return e
}

// settle stops the servers and waits until everything they ran has ended,
// and logged what it had to say.
func (e *env) settle() {
	e.Helper()
	for _, s := range slices.Backward(e.sites) {
		s.close()
	}
	e.sites = nil
	if e.leaky {
		return
	}
	for _, stack := range e.before.Wait(e.patience, e.leaves...) {
		e.leaky = true
		e.Errorf("a goroutine is left when the server is gone:\n%s", stack)
	}
}

// await reports whether ch was closed or sent to before patience ran out. It
// may be called by handlers.
func (e *env) await(ch <-chan struct{}) bool {
	timer := time.NewTimer(e.patience)
	defer timer.Stop()
	select {
	case <-ch:
		return true
	case <-timer.C:
		return false
	case <-e.over.Done():
		return false
	}
}

// must is await for the goroutine of the case.
func (e *env) must(ch <-chan struct{}, what string) {
	e.Helper()
	if !e.await(ch) {
		e.Fatalf("waited in vain: %s", what)
	}
}

// give sends to a handler that awaits ch.
func (e *env) give(ch chan<- struct{}, what string) {
	e.Helper()
	timer := time.NewTimer(e.patience)
	defer timer.Stop()
	select {
	case ch <- struct{}{}:
	case <-timer.C:
		e.Fatalf("waited in vain: %s", what)
	}
}

// receive waits for a value.
func receive[V any](e *env, ch <-chan V, what string) V {
	e.Helper()
	timer := time.NewTimer(e.patience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		e.Fatalf("waited in vain: %s", what)
	}
	panic("not reached")
}

// site is a server and a client for it.
type site struct {
	e      *env
	srv    *httptest.Server
	client *http.Client
	log    *logbook
	// ending is done when the server is to close.
	ending []func()
	closed bool
	// served gets a value when the handler of a request is done.
	served chan struct{}
}

// serve starts a server for h behind the middleware.
func (e *env) serve(h http.HandlerFunc) *site { return e.serveAsIs(e.proto, e.mw(h)) }

// serveAsIs starts a server for h.
func (e *env) serveAsIs(p protocol, h http.Handler) *site {
	s := &site{e: e, log: new(logbook), served: make(chan struct{}, 1024)}
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			select {
			case s.served <- struct{}{}:
			default: // nobody counts that far
			}
		}()
		h.ServeHTTP(w, r)
	}))
	s.srv.Config.ErrorLog = log.New(s.log, "", 0)
	transport := &http.Transport{DisableCompression: true, ExpectContinueTimeout: e.patience}
	if p == http2 {
		config, err := serverTLS()
		if err != nil {
			e.Fatalf("certificate: %v", err)
		}
		s.srv.TLS = config
		s.srv.EnableHTTP2 = true
		s.srv.StartTLS()
		transport.ForceAttemptHTTP2 = true
		transport.TLSClientConfig = s.srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		s.srv.Start()
	}
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	e.sites = append(e.sites, s)
	return s
}

// atClose has f called when the server is to close.
func (s *site) atClose(f func()) { s.ending = append(s.ending, f) }

// close stops the server once its requests are done.
func (s *site) close() {
	if s.closed {
		return
	}
	s.closed = true
	s.client.CloseIdleConnections()
	for _, f := range s.ending {
		f()
	}
	done := make(chan struct{})
	go func() {
		s.srv.Close()
		close(done)
	}()
	timer := time.NewTimer(s.e.patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.e.Errorf("a request does not end when the server closes")
		s.srv.CloseClientConnections()
	}
}

// request makes a request that ends with the case.
func (s *site) request(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(s.e.over, method, s.srv.URL+path, body)
	if err != nil {
		panic(err)
	}
	return r
}

// send returns the response while its body may still be on its way. It fails
// the case where there is none.
func (s *site) send(r *http.Request) *http.Response {
	s.e.Helper()
	resp, err := s.trySend(r)
	if err != nil {
		s.e.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return resp
}

func (s *site) trySend(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	timer := time.AfterFunc(s.e.patience, cancel)
	resp, err := s.client.Do(r.WithContext(ctx))
	if err != nil {
		timer.Stop()
		cancel()
		return nil, err
	}
	resp.Body = &patientBody{resp.Body, func() { timer.Stop(); cancel() }}
	want := 1
	if strings.HasPrefix(s.srv.URL, "https:") {
		want = 2
	}
	if resp.ProtoMajor != want {
		resp.Body.Close()
		return nil, fmt.Errorf("answered over %s", resp.Proto)
	}
	return resp, nil
}

// patientBody ends the deadline of its request with itself. It keeps the
// Write that the body of a switched protocol has.
type patientBody struct {
	io.ReadCloser
	stop func()
}

func (b *patientBody) Close() error {
	err := b.ReadCloser.Close()
	b.stop()
	return err
}

// reply is a response that was read to its end.
type reply struct {
	*http.Response
	body []byte
	// cut is the error that ended the body before its end.
	cut error
}

// fetch sends a request and reads the response to its end.
func (s *site) fetch(r *http.Request) (*reply, error) {
	resp, err := s.trySend(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &reply{resp, body, err}, nil
}

// get fetches path and fails the case unless there is a whole response.
func (s *site) get(path string) *reply {
	s.e.Helper()
	re, err := s.fetch(s.request("GET", path, nil))
	if err == nil {
		err = re.cut
	}
	if err != nil {
		s.e.Fatalf("GET %s: %v", path, err)
	}
	return re
}

// leaving sends a GET and returns a function that gives it up and waits for
// the client to be done with it.
func (s *site) leaving(path string) (leave func()) {
	s.e.Helper()
	ctx, cancel := context.WithCancel(s.e.over)
	r := s.request("GET", path, nil).WithContext(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := s.trySend(r); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// dial opens a connection to speak HTTP/1.1 by hand. It fails, rather than
// block, when patience runs out.
func (s *site) dial() net.Conn {
	s.e.Helper()
	conn, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	if err != nil {
		s.e.Fatalf("dial: %v", err)
	}
	conn.SetDeadline(time.Now().Add(s.e.patience))
	return conn
}

// dialogue is one connection of HTTP/1.1 for one request after the other.
type dialogue struct {
	s    *site
	conn net.Conn
	in   *bufio.Reader
}

func (s *site) dialogue() *dialogue {
	s.e.Helper()
	conn := s.dial()
	s.atClose(func() { conn.Close() })
	return &dialogue{s, conn, bufio.NewReader(conn)}
}

// ask sends a request and reads the response to its end. It fails the case
// where the connection is not fit for that any more.
func (d *dialogue) ask(r *http.Request) *reply {
	d.s.e.Helper()
	if err := r.Write(d.conn); err != nil {
		d.s.e.Fatalf("sending %s %s: %v", r.Method, r.URL.Path, err)
	}
	resp, err := http.ReadResponse(d.in, r)
	if err != nil {
		d.s.e.Fatalf("response to %s %s: %v", r.Method, r.URL.Path, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.s.e.Fatalf("response to %s %s: %v", r.Method, r.URL.Path, err)
	}
	return &reply{resp, body, nil}
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
