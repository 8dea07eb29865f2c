package retry_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/retry"
)

// tripper is a transport of the test's own.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// got is a response without a network.
func got(r *http.Request, status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// service counts the connections it has.
type service struct {
	*httptest.Server
	opened, open atomic.Int64
}

func serving(t *testing.T, proto int, h http.HandlerFunc) *service {
	s := &service{Server: httptest.NewUnstartedServer(h)}
	s.EnableHTTP2 = proto == 2
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	if proto == 2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func request(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bothVersions(t *testing.T, run func(*testing.T, int)) {
	for _, proto := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP", proto), func(t *testing.T) { run(t, proto) })
	}
}

func TestAThousandFailedAttemptsUseOneConnection(t *testing.T) {
	leaktest.Check(t)
	bothVersions(t, func(t *testing.T, proto int) {
		var attempts atomic.Int64
		bodies := []string{"", "short", strings.Repeat("x", 64<<10)}
		s := serving(t, proto, func(w http.ResponseWriter, r *http.Request) {
			n := attempts.Add(1)
			if b, _ := io.ReadAll(r.Body); string(b) != "body" {
				t.Errorf("attempt %d was sent %q", n, b)
			}
			w.WriteHeader(503)
			io.WriteString(w, bodies[n%3])
		})
		base := s.Client().Transport
		rt := made(t, eager(retry.WithAttempts(100))...).Transport(base)
		for range 10 {
			resp, err := rt.RoundTrip(request(t, "PUT", s.URL, strings.NewReader("body")))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); resp.StatusCode != 503 || err != nil || string(b) != bodies[attempts.Load()%3] {
				t.Errorf("%d with %d bytes, %v", resp.StatusCode, len(b), err)
			}
			resp.Body.Close()
		}
		if got := attempts.Load(); got != 1000 {
			t.Errorf("%d attempts", got)
		}
		if got := s.opened.Load(); got != 1 {
			t.Errorf("%d connections", got)
		}
		for range 1000 {
			// A stream over HTTP/2 ends a little later than its body.
			rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			if s.open.Load() == 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("%d connections are left", s.open.Load())
	})
}

func TestAnEndlessFailureIsNotReadToItsEnd(t *testing.T) {
	leaktest.Check(t)
	bothVersions(t, func(t *testing.T, proto int) {
		var attempts atomic.Int64
		s := serving(t, proto, func(w http.ResponseWriter, r *http.Request) {
			if attempts.Add(1) > 1 {
				return
			}
			w.WriteHeader(503)
			for block := make([]byte, 32<<10); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		})
		resp, err := made(t, eager()...).Transport(s.Client().Transport).RoundTrip(request(t, "GET", s.URL, nil))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v %v", resp, err)
		}
		resp.Body.Close()
		s.Client().CloseIdleConnections()
	})
}

func TestTheCallersRequestIsNotChanged(t *testing.T) {
	for _, opts := range [][]retry.Option{{retry.WithAttemptHeader("X-Attempt")}, {retry.WithAttemptHeader("X-Attempt"), retry.WithHedging(time.Hour, 1)}} {
		n := 0
		var seen []string
		rt := made(t, eager(opts...)...).Transport(tripper(func(r *http.Request) (*http.Response, error) {
			n++
			seen = append(seen, strings.Join(r.Header["X-Attempt"], ","))
			if n > 1 {
				r.Header.Set("X-More", "1") // which it must not, but some do
				r.URL.Path = "/changed"
			}
			return got(r, 503, ""), nil
		}))
		r := request(t, "GET", "http://example.com/path", nil)
		r.Header.Set("X-Own", "1")
		before, ctx := fmt.Sprint(r.Header, r.URL, r.Body, r.Method), r.Context()
		resp, err := rt.RoundTrip(r)
		if err != nil || resp.Request != r {
			t.Errorf("%v, the response is of another request", err)
		}
		resp.Body.Close()
		if after := fmt.Sprint(r.Header, r.URL, r.Body, r.Method); after != before || r.Context() != ctx {
			t.Errorf("was %s, is %s", before, after)
		}
		if got := fmt.Sprint(seen); got != "[ 1 2]" {
			t.Errorf("numbered %s", got)
		}
	}
}

// closing knows whether it was closed.
type closing struct {
	io.Reader
	closed atomic.Int32
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

func TestEveryBodyIsClosedOnEveryPath(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	boom := errors.New("boom")
	closes := func(r *http.Request) {
		if r.Body != nil {
			r.Body.Close()
		}
	}
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		opts  []retry.Option
		trip  tripper
		trips int
	}{
		{"good", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); return got(r, 200, "x"), nil }, 1},
		{"failure", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); return got(r, 503, "x"), nil }, 3},
		{"error", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); return nil, io.EOF }, 3},
		{"permanent error", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); return nil, boom }, 1},
		{"canceled before", canceled, nil, nil, 0},
		{"panic of an option", nil, []retry.Option{retry.WithExempt(func(*http.Request) bool { panic("oh") })}, nil, 0},
		{"panic of the transport", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); panic("oh") }, 1},
		{"nothing at all", nil, nil, func(r *http.Request) (*http.Response, error) { closes(r); return nil, nil }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var requests, responses []*closing
			n := 0
			rt := made(t, eager(tc.opts...)...).Transport(tripper(func(r *http.Request) (*http.Response, error) {
				n++
				resp, err := tc.trip(r)
				if resp != nil {
					b := &closing{Reader: resp.Body}
					responses, resp.Body = append(responses, b), b
				}
				return resp, err
			}))
			body := func() io.ReadCloser {
				b := &closing{Reader: strings.NewReader("body")}
				requests = append(requests, b)
				return b
			}
			r := request(t, "PUT", "http://example.com", nil)
			r.Body, r.ContentLength = body(), 4
			r.GetBody = func() (io.ReadCloser, error) { return body(), nil }
			if tc.ctx != nil {
				r = r.WithContext(tc.ctx)
			}
			func() {
				defer func() { recover() }()
				if resp, err := rt.RoundTrip(r); (resp == nil) == (err == nil) {
					t.Errorf("%v and %v", resp, err)
				} else if err == nil {
					resp.Body.Close()
					resp.Body.Close()
				}
			}()
			if n != tc.trips {
				t.Errorf("%d round trips, want %d", n, tc.trips)
			}
			if len(requests) != max(n, 1) {
				t.Errorf("%d bodies for %d round trips", len(requests), n)
			}
			for i, b := range append(requests, responses...) {
				if b.closed.Load() == 0 {
					t.Errorf("body %d was not closed", i)
				}
			}
		})
	}
}

func TestABodyWithoutGetBodyIsSentOnce(t *testing.T) {
	n := 0
	p := made(t, eager()...)
	resp, err := p.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		n++
		return got(r, 503, "as it is"), nil
	})).RoundTrip(request(t, "PUT", "http://example.com", struct{ io.Reader }{strings.NewReader("x")}))
	if err != nil || n != 1 || p.Stats().GaveUp[retry.ReasonBody] != 1 {
		t.Errorf("%v, %d attempts, %+v", err, n, p.Stats())
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "as it is" {
		t.Errorf("%q", b)
	}
}

func TestGetBodyThatFailsIsTheError(t *testing.T) {
	boom := errors.New("boom")
	r := request(t, "PUT", "http://example.com", strings.NewReader("x"))
	r.GetBody = func() (io.ReadCloser, error) { return nil, boom }
	p := made(t, eager()...)
	_, err := p.Transport(tripper(func(r *http.Request) (*http.Response, error) { return got(r, 503, ""), nil })).RoundTrip(r)
	if err != boom || p.Stats().GaveUp[retry.ReasonBody] != 1 {
		t.Errorf("%v, %+v", err, p.Stats())
	}
}

func TestOnlyErrorsThatMayPassAreRepeated(t *testing.T) {
	for _, tc := range []struct {
		err   error
		trips int
	}{
		{io.EOF, 3}, {io.ErrUnexpectedEOF, 3}, {syscall.ECONNRESET, 3}, {syscall.EPIPE, 3}, {net.ErrClosed, 3},
		{&net.OpError{Op: "dial", Err: &net.AddrError{}}, 1},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 3},
		{&url.Error{Op: "Get", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, 3},
		{&net.DNSError{IsTemporary: true}, 3}, {&net.DNSError{IsTimeout: true}, 3}, {&net.DNSError{IsNotFound: true}, 1},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, 1},
		{x509.UnknownAuthorityError{}, 1}, {x509.HostnameError{}, 1}, {&tls.CertificateVerificationError{Err: io.EOF}, 1},
		{tls.RecordHeaderError{}, 1}, {&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, 1},
		{errors.New("connection reset by peer"), 1}, // what it says is not what it is
		{context.DeadlineExceeded, 3},               // of something further in, not the caller's
		{context.Canceled, 3},                       // of somebody else who used the connection before
		{fmt.Errorf("wrapped: %w", GoAwayError{}), 3},
	} {
		n := 0
		_, err := made(t, eager()...).Transport(tripper(func(r *http.Request) (*http.Response, error) {
			n++
			return nil, tc.err
		})).RoundTrip(request(t, "GET", "http://example.com", nil))
		if n != tc.trips || err != tc.err {
			t.Errorf("%T %v: %d attempts, want %d; returned %v", tc.err, tc.err, n, tc.trips, err)
		}
	}
}

// GoAwayError is named as that of net/http's HTTP/2.
type GoAwayError struct{}

func (GoAwayError) Error() string { return "going away" }

func TestABrokenConnectionIsRepeated(t *testing.T) {
	leaktest.Check(t)
	bothVersions(t, func(t *testing.T, proto int) {
		var attempts atomic.Int64
		s := serving(t, proto, func(w http.ResponseWriter, r *http.Request) {
			if attempts.Add(1) < 3 {
				panic(http.ErrAbortHandler)
			}
		})
		// A method that net/http itself would repeat only with a key.
		r := request(t, "PUT", s.URL, struct{ io.Reader }{strings.NewReader("x")})
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }
		resp, err := made(t, eager()...).Transport(s.Client().Transport).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || attempts.Load() < 3 {
			t.Errorf("%d after %d attempts", resp.StatusCode, attempts.Load())
		}
		s.Client().CloseIdleConnections()
	})
}

func TestACertificateThatIsNotTrustedIsNotTriedAgain(t *testing.T) {
	s := serving(t, 2, func(http.ResponseWriter, *http.Request) {})
	base := &http.Transport{}
	_, err := made(t, eager()...).Transport(base).RoundTrip(request(t, "GET", s.URL, nil))
	if err == nil {
		t.Fatal("was trusted")
	}
	if got := s.opened.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestAPortWhereNobodyListensIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := made(t, eager()...)
	if _, err = p.Transport(&http.Transport{}).RoundTrip(request(t, "GET", "http://"+l.Addr().String(), nil)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	if s := p.Stats(); s.Attempts != 3 || s.Exhausted != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRetryAfterIsWaitedForAndNeverShortened(t *testing.T) {
	for _, tc := range []struct {
		header    []string
		min, most time.Duration
	}{
		{nil, 0, time.Second},
		{[]string{"Retry-After", "7"}, 7 * time.Second, 8 * time.Second},
		{[]string{"Retry-After", "7", "Retry-After", "9"}, 9 * time.Second, 10 * time.Second},
		{[]string{"Retry-After", "Sat, 01 Jan 2000 00:00:20 GMT", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 20 * time.Second, 21 * time.Second},
		{[]string{"Retry-After", "0"}, 0, time.Second},
	} {
		for _, jitter := range []retry.Jitter{retry.FullJitter, retry.EqualJitter, retry.NoJitter, retry.PlusMinus(1)} {
			synctest.Test(t, func(t *testing.T) {
				start, n := time.Now(), 0
				p := made(t, retry.WithFixed(time.Second), retry.WithJitter(jitter), retry.WithoutBudget())
				resp, err := p.Transport(tripper(func(r *http.Request) (*http.Response, error) {
					if n++; n == 1 {
						return got(r, 503, "", tc.header...), nil
					}
					return got(r, 200, ""), nil
				})).RoundTrip(request(t, "GET", "http://example.com", nil))
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%v %v", resp, err)
				}
				resp.Body.Close()
				if d := time.Since(start); d < tc.min || d > tc.most {
					t.Errorf("%v with jitter %v: waited %v", tc.header, jitter, d)
				} else if got := p.Stats().Delay; got != d {
					t.Errorf("counted %v, waited %v", got, d)
				}
			})
		}
	}
}

func TestAnAttemptsTimeoutIsRepeatedAndTheCallersIsNot(t *testing.T) {
	hangs := tripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	})
	t.Run("attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := made(t, eager(retry.WithAttemptTimeout(time.Second), retry.WithName("upstream"))...)
			start := time.Now()
			_, err := p.Transport(hangs).RoundTrip(request(t, "GET", "http://example.com", nil))
			var late net.Error
			if !errors.As(err, &late) || !late.Timeout() || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "upstream") {
				t.Errorf("%v", err)
			}
			if s := p.Stats(); s.Attempts != 3 || s.Exhausted != 1 || time.Since(start) < 3*time.Second {
				t.Errorf("%+v after %v", s, time.Since(start))
			}
		})
	})
	t.Run("total", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := made(t, eager(retry.WithAttemptTimeout(time.Second), retry.WithTotalTimeout(1500*time.Millisecond))...)
			start := time.Now()
			_, err := p.Transport(hangs).RoundTrip(request(t, "GET", "http://example.com", nil))
			if s := p.Stats(); s.Attempts != 2 || s.GaveUp[retry.ReasonDeadline] != 1 || time.Since(start) != 1500*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %+v after %v", err, s, time.Since(start))
			}
		})
	})
	t.Run("caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			p := made(t, eager(retry.WithAttemptTimeout(time.Second))...)
			_, err := p.Transport(hangs).RoundTrip(request(t, "GET", "http://example.com", nil).WithContext(ctx))
			if s := p.Stats(); s.Attempts != 1 || s.GaveUp[retry.ReasonDeadline] != 1 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, %+v", err, s)
			}
		})
	})
	t.Run("caller during a delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			p := made(t, retry.WithFixed(time.Hour), retry.WithJitter(retry.NoJitter), retry.WithoutBudget())
			start := time.Now()
			_, err := p.Transport(tripper(func(r *http.Request) (*http.Response, error) { return got(r, 503, ""), nil })).
				RoundTrip(request(t, "GET", "http://example.com", nil).WithContext(ctx))
			if s := p.Stats(); s.Attempts != 1 || s.GaveUp[retry.ReasonCanceled] != 1 || err != context.Canceled || time.Since(start) != time.Second {
				t.Errorf("%v, %+v", err, s)
			}
		})
	})
	t.Run("a delay beyond the caller's deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			p := made(t, eager(retry.WithMaxRetryAfter(time.Hour))...)
			start := time.Now()
			resp, err := p.Transport(tripper(func(r *http.Request) (*http.Response, error) { return got(r, 503, "unread", "Retry-After", "60"), nil })).
				RoundTrip(request(t, "GET", "http://example.com", nil).WithContext(ctx))
			if err != nil || time.Since(start) != 0 || p.Stats().GaveUp[retry.ReasonDeadline] != 1 {
				t.Fatalf("%v after %v, %+v", err, time.Since(start), p.Stats())
			}
			if b, _ := io.ReadAll(resp.Body); string(b) != "unread" {
				t.Errorf("%q", b)
			}
			resp.Body.Close()
		})
	})
}

func TestTheTotalTimeoutEndsAResponseBody(t *testing.T) {
	release := make(chan struct{})
	s := serving(t, 1, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	resp, err := made(t, eager(retry.WithAttemptTimeout(10*time.Second), retry.WithTotalTimeout(100*time.Millisecond))...).
		Transport(s.Client().Transport).RoundTrip(request(t, "GET", s.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var late *retry.Error
	if _, err := io.ReadAll(resp.Body); !errors.As(err, &late) {
		t.Errorf("%v", err)
	}
}

func TestASwitchOfProtocolsIsHandedOnAsAConnection(t *testing.T) {
	var attempts atomic.Int64
	s := serving(t, 1, func(w http.ResponseWriter, r *http.Request) {
		if attempts.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, line)
	})
	r := request(t, "GET", s.URL, nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "test")
	resp, err := made(t, eager(retry.WithTotalTimeout(time.Hour))...).Transport(s.Client().Transport).RoundTrip(r)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	defer resp.Body.Close()
	if _, err := io.WriteString(resp.Body.(io.ReadWriteCloser), "hello\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "hello\n" {
		t.Errorf("%q", b)
	}
}

func TestAReverseProxyOnTheTransportHandsOnOneAnswer(t *testing.T) {
	leaktest.Check(t)
	bothVersions(t, func(t *testing.T, proto int) {
		var attempts atomic.Int64
		backend := serving(t, proto, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-T")
			if attempts.Add(1)%3 != 0 {
				w.Header().Set("X-Bad", "1")
				w.WriteHeader(503)
				io.WriteString(w, "bad")
			} else {
				io.WriteString(w, "good")
			}
			w.Header().Set("X-T", "trailer")
		})
		target, _ := url.Parse(backend.URL)
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = made(t, eager()...).Transport(backend.Client().Transport)
		front := serving(t, proto, proxy.ServeHTTP)
		for range 5 {
			resp, err := front.Client().Get(front.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || string(b) != "good" || resp.Header.Get("X-Bad") != "" || resp.Trailer.Get("X-T") != "trailer" {
				t.Errorf("%d %q %v %v", resp.StatusCode, b, resp.Header, resp.Trailer)
			}
		}
		front.Client().CloseIdleConnections()
		backend.Client().CloseIdleConnections()
	})
}

// A proxy behind the middleware, whose transport may still send the body of an
// attempt that is over.
func TestAReverseProxyBehindTheMiddlewareSendsWholeBodies(t *testing.T) {
	leaktest.Check(t)
	upload := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	bothVersions(t, func(t *testing.T, proto int) {
		var attempts atomic.Int64
		backend := serving(t, proto, func(w http.ResponseWriter, r *http.Request) {
			if attempts.Add(1)%3 != 0 {
				io.CopyN(io.Discard, r.Body, 1000) // and leaves the rest
				w.Header().Set("X-Bad", "1")
				w.WriteHeader(503)
				return
			}
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(b)
		})
		target, _ := url.Parse(backend.URL)
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = backend.Client().Transport
		front := serving(t, proto, made(t, eager()...).Wrap(proxy).ServeHTTP)
		for range 10 {
			resp, err := front.Client().Do(request(t, "PUT", front.URL, bytes.NewReader(upload)))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || err != nil || !bytes.Equal(b, upload) || resp.Header.Get("X-Bad") != "" {
				t.Errorf("%d with %d bytes, %v", resp.StatusCode, len(b), err)
			}
		}
		front.Client().CloseIdleConnections()
		backend.Client().CloseIdleConnections()
	})
}
