package refuse_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/refuse"
)

// forever is how long a test waits for what has to happen.
const forever = 30 * time.Second

// server refuses, and tells about its connections.
type server struct {
	*httptest.Server
	closed   chan struct{} // one for each connection whose goroutine is done
	requests atomic.Int64
	canceled atomic.Int64 // requests whose context was over when they came
}

func serve(t *testing.T, secure bool, handler http.HandlerFunc) *server {
	s := &server{closed: make(chan struct{}, 100)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if r.Context().Err() != nil {
			s.canceled.Add(1)
		}
		handler(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			s.closed <- struct{}{}
		}
	}
	s.Config.ErrorLog = log.New(failing{t}, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// failing is a log that has to stay empty.
type failing struct{ t *testing.T }

func (f failing) Write(p []byte) (int, error) {
	f.t.Errorf("the server logged: %s", p)
	return len(p), nil
}

func (s *server) waitClosed(t *testing.T) {
	t.Helper()
	wait(t, s.closed, "the connection is still being served")
}

func wait(t *testing.T, event <-chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(forever):
		t.Fatal(otherwise)
	}
}

// conn is a connection of a client that knows no manners.
type conn struct {
	net.Conn
	*bufio.Reader
	t *testing.T
}

func (s *server) dial(t *testing.T) *conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if s.TLS != nil {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(forever))
	return &conn{Conn: c, Reader: bufio.NewReader(c), t: t}
}

func (c *conn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c *conn) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// refused reads a refusal and returns it.
func (c *conn) refused(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	check(c.t, resp, method)
	return resp
}

func check(t *testing.T, resp *http.Response, method string) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "3" {
		t.Errorf("status %d, %v, body %q, %v", resp.StatusCode, resp.Header, body, err)
	}
	var p struct{ Code string }
	switch {
	case method == http.MethodHead:
		if len(body) != 0 || resp.ContentLength < 10 {
			t.Errorf("HEAD: Content-Length %d, body %q", resp.ContentLength, body)
		}
	case json.Unmarshal(body, &p) != nil || p.Code != "LOAD_SHED":
		t.Errorf("body %q", body)
	}
}

func (c *conn) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c); len(rest) > 0 {
		c.t.Errorf("after the refusal came %q, %v", rest, err)
	}
}

func post(headers ...string) string {
	return "POST /upload HTTP/1.1\r\nHost: example.org\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

const another = "GET /another HTTP/1.1\r\nHost: example.org\r\n\r\n"

func write(p *refuse.Response) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { p.Write(w, r, 3*time.Second) }
}

// patient lets a body arrive for as long as a test may take.
func patient() *refuse.Response {
	return refuse.New(shed, nil).WithLimits(forever, 500*time.Millisecond, 5*time.Second)
}

// together runs subtests that mostly wait, however few may run in parallel.
func together[T any](t *testing.T, cases map[string]T, f func(*testing.T, T)) {
	var wg sync.WaitGroup
	for name, c := range cases {
		wg.Go(func() { t.Run(name, func(t *testing.T) { f(t, c) }) })
	}
	wg.Wait()
}

func overBoth(t *testing.T, f func(t *testing.T, secure bool)) {
	together(t, map[string]bool{"http": false, "https": true}, f)
}

var stalled = map[string]string{
	"nothing of 100 bytes":                  post("Content-Length: 100"),
	"half of 100 bytes":                     post("Content-Length: 100") + strings.Repeat("x", 50),
	"nothing of 200 KB":                     post("Content-Length: 200000"),
	"nothing of 10 MB":                      post("Content-Length: 10000000"),
	"half of 10 MB":                         post("Content-Length: 10000000") + strings.Repeat("x", 5000),
	"chunked, nothing":                      post("Transfer-Encoding: chunked"),
	"chunked, one chunk":                    post("Transfer-Encoding: chunked") + "5\r\nhello\r\n",
	"chunked, half a chunk":                 post("Transfer-Encoding: chunked") + "5\r\nhe",
	"chunked, half a trailer":               post("Transfer-Encoding: chunked", "Trailer: A") + "0\r\nA: ",
	"100 bytes, wants close":                post("Content-Length: 100", "Connection: close"),
	"10 MB, wants close":                    post("Content-Length: 10000000", "Connection: close"),
	"chunked, wants close":                  post("Transfer-Encoding: chunked", "Connection: close"),
	"100 bytes, HTTP/1.0":                   "POST / HTTP/1.0\r\nContent-Length: 100\r\n\r\n",
	"100 bytes, HTTP/1.0, kept alive":       "POST / HTTP/1.0\r\nContent-Length: 100\r\nConnection: keep-alive\r\n\r\n",
	"100 bytes, waits for 100":              post("Content-Length: 100", "Expect: 100-continue"),
	"10 MB, waits for 100":                  post("Content-Length: 10000000", "Expect: 100-continue"),
	"chunked, waits for 100":                post("Transfer-Encoding: chunked", "Expect: 100-continue"),
	"100 bytes, waits for 100, wants close": post("Content-Length: 100", "Expect: 100-continue", "Connection: close"),
	"10 MB, waits for 100, wants close":     post("Content-Length: 10000000", "Expect: 100-continue", "Connection: close"),
}

// The client sends no more: the answer has to come anyway, without 100
// Continue before it. Were it to wait for anything but the patience it would
// be an hour late.
func TestAStalledUploadIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	p := refuse.New(shed, nil).WithLimits(time.Millisecond, time.Hour, time.Hour)
	together(t, map[string]http.HandlerFunc{
		"body": write(p),
		// net/http does not recognise its body any more.
		"replaced body": func(w http.ResponseWriter, r *http.Request) {
			r.Body = struct{ io.ReadCloser }{r.Body}
			p.Write(w, r, 3*time.Second)
		},
	}, func(t *testing.T, handler http.HandlerFunc) {
		together(t, stalled, func(t *testing.T, raw string) {
			overBoth(t, func(t *testing.T, secure bool) {
				s := serve(t, secure, handler)
				c := s.dial(t)
				c.send(raw)
				// net/http has nothing to say about that to HTTP/1.0.
				if resp := c.refused("POST"); !resp.Close && !strings.Contains(raw, "HTTP/1.0") {
					t.Errorf("not told that the connection closes: %v", resp.Header)
				}
			})
		})
	})
}

// The client has its answer and keeps the connection: the server has to let
// go, and has to know that there is no reason to wait for the next request.
func TestAStalledUploadHoldsNothing(t *testing.T) {
	t.Parallel()
	p := refuse.New(shed, nil).WithLimits(time.Millisecond, 100*time.Millisecond, time.Hour)
	together(t, stalled, func(t *testing.T, raw string) {
		overBoth(t, func(t *testing.T, secure bool) {
			s := serve(t, secure, write(p))
			c := s.dial(t)
			c.send(raw)
			c.refused("POST")
			s.waitClosed(t)
			c.ended()
		})
	})
}

// What comes later of a body that was given up is never a request.
func TestTheRestOfARefusedBodyIsNotARequest(t *testing.T) {
	t.Parallel()
	together(t, stalled, func(t *testing.T, raw string) {
		s := serve(t, false, write(refuse.New(shed, nil)))
		c := s.dial(t)
		c.send(raw)
		c.refused("POST")
		for done := false; !done && s.requests.Load() == 1; {
			select {
			case <-s.closed:
				done = true // and once more
			default:
			}
			if _, err := io.WriteString(c.Conn, another); err != nil {
				break
			}
			time.Sleep(time.Millisecond) // not faster than that
		}
		if n := s.requests.Load(); n != 1 {
			t.Errorf("%d requests served", n)
		}
	})
}

var complete = map[string]string{
	"5 bytes": post("Content-Length: 5") + "hello",
	"3 KB":    post("Content-Length: 3000") + strings.Repeat("x", 3000),
	"chunked": post("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n",
	"chunked with trailer": post("Transfer-Encoding: chunked", "Trailer: A") +
		"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
}

var large = map[string]string{
	"100 KB":          post("Content-Length: 100000") + strings.Repeat("x", 100000),
	"200 KB":          post("Content-Length: 200000") + strings.Repeat("x", 200000),
	"100 KB, chunked": post("Transfer-Encoding: chunked") + "186a0\r\n" + strings.Repeat("x", 100000) + "\r\n0\r\n\r\n",
}

func TestTheConnectionLivesOnWhenTheBodyIsThere(t *testing.T) {
	overBoth(t, func(t *testing.T, secure bool) {
		s := serve(t, secure, write(refuse.New(shed, nil)))
		c := s.dial(t)
		for range 3 {
			for name, raw := range complete {
				c.send(raw)
				if resp := c.refused("POST"); resp.Close {
					t.Fatalf("%s: the connection closes", name)
				}
				c.send(another)
				c.refused("GET")
			}
		}
		if s.canceled.Load() != 0 {
			t.Error("a context is canceled by what was before")
		}
	})
}

func TestTheConnectionLivesOnWhenTheBodyArrivesSoon(t *testing.T) {
	overBoth(t, func(t *testing.T, secure bool) {
		entered := make(chan struct{}, 1)
		p := patient()
		s := serve(t, secure, func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			p.Write(w, r, 3*time.Second)
		})
		c := s.dial(t)
		for _, bodies := range []map[string]string{complete, large} {
			for name, raw := range bodies {
				head, body, _ := strings.Cut(raw, "\r\n\r\n")
				c.send(head + "\r\n\r\n")
				wait(t, entered, "the request is not served")
				c.send(body)
				if resp := c.refused("POST"); resp.Close {
					t.Fatalf("%s: the connection closes", name)
				}
				c.send(another)
				wait(t, entered, "the request is not served")
				c.refused("GET")
			}
		}
		if s.canceled.Load() != 0 {
			t.Error("a context is canceled by what was before")
		}
	})
}

func TestPipelinedRequestsAreAllRefused(t *testing.T) {
	overBoth(t, func(t *testing.T, secure bool) {
		s := serve(t, secure, write(patient()))
		for _, bodies := range []map[string]string{complete, large} {
			for name, raw := range bodies {
				t.Log(name)
				c := s.dial(t)
				go io.WriteString(c.Conn, raw+another+raw+another)
				c.refused("POST")
				c.refused("GET")
				c.refused("POST")
				if c.refused("GET").Close {
					t.Error("the connection closes")
				}
			}
		}
	})
}

func TestHEADIsRefusedWithoutABody(t *testing.T) {
	overBoth(t, func(t *testing.T, secure bool) {
		s := serve(t, secure, write(refuse.New(shed, nil)))
		c := s.dial(t)
		for _, raw := range []string{
			"HEAD / HTTP/1.1\r\nHost: example.org\r\n\r\n",
			"HEAD / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello",
		} {
			c.send(raw)
			if c.refused("HEAD").Close {
				t.Error("the connection closes")
			}
		}
		c.send(another)
		c.refused("GET")
	})
}

// zeros is an upload of so many bytes.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), z.n)]
	clear(p)
	z.n -= int64(len(p))
	return len(p), nil
}

// A client that is sending, and goes on, finds the refusal and not a reset.
func TestARefusalIsReadableInTheMiddleOfALargeUpload(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	together(t, map[string]http.Request{
		"length":               {ContentLength: size},
		"chunked":              {ContentLength: -1},
		"length, wants close":  {ContentLength: size, Close: true},
		"chunked, wants close": {ContentLength: -1, Close: true},
	}, func(t *testing.T, how http.Request) {
		overBoth(t, func(t *testing.T, secure bool) {
			s := serve(t, secure, func(w http.ResponseWriter, r *http.Request) {
				refuse.New(shed, nil).Write(layer{w}, r, 3*time.Second)
			})
			for range 3 {
				transport := s.Client().Transport.(*http.Transport).Clone()
				r, err := http.NewRequest(http.MethodPost, s.URL, &zeros{size})
				if err != nil {
					t.Fatal(err)
				}
				r.ContentLength, r.Close = how.ContentLength, how.Close
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				check(t, resp, "POST")
				s.waitClosed(t)
				transport.CloseIdleConnections()
			}
		})
	})
}

// layer is a wrapper as other middleware has them.
type layer struct{ http.ResponseWriter }

func (l layer) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// With HTTP/1.0 a server closes after each request, and net/http does not
// look at the body at all.
func TestARefusalIsReadableInTheMiddleOfALargeHTTP10Upload(t *testing.T) {
	t.Parallel()
	s := serve(t, false, write(refuse.New(shed, nil)))
	for range 3 {
		c := s.dial(t)
		c.send("POST / HTTP/1.0\r\nContent-Length: 104857600\r\n\r\n")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.Copy(c.Conn, &zeros{100 << 20})
		}()
		c.refused("POST")
		s.waitClosed(t)
		<-sent
	}
}

func TestTheMiddlewareDoesNotTouchTheBody(t *testing.T) {
	s := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(r.Context())
		r.Body = untouchable{r.Body, t}
		patient().Write(w, r, 3*time.Second)
	})
	for _, raw := range []string{complete["5 bytes"], large["200 KB"], stalled["nothing of 10 MB"], stalled["100 bytes, waits for 100"]} {
		c := s.dial(t)
		c.send(raw)
		c.refused("POST")
	}
}

// untouchable is a body that is not to be used.
type untouchable struct {
	io.ReadCloser
	t *testing.T
}

func (u untouchable) Read(p []byte) (int, error) {
	u.t.Error("the body was read")
	return u.ReadCloser.Read(p)
}

func (u untouchable) Close() error {
	u.t.Error("the body was closed")
	return u.ReadCloser.Close()
}

// A layer outside has read the body, so that net/http is already waiting for
// the next request.
func TestTheNextRequestIsNotDisturbedWhenTheBodyWasReadOutside(t *testing.T) {
	overBoth(t, func(t *testing.T, secure bool) {
		p := patient()
		s := serve(t, secure, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			p.Write(w, r, 3*time.Second)
			if r.Context().Err() != nil {
				t.Error("the context is canceled")
			}
		})
		c := s.dial(t)
		for _, raw := range complete {
			c.send(raw + another)
			c.refused("POST")
			if c.refused("GET").Close {
				t.Error("the connection closes")
			}
		}
		if s.canceled.Load() != 0 {
			t.Error("a context is canceled by what was before")
		}
	})
}

// Here the layer outside then takes its time, longer than the patience. It
// may be that the deadline meets the wait of net/http for the next request
// nonetheless, if this goroutine did not get to run: then there is none.
func TestALayerOutsideMayTakeItsTime(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, secure bool) {
		p := refuse.New(shed, nil).WithLimits(50*time.Millisecond, time.Hour, time.Hour)
		returns := make(chan struct{}, 2)
		s := serve(t, secure, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			p.Write(w, r, 3*time.Second)
			if r.ContentLength != 0 {
				select {
				case <-r.Context().Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
			returns <- struct{}{}
		})
		c := s.dial(t)
		c.send(complete["5 bytes"])
		c.refused("POST")
		wait(t, returns, "the handler does not return")
		// Whether the connection still lives or not.
		io.WriteString(c.Conn, another)
		io.Copy(io.Discard, io.LimitReader(c, 1))
		if s.canceled.Load() != 0 {
			t.Error("a context is canceled by what was before")
		}
	})
}

// If the deadline does meet that wait, net/http cancels the context of the
// connection and of all requests to come, so none may come.
func TestAConnectionWithADeadContextIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, secure bool) {
		p := refuse.New(shed, func(w http.ResponseWriter, r *http.Request, rejection handrail.Rejection) {
			select {
			case <-r.Context().Done():
			case <-time.After(forever):
				t.Error("the deadline does not reach the connection")
			}
			refuse.New(shed, nil).Write(w, r, rejection.RetryAfter)
		})
		s := serve(t, secure, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			p.Write(w, r, 3*time.Second)
		})
		c := s.dial(t)
		c.send(complete["5 bytes"])
		c.refused("POST")
		s.waitClosed(t)
		c.ended()
	})
}

func TestAStalledUploadIsRefusedWhereTheWriterHasNoDeadlines(t *testing.T) {
	t.Parallel()
	together(t, map[string]http.Handler{
		"nothing but a ResponseWriter": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refuse.New(shed, nil).Write(struct{ http.ResponseWriter }{w}, r, 3*time.Second)
		}),
		"http.TimeoutHandler": http.TimeoutHandler(write(refuse.New(shed, nil)), forever, ""),
	}, func(t *testing.T, handler http.Handler) {
		for _, upload := range []string{"nothing of 100 bytes", "nothing of 10 MB", "chunked, half a chunk", "100 bytes, waits for 100"} {
			s := serve(t, false, handler.ServeHTTP)
			c := s.dial(t)
			c.send(stalled[upload])
			if !c.refused("POST").Close {
				t.Errorf("%s: not told that the connection closes", upload)
			}
			c.Close()
			s.waitClosed(t)
		}
	})
}

func TestAStalledUploadIsRefusedByAHandlerOfTheServicesOwn(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, secure bool) {
		s := serve(t, secure, write(refuse.New(shed, func(w http.ResponseWriter, _ *http.Request, rejection handrail.Rejection) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(rejection.Status)
			fmt.Fprintf(w, `{"code":%q}`, rejection.Code)
		})))
		for _, upload := range []string{"nothing of 100 bytes", "nothing of 10 MB", "chunked, half a chunk", "100 bytes, waits for 100"} {
			c := s.dial(t)
			c.send(stalled[upload])
			if !c.refused("POST").Close {
				t.Error("not told that the connection closes")
			}
			s.waitClosed(t)
		}
		c := s.dial(t)
		c.send(complete["5 bytes"] + another)
		c.refused("POST")
		c.refused("GET")
	})
}

// The wait of net/http for the rest of a body is bounded where the connection
// closes for a reason that cannot be seen from the request.
func TestAServerThatShutsDownIsNotHeldUp(t *testing.T) {
	t.Parallel()
	s := serve(t, false, write(refuse.New(shed, nil).WithLimits(time.Millisecond, time.Hour, 100*time.Millisecond)))
	s.Config.SetKeepAlivesEnabled(false)
	c := s.dial(t)
	c.send(stalled["nothing of 100 bytes"])
	if !c.refused("POST").Close {
		t.Error("not told that the connection closes")
	}
	s.waitClosed(t)
}
