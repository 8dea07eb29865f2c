package timeout_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/timeout"
)

// What is on the wire of HTTP/1.1, byte by byte: one answer, at its place, and
// nothing behind it.

// hangUntil serves "/hang" until over is closed, "/heed" until its context is
// done, and anything else at once.
func hangUntil(over <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			<-over
			io.WriteString(w, strings.Repeat("late", 5000))
			http.NewResponseController(w).Flush()
		case "/heed":
			<-r.Context().Done()
		default:
			io.WriteString(w, "next")
		}
	}
}

// transcript is all that comes on a connection, until the server ends it or an
// hour has passed.
func transcript(conn net.Conn) string {
	var all bytes.Buffer
	conn.SetReadDeadline(time.Now().Add(time.Hour))
	io.Copy(&all, conn)
	return all.String()
}

func TestOneAnswerIsOnTheWireAndNothingBehindIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string
		method  string
		// responses are what comes, in order.
		responses []string
	}{
		"the handler hangs": {
			"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n", "GET", []string{"late"},
		},
		"the handler hangs, HEAD": {
			"HEAD /hang HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD", []string{"late"},
		},
		"the handler hangs, HTTP/1.0": {
			"GET /hang HTTP/1.0\r\n\r\n", "GET", []string{"late"},
		},
		"the handler hangs, HTTP/1.0 with keep-alive": {
			"GET /hang HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET", []string{"late"},
		},
		"the handler hangs, with a body": {
			"POST /hang HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", "POST", []string{"late"},
		},
		"the handler heeds, HTTP/1.0": {
			"GET /heed HTTP/1.0\r\n\r\n", "GET", []string{"late"},
		},
		"the handler heeds, closing": {
			"GET /heed HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET", []string{"late"},
		},
		"the handler heeds, and one more": {
			"GET /heed HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET", []string{"late", "next"},
		},
		"the handler heeds twice": {
			"GET /heed HTTP/1.1\r\nHost: test\r\n\r\nGET /heed HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET", []string{"late", "late", "next"},
		},
		"the handler heeds, a short body, and one more": {
			"POST /heed HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET", []string{"late", "next"},
		},
		"one more before it": {
			"GET / HTTP/1.1\r\nHost: test\r\n\r\nGET /hang HTTP/1.1\r\nHost: test\r\n\r\n", "GET", []string{"next", "late"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
				over := make(chan struct{})
				to := made(t, timeout.Basic(time.Second))
				n := connect(t, l, to.Wrap(hangUntil(over)))
				conn, err := n.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go io.WriteString(conn, c.request)
				release := sync.OnceFunc(func() { close(over) })
				defer release()
				defer time.AfterFunc(time.Minute, release).Stop()
				raw := transcript(conn)
				in := bufio.NewReader(strings.NewReader(raw))
				for i, want := range c.responses {
					re := new(reply)
					request := &http.Request{Method: c.method}
					resp, err := http.ReadResponse(in, request)
					if err != nil {
						t.Fatalf("response %d: %v; on the wire is %.1000q", i, err, raw)
					}
					re.take(resp)
					if want == "next" {
						if re.StatusCode != 200 || re.body != "next" || re.cut != nil {
							t.Errorf("response %d is %v; on the wire is %.1000q", i, re, raw)
						}
						continue
					}
					for _, f := range faults(re, 503, "deadline", "") {
						t.Errorf("response %d: %s; on the wire is %.1000q", i, f, raw)
					}
				}
				// A pipelined request behind a handler that hangs is not
				// answered: the connection ends.
				if rest, _ := io.ReadAll(in); len(rest) > 0 {
					t.Errorf("behind the last response is %.1000q", rest)
				}
				if strings.Count(raw, "HTTP/1.") != len(c.responses) {
					t.Errorf("on the wire is %.1000q", raw)
				}
			})
		})
	}
}

// A request that came behind one whose handler hangs may be lost with the
// connection, but it is never answered in its place, nor twice.
func TestARequestBehindOneThatHangsIsNotMixedUpWithIt(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		over := make(chan struct{})
		n := connect(t, l, timeout.Middleware(timeout.Basic(time.Second))(hangUntil(over)))
		conn, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go io.WriteString(conn, "GET /hang HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
		release := sync.OnceFunc(func() { close(over) })
		defer release()
		defer time.AfterFunc(time.Minute, release).Stop()
		raw := transcript(conn)
		in := bufio.NewReader(strings.NewReader(raw))
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		re := new(reply)
		re.take(resp)
		for _, f := range faults(re, 503, "deadline", "") {
			t.Error(f)
		}
		rest, _ := io.ReadAll(in)
		if len(rest) > 0 && (!strings.HasPrefix(string(rest), "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(string(rest), "\r\n\r\nnext")) {
			t.Errorf("behind the answer is %.1000q", rest)
		}
	})
}

// The answer is whole at the deadline, not when the handler ends: also where
// the client reads to the end of the connection, as one of HTTP/1.0 without
// lengths does.
func TestTheAnswerNeedsNoEndOfTheConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		over := make(chan struct{})
		defer close(over)
		n := connect(t, l, timeout.Middleware(timeout.Basic(time.Second))(hangUntil(over)))
		for _, request := range []string{
			"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n",
			"GET /hang HTTP/1.0\r\n\r\n",
			"GET /hang HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
			"POST /hang HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
		} {
			conn, err := n.dial()
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			go io.WriteString(conn, request)
			conn.SetReadDeadline(start.Add(time.Hour))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%q: %v", request, err)
			}
			re := new(reply)
			re.take(resp)
			for _, f := range faults(re, 503, "deadline", "") {
				t.Errorf("%q: %s", request, f)
			}
			if took := time.Since(start); took > time.Second+soon {
				t.Errorf("%q: answered after %v", request, took)
			}
			conn.Close()
		}
	})
}

// A client that does not even read the answer holds nothing for long.
func TestAClientThatDoesNotReadTheAnswerHoldsNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second))
		returned := make(chan struct{})
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(returned)
			// No earlier than the answer is given up: whoever waits for that
			// waits for a mutex, which stops the time of a bubble.
			time.Sleep(30 * time.Second)
		})))
		conn, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		select {
		case <-returned:
		case <-time.After(time.Minute):
			t.Error("the handler does not return")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := to.Stats(); st.Overdue != 0 || st.Timeouts != 1 {
			t.Errorf("%+v", st)
		}
		// The server has given the connection up.
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("the connection is still there: %v", err)
		}
	})
}

// Over TLS the connection has a layer more, which has to be ended as well.
func TestAStreamOverTLSIsCut(t *testing.T) {
	leaktest.Check(t)
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		t.Run(version, func(t *testing.T) {
			over := make(chan struct{})
			to := made(t, timeout.Basic(200*time.Millisecond))
			var n net.Listener
			if n, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "the beginning")
				http.NewResponseController(w).Flush()
				<-over
			}))}
			served := make(chan struct{})
			go func() {
				defer close(served)
				srv.Serve(tls.NewListener(n, &tls.Config{Certificates: []tls.Certificate{cert}}))
			}()
			defer func() {
				close(over)
				srv.Close()
				<-served
			}()
			conn, err := tls.Dial("tcp", n.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, "GET / "+version+"\r\nHost: test\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			re := new(reply)
			re.take(resp)
			if re.StatusCode == 503 {
				t.Skip("the machine was too slow to begin in time")
			}
			if re.cut == nil || re.body != "the beginning" {
				t.Errorf("the client has %v", re)
			}
		})
	}
}
