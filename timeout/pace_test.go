package timeout_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// lanesHTTP1 are those whose connection belongs to one request at a time.
var lanesHTTP1 = []lane{plainHTTP1, sharedHTTP1, foreignHTTP1}

// The timeout for reading ends the reading of a body, and nothing else.
func TestTheReadTimeoutIsForBodiesOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Minute), timeout.WithReadTimeout(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/read" {
				io.Copy(io.Discard, r.Body)
			}
			time.Sleep(10 * time.Second)
			if err := r.Context().Err(); err != nil {
				t.Errorf("%s %s: the context has %v", r.Method, r.URL.Path, err)
			}
			if r.URL.Path == "/late" {
				if body, err := io.ReadAll(r.Body); err != nil && len(body) == 100 {
					t.Errorf("%d bytes, %v", len(body), err)
				}
			}
			io.WriteString(w, "fine")
		})))
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/", ""}, {"GET", "/", ""},
			{"POST", "/read", strings.Repeat("x", 100)}, {"GET", "/", ""},
			{"POST", "/read", strings.Repeat("x", 100_000)}, {"GET", "/", ""},
			{"POST", "/late", strings.Repeat("x", 100)}, {"GET", "/", ""},
			{"POST", "/", strings.Repeat("x", 100)}, {"GET", "/", ""},
		} {
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			re := n.fetch(n.request(c.method, c.path, body))
			if re.Response == nil || re.body != "fine" || re.cut != nil {
				t.Errorf("%s %s of %d bytes: %v", c.method, c.path, len(c.body), re)
			}
			time.Sleep(10 * time.Second) // an idle connection is none of its business
		}
	})
}

func TestTheReadTimeoutEndsAStalledUpload(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Minute), timeout.WithReadTimeout(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			body, err := io.ReadAll(r.Body)
			if took := time.Since(start); string(body) != "some" || !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Second {
				t.Errorf("%q, %v after %v", body, err, took)
			}
			http.Error(w, "too slow", http.StatusRequestTimeout)
		})))
		body, send := io.Pipe()
		go io.WriteString(send, "some")
		re := n.fetch(n.request("POST", "/", body))
		send.Close()
		if re.Response == nil || re.StatusCode != http.StatusRequestTimeout || re.body != "too slow\n" {
			t.Errorf("the client has %v", re)
		}
		if re := n.get(calm); re.body != "calm" || l.proto == 2 && !re.reused {
			t.Errorf("the next request: %v, reused: %v", re, re.reused)
		}
		synctest.Wait()
		if st := to.Stats(); st.Timeouts != 0 || st.Canceled != 0 || st.Overdue != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheWriteTimeoutEndsAWriteThatBlocks(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Hour), timeout.WithWriteTimeout(time.Second))
		ended := make(chan time.Duration, 1)
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 10_000)); err != nil {
					break
				}
			}
			ended <- time.Since(start)
		})))
		conn, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		select {
		case took := <-ended:
			if took < time.Second || took > time.Second+soon {
				t.Errorf("the write ends after %v", took)
			}
		case <-time.After(30 * time.Minute):
			t.Error("the write never ends")
		}
	})
}

func TestTheWriteTimeoutIsForOneWrite(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Hour), timeout.WithWriteTimeout(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 10 {
				if _, err := io.WriteString(w, strings.Repeat("x", 5000)); err != nil {
					t.Errorf("Write: %v", err)
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Errorf("Flush: %v", err)
				}
				time.Sleep(5 * time.Second) // in the handler, not in a write
			}
		})))
		conn, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReaderSize(slowly{conn}, 1000)
		for range 2 { // the second request has nothing of the first one's deadline
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if len(body) != 50_000 || err != nil {
				t.Errorf("the client has %d bytes, %v", len(body), err)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// slowly takes a while for each piece, but never long.
type slowly struct{ r io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return s.r.Read(p)
}

// deadlines notes those for writing.
type deadlines struct {
	foreignWriter1
	set *[]time.Time
}

func (w deadlines) SetWriteDeadline(at time.Time) error {
	*w.set = append(*w.set, at)
	return w.foreignWriter1.SetWriteDeadline(at)
}

// What the server itself has set for writing is in force again after each
// write: a timeout for one of them does not lengthen all.
func TestTheWriteTimeoutLeavesTheServersInForce(t *testing.T) {
	t.Parallel()
	for _, own := range []time.Duration{0, time.Minute} {
		inBubble(t, []lane{plainHTTP1}, func(t *testing.T, l lane) {
			h := made(t, timeout.Basic(time.Hour), timeout.WithWriteTimeout(time.Second)).Wrap(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					for range 2 {
						io.WriteString(w, strings.Repeat("x", 3000))
						http.NewResponseController(w).Flush()
						time.Sleep(10 * time.Second)
					}
				}))
			var set []time.Time
			n := connect(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(deadlines{foreignWriter1{w.(serverHTTP1)}, &set}, r)
			}))
			n.srv.WriteTimeout = own
			start := time.Now()
			if re := n.get("/"); re.Response == nil || len(re.body) != 6000 || re.cut != nil {
				t.Errorf("the client has %v", re)
			}
			var servers time.Time
			if own > 0 {
				servers = start.Add(own)
			}
			if len(set) < 4 || len(set)%2 != 0 {
				t.Fatalf("deadlines %v", set)
			}
			for i := 0; i < len(set); i += 2 {
				if before, after := set[i], set[i+1]; before.IsZero() || !after.Equal(servers) {
					t.Errorf("write %d has the deadline %v and leaves %v, want the server's %v", i/2, before, after, servers)
				}
			}
		})
	}
}
