package timeout_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// after is a handler that takes exactly d.
func after(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		w.Header().Set("X-Handler", "yes")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "created")
	}
}

func TestTheDeadlineIsExact(t *testing.T) {
	t.Parallel()
	const d = time.Second
	for _, c := range []struct {
		name  string
		takes time.Duration
		// done and late say which answers are right.
		done, late bool
	}{
		{"long before", d / 2, true, false},
		{"just before", d - 1, true, false},
		{"at the deadline", d, true, true},
		{"just after", d + 1, false, true},
		{"after it, but soon", d + time.Millisecond, false, true},
		{"at the end of its grace", d + 2*time.Millisecond, false, true},
		{"long after", 10 * d, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, lanes, func(t *testing.T, l lane) {
				to := made(t, timeout.Basic(d))
				n := connect(t, l, to.Wrap(after(c.takes)))
				start := time.Now()
				re := n.get("/")
				took := time.Since(start)
				late := uint64(0)
				switch {
				case re.Response != nil && re.StatusCode == http.StatusCreated && c.done:
					if re.body != "created" || re.cut != nil || re.Header.Get("X-Handler") != "yes" || took != c.takes {
						t.Errorf("after %v the client has %v", took, re)
					}
				case c.late:
					for _, f := range faults(re, 503, "deadline", "") {
						t.Error(f)
					}
					if took < d || took > d+soon {
						t.Errorf("answered after %v", took)
					}
					late = 1
				default:
					t.Errorf("after %v the client has %v", took, re)
				}
				time.Sleep(20 * d)
				synctest.Wait()
				if st := to.Stats(); st.Timeouts != late || st.Overdue != 0 || st.Requests != 1 || st.Ratio != float64(late) ||
					st.MinTimeout != d || st.MaxTimeout != d || st.MaxDuration > d+soon || st.MinDuration < min(c.takes, d) {
					t.Errorf("%+v", st)
				}
				if again := n.get(calm); again.body != "calm" {
					t.Errorf("the next request: %v", again)
				}
				if log := n.log.String(); log != "" {
					t.Errorf("the server's log: %s", log)
				}
			})
		})
	}
}

// A handler that returns when it is told to costs its client no connection.
func TestAHandlerThatHeedsItsContextKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE", "POST"} {
		t.Run(method, func(t *testing.T) {
			inBubble(t, lanes, func(t *testing.T, l lane) {
				to := made(t, timeout.Basic(time.Second))
				n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "held back")
					io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				})))
				for i := range 5 {
					var body io.Reader
					if method == "POST" {
						body = strings.NewReader("a short body")
					}
					start := time.Now()
					re := n.fetch(n.request(method, "/", body))
					for _, f := range faults(re, 503, "deadline", "") {
						t.Error(f)
					}
					if took := time.Since(start); took != time.Second {
						t.Errorf("answered after %v", took)
					}
					if i > 0 && !re.reused || re.Response != nil && re.Close {
						t.Errorf("the connection is new: %v, and closed: %v", !re.reused, re.Close)
					}
				}
			})
		})
	}
}

// A body that is still in the socket when a handler gives up costs nothing
// either.
func TestAShortBodyThatNobodyReadKeepsTheConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		})))
		for i := range 3 {
			re := n.fetch(n.request("POST", "/", strings.NewReader("a short body")))
			for _, f := range faults(re, 503, "deadline", "") {
				t.Error(f)
			}
			if i > 0 && !re.reused {
				t.Errorf("the connection is new")
			}
		}
	})
}

// Many requests end at the very instant of their deadline: each client has one
// whole answer, whoever comes first.
func TestADrawHasOneWinner(t *testing.T) {
	t.Parallel()
	const d = time.Second
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(d))
		n := connect(t, l, to.Wrap(after(d)))
		rounds, crowd := race.Either(40, 6), 25
		var done, late uint64
		for range rounds {
			replies := make(chan *reply, crowd)
			for range crowd {
				go func() { replies <- n.get("/") }()
			}
			for range crowd {
				re := <-replies
				switch {
				case re.Response != nil && re.StatusCode == http.StatusCreated && re.body == "created" && re.cut == nil && re.Header.Get("X-Handler") == "yes":
					done++
				case len(faults(re, 503, "deadline", "")) == 0:
					late++
				default:
					t.Fatalf("the client has %v, header %v", re, re.Header)
				}
			}
		}
		synctest.Wait()
		if st := to.Stats(); st.Timeouts != late || st.Requests != done+late || st.Overdue != 0 {
			t.Errorf("%d done, %d late, and Stats has %+v", done, late, st)
		}
	})
}

// Outside of a server too: with a writer of which nothing is known.
func TestARecorderIsAnsweredAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := made(t, timeout.Basic(time.Second))
		ended := make(chan error, 1)
		h := to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "held back")
			ctx := r.Context()
			time.Sleep(5 * time.Second)
			_, err := io.WriteString(w, "late")
			if ctx.Err() != context.DeadlineExceeded {
				err = fmt.Errorf("context has %v", ctx.Err())
			}
			ended <- err
		}))
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if took := time.Since(start); took != time.Second {
			t.Errorf("answered after %v", took)
		}
		if to.Stats().Overdue != 1 {
			t.Errorf("overdue %d", to.Stats().Overdue)
		}
		re := new(reply)
		re.take(w.Result())
		for _, f := range faults(re, 503, "deadline", "") {
			t.Error(f)
		}
		if err := <-ended; err != http.ErrHandlerTimeout {
			t.Errorf("late Write: %v", err)
		}
		synctest.Wait()
		if to.Stats().Overdue != 0 {
			t.Errorf("overdue %d", to.Stats().Overdue)
		}
	})
}

func TestTheContextEndsWithTheHandler(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		contexts := make(chan context.Context, 1)
		n := connect(t, l, timeout.Middleware(timeout.Basic(time.Hour))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			contexts <- r.Context()
		})))
		n.get("/")
		synctest.Wait()
		ctx := <-contexts
		if ctx.Err() != context.Canceled {
			t.Errorf("when the handler is done its context has %v", ctx.Err())
		}
		time.Sleep(2 * time.Hour)
		if ctx.Err() != context.Canceled {
			t.Errorf("after the deadline it has %v", ctx.Err())
		}
	})
}

// The layers of one server may be used in one bubble after the other, as tests
// of a service do.
var shared = timeout.Middleware(timeout.Basic(time.Second))(after(100 * time.Millisecond))

func TestOneTimeoutServesManyBubblesAndNone(t *testing.T) {
	t.Parallel()
	for range 3 {
		inBubble(t, lanes, func(t *testing.T, l lane) {
			n := connect(t, l, shared)
			for range 5 {
				if re := n.get("/"); re.Response == nil || re.StatusCode != 201 {
					t.Errorf("the client has %v", re)
				}
			}
		})
		w := httptest.NewRecorder()
		shared.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 201 {
			t.Errorf("status %d", w.Code)
		}
	}
}

// A request further out may have been read already, or have no body at all.
func TestARequestWithoutABodyStaysWithoutOne(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Body = body
		h := timeout.Middleware(timeout.Basic(time.Minute))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != body {
				t.Errorf("the body %v is now %v", body, r.Body)
			}
		}))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// What was read of a body before the deadline is what was sent, to the byte.
func TestABodyArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	inBubble(t, lanes, func(t *testing.T, l lane) {
		n := connect(t, l, timeout.Middleware(timeout.Basic(time.Minute))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			if !bytes.Equal(got, sent) || err != nil {
				t.Errorf("%d bytes arrive, %v", len(got), err)
			}
		})))
		if re := n.fetch(n.request("PUT", "/", bytes.NewReader(sent))); re.Response == nil || re.StatusCode != 200 {
			t.Errorf("the client has %v", re)
		}
	})
}

// reluctant takes its time to refuse a takeover.
type reluctant struct{ foreignWriter1 }

func (reluctant) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	time.Sleep(2 * time.Second)
	return nil, nil, errors.New("not this one")
}

// The deadline that passes during an attempt to take the connection over is
// made up for when the attempt has failed.
func TestATakeoverThatFailsAfterTheDeadlineEndsTheRequest(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		inBubble(t, []lane{plainHTTP1}, func(t *testing.T, l lane) {
			to := made(t, timeout.Basic(time.Second))
			h := to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begun {
					w.(http.Flusher).Flush()
				}
				if _, _, err := http.NewResponseController(w).Hijack(); err == nil || err.Error() != "not this one" {
					t.Errorf("Hijack: %v", err)
				}
				time.Sleep(30 * time.Minute)
			}))
			n := connect(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(reluctant{foreignWriter1{w.(serverHTTP1)}}, r)
			}))
			start := time.Now()
			re := n.get("/")
			if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+soon {
				t.Errorf("over after %v", took)
			}
			if begun && (re.Response == nil || re.cut == nil) {
				t.Errorf("the client has %v", re)
			} else if !begun {
				for _, f := range faults(re, 503, "deadline", "") {
					t.Error(f)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if st := to.Stats(); st.Timeouts != 1 || st.Overdue != 0 || st.LongLived != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}
