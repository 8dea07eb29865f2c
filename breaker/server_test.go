package breaker_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// overBoth runs a test over HTTP/1.1 and over HTTP/2, and looks for goroutines
// that are left.
func overBoth(t *testing.T, test func(t *testing.T, serve func(http.Handler) *httptest.Server)) {
	for _, proto := range []string{"HTTP1", "HTTP2"} {
		t.Run(proto, func(t *testing.T) {
			leaktest.Check(t)
			test(t, func(h http.Handler) *httptest.Server {
				s := httptest.NewUnstartedServer(h)
				s.Config.ErrorLog = log.New(io.Discard, "", 0)
				if s.EnableHTTP2 = proto == "HTTP2"; s.EnableHTTP2 {
					s.StartTLS()
				} else {
					s.Start()
				}
				t.Cleanup(func() {
					s.Client().CloseIdleConnections()
					s.Close()
				})
				return s
			})
		})
	}
}

// eventually waits for what a server notices a little after its client.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

func figures(b *breaker.Breaker) [3]uint64 {
	s := b.Stats()
	return [3]uint64{s.Successes, s.Failures, s.Excluded}
}

func counted(t *testing.T, b *breaker.Breaker, want [3]uint64) {
	t.Helper()
	eventually(t, "the result", func() bool { got := figures(b); return got[0]+got[1]+got[2] >= want[0]+want[1]+want[2] })
	if got := figures(b); got != want {
		t.Errorf("successes, failures, excluded: %v, want %v", got, want)
	}
}

func get(s *httptest.Server) (int, string, error) {
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestABackendThatDiesInTheMiddleOfItsBodyIsAFailure(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		backend := serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half of")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		to, _ := url.Parse(backend.URL)
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.Transport, proxy.FlushInterval, proxy.ErrorLog = backend.Client().Transport, -1, log.New(io.Discard, "", 0)
		b := made(t, breaker.WithConsecutiveFailures(3))
		front := serve(b.Wrap(proxy))
		for range 3 {
			if status, text, err := get(front); status != 200 || err == nil {
				t.Errorf("%d %q, and it looks whole", status, text)
			}
		}
		counted(t, b, [3]uint64{0, 3, 0})
		if status, _, err := get(front); status != 503 || err != nil {
			t.Errorf("%d, %v: does not open", status, err)
		}
	})
}

func TestAClientThatLeavesIsNoFailure(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		for _, begun := range []bool{false, true} {
			backend := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begun {
					io.WriteString(w, "half of")
					http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}))
			to, _ := url.Parse(backend.URL)
			proxy := httputil.NewSingleHostReverseProxy(to)
			proxy.Transport, proxy.FlushInterval, proxy.ErrorLog = backend.Client().Transport, -1, log.New(io.Discard, "", 0)
			b := made(t, breaker.WithConsecutiveFailures(1))
			inside := make(chan struct{})
			front := serve(b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(inside)
				proxy.ServeHTTP(w, r)
			})))
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				if <-inside; !begun {
					cancel()
				}
			}()
			r, _ := http.NewRequestWithContext(ctx, "GET", front.URL, nil)
			resp, err := front.Client().Do(r)
			if begun && err == nil {
				io.ReadFull(resp.Body, make([]byte, 7))
				cancel()
				resp.Body.Close()
			}
			counted(t, b, [3]uint64{0, 0, 1})
			cancel()
		}
	})
}

// halfOpen is a Breaker that waits for its one probe.
func halfOpen(t *testing.T, opts ...breaker.Option) *breaker.Breaker {
	b := made(t, append(opts, breaker.WithOpenFor(time.Millisecond), breaker.WithSuccesses(1))...)
	drive(b).trip(5)
	eventually(t, "the open time", func() bool { return time.Now().After(circuitOf(b, "").NextProbe) })
	return b
}

func TestAnEventStreamSucceedsWhenItBegins(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		b := halfOpen(t)
		begun, end := make(chan struct{}), make(chan struct{})
		s := serve(b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: hello\n\n")
			http.NewResponseController(w).Flush()
			close(begun)
			<-end
			panic(http.ErrAbortHandler) // which is no news any more
		})))
		done := make(chan struct{})
		go func() {
			defer close(done)
			get(s)
		}()
		<-begun
		expect(t, b, breaker.Closed)
		before := figures(b)
		close(end)
		<-done
		s.Close()
		if got := figures(b); got != before || got != [3]uint64{1, 5, 0} {
			t.Errorf("at its begin %v, at its end %v", before, got)
		}
	})
}

func TestAHijackedProbeSucceedsAtTheHijack(t *testing.T) {
	leaktest.Check(t)
	b := halfOpen(t)
	var conn net.Conn
	s := httptest.NewServer(b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		if conn, _, err = http.NewResponseController(w).Hijack(); err != nil {
			t.Error(err)
			return
		}
		expect(t, b, breaker.Closed)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	})))
	defer s.Close()
	client, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if line, err := bufio.NewReader(client).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Errorf("%q, %v", line, err)
	}
	conn.Close()
	counted(t, b, [3]uint64{1, 5, 0})
}

// The stack of a handler's panic, and whatever the server does about it, stays
// as it is.
func TestPanicsReachTheServerAndCount(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		b := made(t)
		s := serve(b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the handler's own") })))
		for range 5 {
			r, _ := http.NewRequest("POST", s.URL, strings.NewReader("body")) // which no client repeats
			if resp, err := s.Client().Do(r); err == nil {
				t.Errorf("status %d", resp.StatusCode)
				resp.Body.Close()
			}
		}
		counted(t, b, [3]uint64{0, 5, 0})
		if status, text, err := get(s); status != 503 || err != nil || !strings.Contains(text, breaker.Code) {
			t.Errorf("%d %q %v", status, text, err)
		}
	})
}

func TestATimeoutOnEitherSideIsAFailure(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		hangs := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		soon := timeout.Middleware(timeout.Basic(5 * time.Millisecond))
		for name, chain := range map[string]func(*breaker.Breaker) http.Handler{
			"inside":  func(b *breaker.Breaker) http.Handler { return b.Wrap(soon(hangs)) },
			"outside": func(b *breaker.Breaker) http.Handler { return soon(b.Wrap(hangs)) },
		} {
			b := made(t, breaker.WithConsecutiveFailures(1))
			s := serve(chain(b))
			if status, text, err := get(s); status != 503 || err != nil || !strings.Contains(text, timeout.Code) {
				t.Errorf("%s: %d %q %v", name, status, text, err)
			}
			counted(t, b, [3]uint64{0, 1, 0})
			if status, text, err := get(s); status != 503 || err != nil || !strings.Contains(text, breaker.Code) {
				t.Errorf("%s: %d %q %v", name, status, text, err)
			}
		}
	})
}

// Over HTTP/1.1 the answer comes while the handler runs, and its client, whose
// connection that ends, is gone before the handler is done.
func TestATimeoutIsAFailureThoughItsClientIsGoneWhenTheHandlerIsDone(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		for name, begins := range map[string]bool{"answered": false, "cut short": true} {
			b := made(t, breaker.WithConsecutiveFailures(1))
			client := make(chan context.Context, 1)
			chain := b.Wrap(timeout.Middleware(timeout.Basic(5 * time.Millisecond))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begins {
					io.WriteString(w, "half of")
					http.NewResponseController(w).Flush()
				}
				<-(<-client).Done()
			})))
			s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				client <- r.Context()
				chain.ServeHTTP(w, r)
			}))
			if status, text, err := get(s); begins != (err != nil) || !begins && (status != 503 || !strings.Contains(text, timeout.Code)) {
				t.Errorf("%s: %d %q %v", name, status, text, err)
			}
			counted(t, b, [3]uint64{0, 1, 0})
		}
	})
}

// What another policy inside refuses says nothing about what is behind it.
func TestARefusalOfAShedderInsideIsNoFailure(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		b := made(t, breaker.WithConsecutiveFailures(1))
		sampler, err := load.New()
		if err != nil {
			t.Fatal(err)
		}
		defer sampler.Close()
		full := shed.Middleware(shed.WithSampler(sampler), shed.Using(func(shed.Snapshot, *http.Request) bool { return true }))
		s := serve(b.Wrap(full(noop)))
		for range 20 {
			if status, text, err := get(s); status != 503 || err != nil || !strings.Contains(text, shed.Code) {
				t.Errorf("%d %q %v", status, text, err)
			}
		}
		counted(t, b, [3]uint64{0, 0, 20})
	})
}

// What a client sends is not read, and it has its answer at once.
func TestAnUploadIsRefusedWithoutWaitingForIt(t *testing.T) {
	overBoth(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		b := made(t, breaker.WithMode(breaker.ForcedOpen))
		s := serve(b.Wrap(noop))
		body, hold := io.Pipe()
		r, _ := http.NewRequest("POST", s.URL, body)
		resp, err := s.Client().Do(r)
		hold.CloseWithError(errors.New("enough"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	})
}
