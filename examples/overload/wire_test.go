package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnswerIsReadToItsEnd(t *testing.T) {
	cases := []struct {
		name, text string
		status     int
		keep       bool
		ok         bool
	}{
		{"length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, true, true},
		{"empty", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503, true, true},
		{"close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", 200, false, true},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", 200, true, true},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nwhatever", 200, false, true},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, true, true},
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, true, true},
		{"cut short", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 0, false, false},
		{"chunk cut short", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", 0, false, false},
		{"nothing", "", 0, false, false},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, false, false},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, false, false},
		{"header without colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", 0, false, false},
		{"endless line", "HTTP/1.1 200 " + strings.Repeat("x", 1<<16), 0, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			const next = "HTTP/1.1 next"
			text := c.text
			if c.keep {
				text += next
			}
			in := bufio.NewReaderSize(strings.NewReader(text), 4096)
			status, keep, err := readAnswer(in)
			if (err == nil) != c.ok || err == nil && (status != c.status || keep != c.keep) {
				t.Fatalf("status %d, keep %v, %v", status, keep, err)
			}
			if rest, _ := io.ReadAll(in); c.keep && string(rest) != next {
				t.Errorf("%q is left of the next answer", rest)
			}
		})
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, _, err := readAnswer(bufio.NewReaderSize(bytes.NewReader(text), 4096))
		if err != nil {
			return
		}
		if status < 100 || status > 999 {
			t.Fatalf("status %d", status)
		}
		in := bufio.NewReader(bytes.NewReader(text))
		for {
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return // net/http is stricter
			}
			if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
				if res.StatusCode != status {
					t.Fatalf("status %d, net/http reads %d", status, res.StatusCode)
				}
				return
			}
		}
	})
}

func TestWireSendsEveryKindOverOneConnection(t *testing.T) {
	var conns atomic.Int64
	var seen []kind
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k := range allKinds {
			if r.Header.Get(priorityHeader) == k.className() && r.Header.Get(tenantHeader) == k.tenantName() {
				seen = append(seen, k)
			}
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	w := &wire{ctx: t.Context(), addr: srv.Listener.Addr().String(), requests: rendered("example.org")}
	defer w.close()
	for k := range allKinds {
		if status, err := w.do(k, time.Now().Add(time.Minute)); status != 200 || err != nil {
			t.Fatal(status, err)
		}
	}
	if want := slices.Collect(allKinds); !slices.Equal(seen, want) || conns.Load() != 1 {
		t.Errorf("seen %v over %d connections", seen, conns.Load())
	}
}

func TestWireTriesAgainWhenTheServerHasClosedAKeptConnection(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	w := &wire{ctx: t.Context(), addr: srv.Listener.Addr().String(), requests: rendered("example.org")}
	defer w.close()
	for range 3 {
		if status, err := w.do(0, time.Now().Add(time.Minute)); status != 200 || err != nil {
			t.Fatal(status, err)
		}
		srv.CloseClientConnections()
	}
}

func TestWireGivesUpAtTheDeadlineAndTheServerSeesIt(t *testing.T) {
	left := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	}))
	defer srv.Close()
	w := &wire{ctx: t.Context(), addr: srv.Listener.Addr().String(), requests: rendered("example.org")}
	_, err := w.do(0, time.Now().Add(20*time.Millisecond))
	if !isTimeout(err) {
		t.Errorf("error %v", err)
	}
	if w.conn != nil {
		t.Error("the connection is kept")
	}
	<-left
}

func TestBothClientsBreakOffWhenTheRunIsOver(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		arrived := make(chan struct{})
		srv, addr, err := listen(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		}), http2)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		connect, done := (&trial{settings: &settings{http2: http2}}).connector(addr)
		defer done()
		go func() {
			<-arrived
			cancel()
		}()
		c := connect(ctx)
		if _, err := c.do(0, time.Now().Add(time.Hour)); err == nil {
			t.Error("an answer")
		}
		c.close()
	}
}

// BenchmarkClient is what one request costs client and server together, in
// one process; the client's own share is in the report of every run.
func BenchmarkClient(b *testing.B) {
	for _, http2 := range []bool{false, true} {
		name := "http1"
		if http2 {
			name = "http2"
		}
		b.Run(name, func(b *testing.B) {
			srv, addr, err := listen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }), http2)
			if err != nil {
				b.Fatal(err)
			}
			defer srv.Close()
			connect, done := (&trial{settings: &settings{http2: http2}}).connector(addr)
			defer done()
			c := connect(b.Context())
			defer c.close()
			b.ReportAllocs()
			for b.Loop() {
				if status, err := c.do(0, time.Now().Add(time.Minute)); status != 200 || err != nil {
					b.Fatal(status, err)
				}
			}
		})
	}
}
