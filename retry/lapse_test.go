package retry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/retry"
)

// Leftover flushes a held 503 while the next attempt is being decided on.
func TestALeftoverCannotCommitAnAttemptThatIsBeingJudged(t *testing.T) {
	deciding, flushed := make(chan int), make(chan int)
	var n atomic.Int32
	p := made(t, retry.WithoutBudget(), retry.WithJitter(retry.NoJitter), retry.WithDelay(func(int) time.Duration {
		close(deciding)
		select {
		case <-flushed:
		case <-time.After(time.Second):
		}
		return 0
	}))
	s := httptest.NewServer(p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Failed", "yes")
			w.WriteHeader(503)
			io.WriteString(w, "bad")
			go func() { <-deciding; w.(http.Flusher).Flush(); close(flushed) }()
			return
		}
		io.WriteString(w, "good")
	})))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || string(b) != "good" {
		t.Errorf("%d %q %v", resp.StatusCode, b, resp.Header)
	}
}

// A panicking classifier and a handler that recovers.
func TestAClassifierThatPanicsLeavesTheWriterUsable(t *testing.T) {
	p := made(t, eager(retry.WithClassifier(func(retry.Result) retry.Verdict { panic("oops") }))...)
	done := make(chan int)
	go func() {
		defer close(done)
		defer func() { recover() }()
		w := httptest.NewRecorder()
		p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			func() {
				defer func() { recover() }()
				w.WriteHeader(200)
			}()
			io.WriteString(w, "hello")
		})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		t.Fatal("spins for ever")
	}
}

// 204 held by a classifier takes a body.
func TestAHeldResponseWithoutABodyTakesNone(t *testing.T) {
	p := made(t, eager(retry.WithClassifier(func(r retry.Result) retry.Verdict {
		if r.Status == 204 {
			return retry.Repeat
		}
		return retry.ByDefault
	}))...)
	n := 0
	p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		if n > 1 {
			return
		}
		w.WriteHeader(204)
		if _, err := w.Write([]byte("x")); err != http.ErrBodyNotAllowed {
			t.Errorf("Write on 204: %v", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

type rt func(*http.Request) (*http.Response, error)

func (f rt) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Nil Body, which http.Client tolerates.
func TestAResponseWithoutABodyIsOne(t *testing.T) {
	for _, status := range []int{200, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("panic %v", v)
				}
			}()
			c := &http.Client{Transport: made(t, eager()...).Transport(rt(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Request: r, Header: http.Header{}}, nil
			}))}
			resp, err := c.Get("http://x/")
			if err != nil {
				t.Fatal(err)
			}
			io.ReadAll(resp.Body)
			resp.Body.Close()
		})
	}
}

// The server closes an idle connection just when a PUT takes it.
func TestAConnectionThatWasClosedWhileIdleIsTriedAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	base := &http.Transport{}
	p := made(t, eager()...)
	c := &http.Client{Transport: p.Transport(base)}
	put := func(ctx context.Context) error {
		r, _ := http.NewRequestWithContext(ctx, "PUT", s.URL, strings.NewReader("x"))
		resp, err := c.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := put(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if i.Reused {
			s.CloseClientConnections()
			time.Sleep(100 * time.Millisecond)
		}
	}})
	if err := put(ctx); err != nil {
		t.Errorf("not repeated: %v (%+v)", err, p.Stats().GaveUp)
	}
	// what the bare transport says
	bare := &http.Client{Transport: base}
	r, _ := http.NewRequestWithContext(ctx, "PUT", s.URL, strings.NewReader("x"))
	resp, err := bare.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	t.Log("bare:", err)
}

// Half-close of a 101 connection.
func TestASwitchedConnectionCanBeHalfClosed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		rw.Flush()
		b, _ := io.ReadAll(rw)
		c.Write(b)
	}))
	defer s.Close()
	for _, base := range []http.RoundTripper{http.DefaultTransport, made(t, eager()...).Transport(nil)} {
		u, _ := url.Parse(s.URL)
		r := &http.Request{Method: "GET", URL: u, Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"x"}}}
		resp, err := base.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := resp.Body.(interface{ CloseWrite() error }); !ok {
			t.Errorf("%T cannot be half-closed", resp.Body)
		}
		resp.Body.Close()
	}
}

// Header names that no request can have.
func TestHeaderNamesAreTokens(t *testing.T) {
	for _, name := range []string{"bad name", "x\r\ny", "a:b"} {
		if _, err := retry.New(retry.WithAttemptHeader(name)); err == nil {
			t.Errorf("WithAttemptHeader(%q) accepted", name)
		}
		if _, err := retry.New(retry.WithIdempotencyKey(name)); err == nil {
			t.Errorf("WithIdempotencyKey(%q) accepted", name)
		}
	}
}

// Form and path values parsed outside.
func TestAFormThatWasReadOutsideIsFreshForEachAttempt(t *testing.T) {
	p := made(t, eager()...)
	n := 0
	h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			r.Form.Set("a", "changed")
			w.WriteHeader(503)
			return
		}
		if r.Form.Get("a") != "1" || r.PathValue("id") != "7" {
			t.Errorf("attempt 2: form %q, path %q", r.Form.Get("a"), r.PathValue("id"))
		}
	}))
	mux := http.NewServeMux()
	mux.HandleFunc("/{id}", func(w http.ResponseWriter, r *http.Request) { r.ParseForm(); h.ServeHTTP(w, r) })
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/7?a=1", nil))
}

// Full duplex, then nothing within the attempt's time.
func TestAnAttemptInFullDuplexIsNotRepeated(t *testing.T) {
	var n atomic.Int32
	p := made(t, eager(retry.WithAttemptTimeout(30*time.Millisecond))...)
	s := httptest.NewServer(p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n.Load() != 1 {
		t.Errorf("%d attempts, %d", n.Load(), resp.StatusCode)
	}
}

type rejectedErr struct{}

func (rejectedErr) Rejection() handrail.Rejection { return handrail.Rejection{} }

func TestARefusalOfAnInnerPolicyIsNotSentAgain(t *testing.T) {
	n := 0
	p := made(t, eager()...)
	r, _ := http.NewRequest("GET", "http://x/", nil)
	p.Transport(rt(func(*http.Request) (*http.Response, error) { n++; return nil, rejectedErr{} })).RoundTrip(r)
	if n != 1 || p.Stats().GaveUp[retry.ReasonRejected] != 1 {
		t.Errorf("%d tries, %v", n, p.Stats().GaveUp)
	}
}

func (rejectedErr) Error() string   { return "rejected" }
func (rejectedErr) Timeout() bool   { return true }
func (rejectedErr) Temporary() bool { return true }
