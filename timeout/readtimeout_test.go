package timeout_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// stalled are uploads of which no more comes.
var stalled = map[string]string{
	"with a length": post("some", "Content-Length: 1000"),
	"in chunks":     post("4\r\nsome\r\n", "Transfer-Encoding: chunked"),
}

// upload sends raw on a connection of its own and reads the answer to it.
func (n *network) upload(raw string) *reply {
	conn, err := n.dial()
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Hour))
	io.WriteString(conn, raw)
	re := new(reply)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "POST"})
	if err != nil {
		re.err = err
		return re
	}
	re.take(resp)
	return re
}

// A server discards what is left of a body before it answers. It can do that
// only within a deadline for reading, which must therefore not be taken away
// by a handler's return: neither this package's nor the server's.
func TestAClientThatStallsIsAnsweredAfterTheReadTimeout(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		for framing, raw := range stalled {
			for _, c := range []struct {
				name        string
				own, server time.Duration
				reads       bool
				want        time.Duration
			}{
				{"reads, own timeout", time.Second, 0, true, time.Second},
				{"reads, both, own first", time.Second, 3 * time.Second, true, time.Second},
				{"reads, the server's", 0, 3 * time.Second, true, 3 * time.Second},
				{"does not read, own timeout", time.Second, 0, false, time.Second},
				{"does not read, both, own first", time.Second, 3 * time.Second, false, time.Second},
				{"does not read, the server's", 0, 3 * time.Second, false, 3 * time.Second},
			} {
				to := made(t, timeout.Basic(time.Minute), timeout.WithReadTimeout(c.own))
				n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if c.reads {
						if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
							t.Errorf("%s, %s: read: %v", framing, c.name, err)
						}
					}
					http.Error(w, "mine", http.StatusRequestTimeout)
				})))
				n.srv.ReadTimeout = c.server
				start := time.Now()
				re := n.upload(raw)
				if re.Response == nil || re.StatusCode != http.StatusRequestTimeout || re.body != "mine\n" {
					t.Errorf("%s, %s: the client has %v", framing, c.name, re)
				}
				if took := time.Since(start); took > c.want+time.Second {
					t.Errorf("%s, %s: answered after %v", framing, c.name, took)
				}
				synctest.Wait()
				if st := to.Stats(); st.Canceled != 0 || st.Timeouts != 0 || st.Requests != 1 || st.Overdue != 0 {
					t.Errorf("%s, %s: %+v", framing, c.name, st)
				}
			}
		}
	})
}

// A read that has failed is not followed by one that waits.
func TestAfterTheReadTimeoutEveryReadFailsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		for framing, raw := range stalled {
			n := connect(t, l, made(t, timeout.Basic(time.Minute), timeout.WithReadTimeout(time.Second)).Wrap(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					start := time.Now()
					io.ReadAll(r.Body)
					for i := range 3 {
						if n, err := r.Body.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
							t.Errorf("%s: read %d: %d, %v", framing, i+2, n, err)
						}
					}
					if took := time.Since(start); took != time.Second {
						t.Errorf("%s: all reads have failed after %v", framing, took)
					}
				})))
			n.upload(raw)
		}
	})
}

// After the deadline too, whether or not there was a timeout for reading that
// was far from over.
func TestAfterTheDeadlineEveryReadFailsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		for framing, raw := range stalled {
			for _, own := range []time.Duration{0, 10 * time.Minute} {
				ended := make(chan time.Duration, 1)
				n := connect(t, l, made(t, timeout.Basic(time.Second), timeout.WithReadTimeout(own)).Wrap(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						start := time.Now()
						for range 3 {
							io.ReadAll(r.Body)
						}
						ended <- time.Since(start)
					})))
				for _, f := range faults(n.upload(raw), 503, "deadline", "") {
					t.Errorf("%s, read timeout %v: %s", framing, own, f)
				}
				if took := <-ended; took > time.Second+soon {
					t.Errorf("%s, read timeout %v: the reads end after %v", framing, own, took)
				}
			}
		}
	})
}

// net/http cancels a request's context when reading fails, for whatever reason.
// A deadline for reading that has passed is none for which a client could be
// said to have left, so that the deadline of the request is answered and
// counted as ever.
func TestAReadTimeoutThatTheDeadlineFollowsIsNoClientThatLeft(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		for framing, raw := range stalled {
			for _, by := range []string{"WithReadTimeout", "the server", "the handler"} {
				opts := []timeout.Option{timeout.Basic(3 * time.Second)}
				if by == "WithReadTimeout" {
					opts = append(opts, timeout.WithReadTimeout(time.Second))
				}
				to := made(t, opts...)
				over := make(chan struct{})
				n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if by == "the handler" {
						http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
					}
					io.ReadAll(r.Body)
					<-over
				})))
				if by == "the server" {
					n.srv.ReadTimeout = time.Second
				}
				start := time.Now()
				for _, f := range faults(n.upload(raw), 503, "deadline", "") {
					t.Errorf("%s, %s: %s", framing, by, f)
				}
				if took := time.Since(start); took < 3*time.Second || took > 4*time.Second {
					t.Errorf("%s, %s: answered after %v", framing, by, took)
				}
				close(over)
				synctest.Wait()
				if st := to.Stats(); st.Timeouts != 1 || st.Canceled != 0 || st.Overdue != 0 {
					t.Errorf("%s, %s: %+v", framing, by, st)
				}
			}
		}
	})
}
