package observe_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/observe"
)

var errBoom = errors.New("boom")

func TestEveryWayOutIsRecorded(t *testing.T) {
	for _, tt := range []struct {
		name      string
		handler   func(http.ResponseWriter, *http.Request)
		status    int
		bytes     int64
		outcome   string
		errorType string
		panicked  any
	}{
		{"nothing said", func(http.ResponseWriter, *http.Request) {}, 200, 0, "", "", nil},
		{"written", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, 200, 5, "", "", nil},
		{"created", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }, 201, 0, "", "", nil},
		{"informed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) }, 204, 0, "", "", nil},
		{"not found", http.NotFound, 404, 19, "", "", nil},
		{"failed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 503, 0, "", "503", nil},
		{"odd", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) }, 799, 0, "", "600+", nil},
		{"panic", func(http.ResponseWriter, *http.Request) { panic(errBoom) }, 0, 0, "panic", "panic", errBoom},
		{"panic within", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic(errBoom)
		}, 200, 4, "panic", "panic", errBoom},
		{"abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0, "aborted", "aborted", nil},
		{"goexit", func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, 0, 0, "aborted", "aborted", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := newSeen()
			o := observer(t, observe.WithSink(sink), observe.WithName("edge"))
			mux := http.NewServeMux()
			mux.HandleFunc("GET /things/{id}", tt.handler)
			both(t, o.Wrap(mux), func(t *testing.T, srv *httptest.Server) {
				get(t, srv, "/things/7?q=1")
				x := sink.one(t)
				if x.Status != tt.status || x.ResponseBytes != tt.bytes || x.Cause.Outcome != tt.outcome || x.ErrorType != tt.errorType {
					t.Errorf("observed %d, %d bytes, %q, %q", x.Status, x.ResponseBytes, x.Cause.Outcome, x.ErrorType)
				}
				if x.Panic != tt.panicked || (tt.panicked != nil) != strings.Contains(string(x.Stack), "exchange_test.go") || len(x.Stack) > 16<<10 {
					t.Errorf("observed a panic with %v at\n%s", x.Panic, x.Stack)
				}
				if x.Method != "GET" || x.Scheme != "https" || x.Route != "/things/{id}" || x.RequestBytes != 0 ||
					x.Duration <= 0 || time.Since(x.Began) > time.Minute || x.LongLived || x.Request.URL.Path != "/things/7" {
					t.Errorf("observed %+v", x)
				}
			})
			s := settled(t, o)
			name := tt.outcome
			if name == "" {
				name = "answered"
			}
			if s.Requests != 2 || s.Outcomes[name] != 2 || s.InFlight != 0 || s.LongLived != 0 || s.Routes != 1 || s.Name != "edge" {
				t.Errorf("statistics are %+v", s)
			}
		})
	}
}

// The server's log is what people look into after a panic.
func TestAPanicGoesOnWithItsValueAndItsStack(t *testing.T) {
	for _, opts := range [][]observe.Option{nil, {observe.WithRequestIDs()}} {
		h := observe.Middleware(opts...)(handle(func(http.ResponseWriter, *http.Request) { blowUp() }))
		func() {
			defer func() {
				if v := recover(); v != errBoom {
					t.Errorf("panicked with %v", v)
				}
				buf := make([]byte, 1<<14)
				if stack := string(buf[:runtime.Stack(buf, false)]); !strings.Contains(stack, "blowUp") {
					t.Errorf("the stack does not show where:\n%s", stack)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), request())
		}()
	}
}

//go:noinline
func blowUp() { panic(errBoom) }

func TestAClientThatLeavesIsNoFailure(t *testing.T) {
	sink := newSeen()
	in := make(chan struct{})
	h := handle(func(w http.ResponseWriter, r *http.Request) {
		in <- struct{}{}
		<-r.Context().Done()
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
	})
	both(t, observer(t, observe.WithSink(sink)).Wrap(h), func(t *testing.T, srv *httptest.Server) {
		for _, path := range []string{"/return", "/abort"} {
			ctx, cancel := context.WithCancel(context.Background())
			go func() { <-in; cancel() }()
			req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
			if resp, err := srv.Client().Do(req); err == nil {
				resp.Body.Close()
			}
			if x := sink.one(t); x.Cause != (observe.Cause{Outcome: "canceled"}) || x.Status != 0 || x.ErrorType != "canceled" || x.Panic != nil {
				t.Errorf("%s: observed %+v", path, x)
			}
		}
	})
}

func TestAClientThatLeavesWhileItIsAnsweredIsSeenByTheFailedWrite(t *testing.T) {
	sink := newSeen()
	in := make(chan struct{})
	h := handle(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(202)
		http.NewResponseController(w).Flush()
		in <- struct{}{}
		<-r.Context().Done()
		for range 10_000 {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	both(t, observer(t, observe.WithSink(sink)).Wrap(h), func(t *testing.T, srv *httptest.Server) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-in; cancel() }()
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		if resp, err := srv.Client().Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if x := sink.one(t); x.Cause.Outcome != "canceled" || x.Status != 202 {
			t.Errorf("observed %d and %+v", x.Status, x.Cause)
		}
	})
}

func TestAnOrdinaryEndOfAStreamIsNoCancellation(t *testing.T) {
	sink := newSeen()
	in := make(chan struct{}, 1)
	h := handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		in <- struct{}{}
		<-r.Context().Done()
	})
	o := observer(t, observe.WithSink(sink))
	both(t, o.Wrap(h), func(t *testing.T, srv *httptest.Server) {
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		<-in
		if s := o.Stats(); s.InFlight != 0 || s.LongLived != 1 {
			t.Errorf("while it lasts, statistics are %+v", s)
		}
		cancel()
		resp.Body.Close()
		if x := sink.one(t); x.Cause.Outcome != "" || x.Status != 200 || !x.LongLived {
			t.Errorf("observed %d and %+v", x.Status, x.Cause)
		}
	})
	if s := settled(t, o); s.InFlight != 0 || s.LongLived != 0 {
		t.Errorf("afterwards, statistics are %+v", s)
	}
}

func TestATakenOverConnectionIsLongLived(t *testing.T) {
	follower := &following{seen: newSeen()}
	o := observer(t, observe.WithSink(follower))
	srv := httptest.NewServer(o.Wrap(handle(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if s := o.Stats(); s.InFlight != 0 || s.LongLived != 1 {
			t.Errorf("while it lasts, statistics are %+v", s)
		}
		conn.Close()
	})))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	bufio.NewReader(conn).ReadByte()
	if x := follower.seen.one(t); x.Status != 101 || !x.LongLived || x.Cause.Outcome != "" {
		t.Errorf("observed %+v", x)
	}
	if follower.told != 1 || follower.untimely {
		t.Errorf("the follower was told %d times, untimely: %t", follower.told, follower.untimely)
	}
	if s := settled(t, o); s.LongLived != 0 || s.InFlight != 0 {
		t.Errorf("statistics are %+v", s)
	}
}

// following is told when an exchange turns out to be long-lived.
type following struct {
	*seen
	told     int
	untimely bool
}

func (f *following) Start(x *observe.Exchange) { f.untimely = f.told != 0 }
func (f *following) LongLived(x *observe.Exchange) {
	f.told++
	f.untimely = f.untimely || !x.LongLived || len(f.ready) > 0
}

func TestAnExchangeIsRecordedOncePerObserver(t *testing.T) {
	one, two := newSeen(), newSeen()
	o, p := observer(t, observe.WithSink(one)), observer(t, observe.WithSink(two), observe.WithRequestIDs())
	inner := http.NewServeMux()
	inner.Handle("GET /a/{b}", o.Wrap(p.Wrap(o.Wrap(noop))))
	foreign := func(next http.Handler) http.Handler {
		return handle(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ unwrapping }{unwrapping{w}}, r)
		})
	}
	both(t, o.Wrap(p.Wrap(foreign(p.Wrap(inner)))), func(t *testing.T, srv *httptest.Server) {
		get(t, srv, "/a/b")
		if x, y := one.one(t), two.one(t); x.Route != "/a/{b}" || y.Route != "/a/{b}" {
			t.Errorf("the routes are %q and %q", x.Route, y.Route)
		}
	})
}

// unwrapping is a foreign wrapper.
type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestBodiesOfUnknownLengthAreCountedByOption(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []observe.Option
		body func() io.Reader
		want int64
	}{
		"none":              {nil, func() io.Reader { return nil }, 0},
		"declared":          {nil, func() io.Reader { return strings.NewReader("hello") }, 5},
		"undeclared":        {nil, func() io.Reader { return io.MultiReader(strings.NewReader("hello")) }, -1},
		"none, option":      {[]observe.Option{observe.WithBodyCount()}, func() io.Reader { return nil }, 0},
		"undeclared, count": {[]observe.Option{observe.WithBodyCount()}, func() io.Reader { return io.MultiReader(strings.NewReader("hello")) }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			sink := newSeen()
			h := handle(func(w http.ResponseWriter, r *http.Request) {
				if name == "none, option" && strings.Contains(fmt.Sprintf("%T", r.Body), "observe") {
					t.Error("a request without a body has another one")
				}
				io.Copy(io.Discard, r.Body)
			})
			both(t, observer(t, append(tt.opts, observe.WithSink(sink))...).Wrap(h), func(t *testing.T, srv *httptest.Server) {
				resp, err := srv.Client().Post(srv.URL, "text/plain", tt.body())
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if x := sink.one(t); x.RequestBytes != tt.want {
					t.Errorf("the body has %d bytes, want %d", x.RequestBytes, tt.want)
				}
			})
		})
	}
}

func TestAStreamWhoseClientLeavesWhileItIsWrittenEndsAsItShould(t *testing.T) {
	sink := newSeen()
	in := make(chan struct{})
	h := handle(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		in <- struct{}{}
		<-r.Context().Done()
		for range 10_000 {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				if r.URL.Path == "/abort" {
					panic(http.ErrAbortHandler)
				}
				return
			}
		}
	})
	both(t, observer(t, observe.WithSink(sink)).Wrap(h), func(t *testing.T, srv *httptest.Server) {
		for _, path := range []string{"/return", "/abort"} {
			ctx, cancel := context.WithCancel(context.Background())
			go func() { <-in; cancel() }()
			req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
			if resp, err := srv.Client().Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if x := sink.one(t); x.Cause.Outcome != "" || x.Status != 200 || !x.LongLived {
				t.Errorf("%s: observed %d and %+v", path, x.Status, x.Cause)
			}
		}
	})
}

func TestAHandlerThatGivesUpBecauseTheClientLeftIsNoAbort(t *testing.T) {
	sink := newSeen()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	func() {
		defer func() { recover() }()
		observe.Middleware(observe.WithSink(sink))(handle(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			panic(http.ErrAbortHandler)
		})).ServeHTTP(httptest.NewRecorder(), request().WithContext(gone))
	}()
	if x := sink.one(t); x.Cause.Outcome != "canceled" || x.Status != 200 {
		t.Errorf("observed %d and %+v", x.Status, x.Cause)
	}
}

func TestNoBodyStaysNone(t *testing.T) {
	r := request()
	r.Body, r.ContentLength = http.NoBody, -1
	observe.Middleware(observe.WithBodyCount())(handle(func(_ http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			t.Errorf("the body has become a %T", r.Body)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}
