package httpwrap_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/internal/httptorture"
	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/internal/leaktest"
)

func wrapped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw, rec, owner := httpwrap.Wrap(w)
		if owner {
			defer rec.Release()
		}
		next.ServeHTTP(rw, r)
	})
}

func TestMiddlewareThatOnlyWrapsChangesNothing(t *testing.T) {
	httptorture.Run(t, wrapped)
}

// TestRecorderKnowsWhatTheClientGets serves over both protocols and compares.
func TestRecorderKnowsWhatTheClientGets(t *testing.T) {
	leaktest.Check(t)
	file := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789", 20_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(w http.ResponseWriter, n int) { io.WriteString(w, strings.Repeat("x", n)) }
	handlers := map[string]http.HandlerFunc{
		"status":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such thing", 404) },
		"implicit":   func(w http.ResponseWriter, r *http.Request) { write(w, 10) },
		"large":      func(w http.ResponseWriter, r *http.Request) { write(w, 100_000) },
		"flush":      func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); write(w, 5) },
		"hints":      func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(418); write(w, 3) },
		"superseded": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); w.WriteHeader(500); write(w, 3) },
		"no content": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); write(w, 3) },
		"too long": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			write(w, 3)
			w.(http.Flusher).Flush()
			write(w, 3)
		},
		"file": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
		"copied file": func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			io.Copy(w, f)
		},
	}
	type fact struct {
		status int
		bytes  int64
	}
	facts := make(chan fact, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		rw, rec, _ := httpwrap.Wrap(w)
		defer func() {
			facts <- fact{rec.Status(), rec.Bytes()}
			rec.Release()
		}()
		handlers[r.Header.Get("X-Handler")](rw, r)
	}, func(t *testing.T, srv *httptest.Server) {
		for name := range handlers {
			r, _ := http.NewRequest("GET", srv.URL, nil)
			r.Header.Set("X-Handler", name)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := <-facts; got.status != resp.StatusCode || got.bytes != int64(len(body)) {
				t.Errorf("%s: recorded %d with %d bytes, the client got %d with %d", name, got.status, got.bytes, resp.StatusCode, len(body))
			}
		}
	})
}

func TestBodyOfHEADIsCountedAlthoughItIsNotSent(t *testing.T) {
	bytes := make(chan int64, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		rw, rec, _ := httpwrap.Wrap(w)
		defer rec.Release()
		io.WriteString(rw, "hello")
		bytes <- rec.Bytes()
	}, func(t *testing.T, srv *httptest.Server) {
		resp, err := srv.Client().Head(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := <-bytes; got != 5 || resp.ContentLength != 5 {
			t.Errorf("recorded %d bytes, announced %d, want 5", got, resp.ContentLength)
		}
	})
}

func TestPanicAfterHalfABodyLeavesTheFacts(t *testing.T) {
	facts := make(chan string, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		rw, rec, _ := httpwrap.Wrap(w)
		defer rec.Release()
		defer func() { facts <- fmt.Sprint(rec.Status(), rec.Bytes(), rec.Committed()) }()
		rw.WriteHeader(202)
		io.WriteString(rw, "half")
		panic(http.ErrAbortHandler)
	}, func(t *testing.T, srv *httptest.Server) {
		if resp, err := srv.Client().Get(srv.URL); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if got := <-facts; got != "202 4 true" {
			t.Errorf("recorded %s", got)
		}
	})
}

// TestHandlerThatOutlivesItsCallReachesNobodyElse does what a timeout does
// wrong: it returns while the handler still writes.
func TestHandlerThatOutlivesItsCallReachesNobodyElse(t *testing.T) {
	leaktest.Check(t)
	late := make(chan http.ResponseWriter, 1)
	both(t, func(w http.ResponseWriter, r *http.Request) {
		rw, rec, _ := httpwrap.Wrap(w)
		defer rec.Release()
		if r.URL.Path == "/late" {
			rec.Retain()
			late <- rw
			return
		}
		io.WriteString(rw, "mine")
	}, func(t *testing.T, srv *httptest.Server) {
		if resp, err := srv.Client().Get(srv.URL + "/late"); err != nil {
			t.Fatal(err)
		} else {
			resp.Body.Close()
		}
		held := <-late
		for range 20 {
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := held.Write([]byte("not yours")); !errors.Is(err, httpwrap.ErrReleased) {
				t.Errorf("late Write: %v", err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != "mine" {
				t.Fatalf("the client got %q", body)
			}
		}
	})
}

func TestHijackedConnectionIsRecordedAsLongLived(t *testing.T) {
	facts := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw, rec, _ := httpwrap.Wrap(w)
		defer rec.Release()
		conn, _, err := http.NewResponseController(rw).Hijack()
		facts <- fmt.Sprint(err, rec.Status(), rec.Hijacked(), rec.LongLived(), rec.Bytes())
		if err == nil {
			conn.Close()
		}
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	if got := <-facts; got != "<nil> 101 true true 0" {
		t.Errorf("recorded %s", got)
	}
	if _, err := bufio.NewReader(conn).ReadByte(); err != io.EOF {
		t.Errorf("something was written on the hijacked connection: %v", err)
	}
}

// both serves h over HTTP/1.1 and over HTTP/2.
func both(t *testing.T, h http.HandlerFunc, try func(*testing.T, *httptest.Server)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != proto {
					t.Errorf("served over %s", r.Proto)
				}
				h(w, r)
			}))
			srv.EnableHTTP2 = proto == "HTTP/2.0"
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.StartTLS()
			defer srv.Close()
			try(t, srv)
		})
	}
}
