package bulkhead_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/leaktest"
)

// base is a RoundTripper that is a function.
type base func(*http.Request) (*http.Response, error)

func (f base) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(body io.ReadCloser) base {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: body, Request: r}, nil
	}
}

// text is a body that counts how often it is closed.
type text struct {
	io.Reader
	closed int
}

func (b *text) Close() error { b.closed++; return nil }

func newText() *text { return &text{Reader: strings.NewReader("hello")} }

func get(host string) *http.Request {
	r, err := http.NewRequest("GET", "http://"+host+"/", nil)
	if err != nil {
		panic(err)
	}
	return r
}

func inUse(t *testing.T, b *bulkhead.Bulkhead, want int) {
	t.Helper()
	if got := b.Stats().InUse; got != want {
		t.Errorf("%d slots in use, want %d", got, want)
	}
	if err := b.Audit(); err != nil {
		t.Error(err)
	}
}

func fullBecause(t *testing.T, err error, why bulkhead.Reason) *bulkhead.FullError {
	t.Helper()
	full := new(bulkhead.FullError)
	if !errors.As(err, &full) || full.Reason != why {
		t.Fatalf("%v, want %v", err, why)
	}
	return full
}

func TestEachHostHasItsOwnLimit(t *testing.T) {
	b := made(t, bulkhead.WithLimit(25), bulkhead.WithMaxWait(0), bulkhead.WithName("upstream"))
	client := b.Transport(answering(newText()))
	for range 20 {
		if _, err := client.RoundTrip(get("slow.test")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.RoundTrip(get("SLOW.test:80"))
	full := fullBecause(t, err, bulkhead.ReasonOperation)
	if full.Key != "slow.test" || full.Name != "upstream" || full.Limit != bulkhead.ReasonOperation || full.RetryAfter <= 0 ||
		full.Timeout() || !errors.Is(err, bulkhead.ErrFull) || full.Err != nil {
		t.Errorf("%+v", full)
	}
	if got := full.Rejection(); got.Code != bulkhead.Code || got.Status != 503 || got.Reason != "operation" || got.RetryAfter != full.RetryAfter {
		t.Errorf("%+v", got)
	}
	full.RetryAfter = time.Second
	if got := err.Error(); got != `bulkhead: upstream: "slow.test" refused (operation): bulkhead is full, retry after 1s` {
		t.Error(got)
	}
	for range 5 {
		if _, err := client.RoundTrip(get("slow.test:8080")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.RoundTrip(get("other.test"))
	fullBecause(t, err, bulkhead.ReasonGlobal)
	inUse(t, b, 25)
}

func TestTheOperationAndTheTenantOfAClientMayBeChosen(t *testing.T) {
	b := made(t, bulkhead.WithMaxWait(0), bulkhead.WithOperation(func(r *http.Request) string { return r.URL.Path }),
		bulkhead.WithOperationLimits(map[string]int{"/none": 0}), bulkhead.PerTenant(byTenant, 1))
	client := b.Transport(answering(newText()))
	r := get("a.test/none")
	r.URL.Path = "/none"
	_, err := client.RoundTrip(r)
	fullBecause(t, err, bulkhead.ReasonOperation)
	if _, err := client.RoundTrip(get("a.test")); err != nil {
		t.Fatal(err)
	}
	_, err = client.RoundTrip(get("a.test"))
	if full := fullBecause(t, err, bulkhead.ReasonTenant); full.Rejection().Status != http.StatusTooManyRequests {
		t.Errorf("%+v", full)
	}
}

func TestTheSlotIsHeldUntilTheBodyIsDone(t *testing.T) {
	broken := errors.New("on purpose")
	for name, done := range map[string]func(io.ReadCloser){
		"closed":         func(b io.ReadCloser) { b.Close() },
		"closed twice":   func(b io.ReadCloser) { b.Close(); b.Close() },
		"read":           func(b io.ReadCloser) { io.ReadAll(b) },
		"read and close": func(b io.ReadCloser) { io.ReadAll(b); b.Close() },
	} {
		b := made(t)
		body := newText()
		resp, err := b.Transport(answering(body)).RoundTrip(get("a.test"))
		if err != nil {
			t.Fatal(err)
		}
		other, err := b.Transport(answering(newText())).RoundTrip(get("a.test"))
		if err != nil {
			t.Fatal(err)
		}
		inUse(t, b, 2)
		if _, err := resp.Body.Read(make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		inUse(t, b, 2)
		done(resp.Body)
		inUse(t, b, 1)
		if strings.Contains(name, "close") && body.closed == 0 {
			t.Errorf("%s: the body is still open", name)
		}
		other.Body.Close()
		inUse(t, b, 0)
	}
	b := made(t)
	resp, err := b.Transport(answering(&text{Reader: io.MultiReader(strings.NewReader("x"), iotestError{broken})})).RoundTrip(get("a.test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != broken {
		t.Error(err)
	}
	inUse(t, b, 0)
}

type iotestError struct{ err error }

func (e iotestError) Read([]byte) (int, error) { return 0, e.err }

// upload is a request body that knows whether it was closed.
func upload(host string) (*http.Request, *text) {
	body := newText()
	r := get(host)
	r.Method, r.Body, r.ContentLength = "POST", body, 5
	return r, body
}

func TestEveryWayOutOfARoundTripGivesTheSlotBack(t *testing.T) {
	broken := errors.New("on purpose")
	closing := func(r *http.Request) { r.Body.Close() }
	for name, f := range map[string]base{
		"error":  func(r *http.Request) (*http.Response, error) { closing(r); return nil, broken },
		"panic":  func(*http.Request) (*http.Response, error) { panic("on purpose") },
		"goexit": func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil },
		"no body": func(r *http.Request) (*http.Response, error) {
			closing(r)
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		},
		"nil body":       func(r *http.Request) (*http.Response, error) { closing(r); return &http.Response{StatusCode: 200}, nil },
		"nothing at all": func(r *http.Request) (*http.Response, error) { closing(r); return nil, nil },
	} {
		b := made(t)
		r, sent := upload("a.test")
		over := make(chan struct{})
		go func() {
			defer close(over)
			defer func() { recover() }()
			if _, err := b.Transport(f).RoundTrip(r); name == "error" && err != broken {
				t.Error(err)
			}
		}()
		<-over
		inUse(t, b, 0)
		if sent.closed != 1 {
			t.Errorf("%s: the request body was closed %d times", name, sent.closed)
		}
	}
}

func TestARefusedRequestIsClosedAndNotSent(t *testing.T) {
	b := made(t, bulkhead.WithOperationLimit(0))
	client := b.Transport(base(func(*http.Request) (*http.Response, error) { t.Error("was sent"); return nil, nil }))
	r, sent := upload("a.test")
	header := r.Header.Clone()
	_, err := client.RoundTrip(r)
	fullBecause(t, err, bulkhead.ReasonOperation)
	if sent.closed != 1 || r.Body != sent || len(r.Header) != len(header) {
		t.Errorf("closed %d times, %v", sent.closed, r)
	}
	inUse(t, b, 0)
}

func TestAClientWaitsForASlotAndGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, bulkhead.Basic(1), bulkhead.WithMaxWait(time.Second))
		client := b.Transport(answering(newText()))
		first, err := client.RoundTrip(get("a.test"))
		if err != nil {
			t.Fatal(err)
		}
		try := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			r, sent := upload("b.test")
			_, err := client.RoundTrip(r.WithContext(ctx))
			if err != nil && sent.closed != 1 {
				t.Errorf("%v: the request body was closed %d times", err, sent.closed)
			}
			return time.Since(began), err
		}
		took, err := try(context.Background())
		full := fullBecause(t, err, bulkhead.ReasonWaitTimeout)
		if took != time.Second || full.Limit != bulkhead.ReasonGlobal || !full.Timeout() || full.Err != nil {
			t.Errorf("%v, %+v", took, full)
		}

		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		took, err = try(ctx)
		full = fullBecause(t, err, bulkhead.ReasonWaitTimeout)
		if took != 300*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, bulkhead.ErrFull) || !full.Timeout() {
			t.Errorf("%v, %v", took, err)
		}

		why := errors.New("on purpose")
		ctx, stop := context.WithCancelCause(context.Background())
		time.AfterFunc(200*time.Millisecond, func() { stop(why) })
		if took, err := try(ctx); took != 200*time.Millisecond || err != why {
			t.Errorf("%v, %v", took, err)
		}
		if s := b.Stats(); s.Canceled != 1 || s.Rejected != 2 {
			t.Errorf("%+v", s)
		}

		time.AfterFunc(500*time.Millisecond, func() { first.Body.Close() })
		if took, err := try(context.Background()); took != 500*time.Millisecond || err != nil {
			t.Errorf("%v, %v", took, err)
		}
	})
}

func TestATrailerArrivesThroughTheBody(t *testing.T) {
	leaktest.Check(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "42")
	}))
	defer server.Close()
	b := made(t)
	client := &http.Client{Transport: b.Transport(server.Client().Transport)}
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	inUse(t, b, 1)
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != "hello" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%q, %v, %v", got, err, resp.Trailer)
	}
	inUse(t, b, 0)
	resp.Body.Close()
	inUse(t, b, 0)
}

// A real server that is slow keeps only its own share of a client busy.
func TestASlowHostDoesNotTakeTheOthersWithIt(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			release := make(chan struct{})
			slow := server(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush() // the header is there, the body is not
				<-release
				io.WriteString(w, "done")
			}))
			quick := server(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
			b := made(t, bulkhead.WithOperationLimit(3), bulkhead.WithMaxWait(0))
			base := slow.Client().Transport.(*http.Transport)
			base.TLSClientConfig.RootCAs.AddCert(quick.Certificate())
			client := &http.Client{Transport: b.Transport(base)}
			var open []*http.Response
			for range 3 {
				resp, err := client.Get(slow.URL)
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, resp)
			}
			_, err := client.Get(slow.URL)
			fullBecause(t, err, bulkhead.ReasonOperation)
			resp, err := client.Get(quick.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != proto {
				t.Errorf("%q", got)
			}
			close(release)
			for _, resp := range open {
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "done" {
					t.Errorf("%q, %v", got, err)
				}
				resp.Body.Close()
			}
			inUse(t, b, 0)
			client.CloseIdleConnections()
		})
	}
}

// server is a real one over HTTP/1.1 or HTTP/2.
func server(t *testing.T, proto string, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = proto == "HTTP/2.0"
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// echo switches protocols and sends back what it gets.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(conn, rw)
})

func TestASwitchedConnectionHoldsItsSlotUntilItIsClosed(t *testing.T) {
	leaktest.Check(t)
	upstream := httptest.NewServer(echo)
	defer upstream.Close()
	b := made(t)
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Transport{}
	defer plain.CloseIdleConnections()
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = b.Transport(plain)
	front := httptest.NewServer(proxy)
	defer front.Close()

	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	head := readUntil(t, conn, "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 101") {
		t.Fatalf("%q", head)
	}
	for range 3 {
		io.WriteString(conn, "ping\n")
		if got := readUntil(t, conn, "\n"); got != "ping\n" {
			t.Fatalf("%q", got)
		}
	}
	inUse(t, b, 1)
	conn.Close()
	eventually(t, func() bool { return b.Stats().InUse == 0 })
}

func readUntil(t *testing.T, r io.Reader, end string) string {
	t.Helper()
	var got bytes.Buffer
	for one := make([]byte, 1); !strings.HasSuffix(got.String(), end); {
		if _, err := r.Read(one); err != nil {
			t.Fatalf("%q, %v", got.String(), err)
		}
		got.Write(one)
	}
	return got.String()
}

// eventually waits for what happens on another machine's time, a real
// connection's. It gives up after a time that is never needed.
func eventually(t *testing.T, what func() bool) {
	t.Helper()
	for began := time.Now(); !what(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("it does not happen")
		}
	}
}

func TestReadingToTheEndOfASwitchedConnectionDoesNotCloseIt(t *testing.T) {
	b := made(t)
	conn := &duplex{text: newText()}
	resp, err := b.Transport(base(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: conn, Request: r}, nil
	})).RoundTrip(get("a.test"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	inUse(t, b, 1)
	if _, err := resp.Body.(io.Writer).Write([]byte("still")); err != nil || conn.written.String() != "still" {
		t.Errorf("%v, %q", err, conn.written.String())
	}
	resp.Body.Close()
	resp.Body.Close()
	inUse(t, b, 0)
}

type duplex struct {
	*text
	written bytes.Buffer
}

func (d *duplex) Write(p []byte) (int, error) { return d.written.Write(p) }

// idler tells whether its idle connections were closed.
type idler struct {
	base
	closed bool
}

func (i *idler) CloseIdleConnections() { i.closed = true }

func TestIdleConnectionsAreClosedThroughIt(t *testing.T) {
	i := &idler{}
	(&http.Client{Transport: made(t).Transport(i)}).CloseIdleConnections()
	if !i.closed {
		t.Error("they are still there")
	}
	(&http.Client{Transport: made(t).Transport(base(nil))}).CloseIdleConnections()
}

func TestExemptRequestsOfAClientTakeNoSlot(t *testing.T) {
	b := made(t, bulkhead.Basic(0), bulkhead.WithExempt(func(r *http.Request) bool { return r.URL.Host == "a.test" }))
	client := b.Transport(answering(newText()))
	if _, err := client.RoundTrip(get("a.test")); err != nil {
		t.Error(err)
	}
	_, err := client.RoundTrip(get("b.test"))
	fullBecause(t, err, bulkhead.ReasonGlobal)
	inUse(t, b, 0)
}

// Handlers and clients may share one bulkhead, with and without the lock.
func TestAHandlerAndAClientShareTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := open(t, bulkhead.Basic(2))
		client := s.b.Transport(answering(newText()))
		resp, err := client.RoundTrip(get("a.test"))
		if err != nil {
			t.Fatal(err)
		}
		s.expect(s.send("first"), "inside")
		waits := s.send("waits")
		s.expect(waits, "waiting")
		resp.Body.Close()
		synctest.Wait()
		s.expect(waits, "inside")
	})
}

func TestNoHostIsAKeyWithoutBound(t *testing.T) {
	b := made(t, bulkhead.WithMaxKeys(10))
	client := b.Transport(answering(newText()))
	for i := range 1000 {
		resp, err := client.RoundTrip(get(fmt.Sprintf("h%d.test", i)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if s := b.Stats(); s.Operations != 10 || s.EvictedOperations != 990 {
		t.Errorf("%d hosts", s.Operations)
	}
}

var _ handrail.Source = (*bulkhead.Bulkhead)(nil)
