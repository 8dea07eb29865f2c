package timeout_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// streaming begins an event stream, lets some pauses pass with an event after
// each, and is then silent until its context is done or, if it does not care
// for that, for an hour.
func streaming(caring bool, pauses ...time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		c := http.NewResponseController(w)
		if c.Flush() != nil {
			return
		}
		for i, pause := range pauses {
			time.Sleep(pause)
			fmt.Fprintf(w, "data: %d\n\n", i)
			if c.Flush() != nil {
				return
			}
		}
		if caring {
			<-r.Context().Done()
		} else {
			time.Sleep(30 * time.Minute)
		}
	}
}

func TestASparedStreamEndsWhenItIsSilentForTooLong(t *testing.T) {
	t.Parallel()
	const idle = time.Second
	lively := make([]time.Duration, 30)
	for i := range lively {
		lively[i] = 900 * time.Millisecond
	}
	for _, c := range []struct {
		name     string
		deadline time.Duration
		pauses   []time.Duration
		// silent is when the stream falls silent.
		silent time.Duration
		events int
	}{
		{"silent at once, deadline before", 100 * time.Millisecond, nil, 0, 0},
		{"silent at once, deadline far away", time.Hour, nil, 0, 0},
		{"silent at once, deadline at the same time", idle, nil, 0, 0},
		{"lively for long, deadline soon", 2500 * time.Millisecond, lively, 27 * time.Second, 30},
		{"lively for long, deadline far away", time.Hour, lively, 27 * time.Second, 30},
		{"a pause that is too long", 100 * time.Millisecond, []time.Duration{500 * time.Millisecond, 2 * time.Second}, 500 * time.Millisecond, 1},
	} {
		for _, caring := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/caring %v", c.name, caring), func(t *testing.T) {
				inBubble(t, lanes, func(t *testing.T, l lane) {
					var events []timeout.Event
					to := made(t, timeout.Basic(c.deadline), timeout.WithIdleTimeout(idle),
						timeout.OnTimeout(func(e timeout.Event) { events = append(events, e) }))
					n := connect(t, l, to.Wrap(streaming(caring, c.pauses...)))
					start := time.Now()
					re := n.get("/")
					took := time.Since(start)
					if re.Response == nil || re.StatusCode != 200 || re.cut == nil || strings.Count(re.body, "data:") != c.events {
						t.Errorf("the client has %v", re)
					}
					if want := c.silent + idle; took < want || took > want+soon {
						t.Errorf("cut after %v, want %v", took, want)
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					if st := to.Stats(); st.Timeouts != 1 || st.Aborted != 1 || st.LongLived != 0 || st.Overdue != 0 || st.Canceled != 0 {
						t.Errorf("%+v", st)
					}
					if len(events) != 1 || events[0].Reason != timeout.ReasonIdle || !events[0].Aborted {
						t.Errorf("events %+v", events)
					}
				})
			})
		}
	}
}

func TestASparedStreamWithoutAnIdleTimeoutMayBeSilent(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Minute)
			if err := r.Context().Err(); err != nil {
				t.Errorf("the context has %v", err)
			}
			io.WriteString(w, "data: 1\n\n")
		})))
		if re := n.get("/"); re.Response == nil || re.body != "data: 1\n\n" || re.cut != nil {
			t.Errorf("the client has %v", re)
		}
		synctest.Wait()
		if st := to.Stats(); st.Timeouts != 0 || st.LongLived != 0 || st.MaxDuration != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// The idle timeout is one for streams: it does not end a request whose response
// has not begun, nor a connection that was taken over.
func TestTheIdleTimeoutIsForSparedStreamsOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Minute), timeout.WithIdleTimeout(time.Second))
		n := connect(t, l, to.Wrap(after(30*time.Second)))
		if re := n.get("/"); re.Response == nil || re.StatusCode != 201 || re.body != "created" {
			t.Errorf("the client has %v", re)
		}
	})
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Minute), timeout.WithIdleTimeout(time.Second))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "the beginning")
			w.(http.Flusher).Flush()
			time.Sleep(30 * time.Second)
			io.WriteString(w, " and the end")
		})))
		if re := n.get("/"); re.Response == nil || re.body != "the beginning and the end" || re.cut != nil {
			t.Errorf("the client has %v", re)
		}
	})
}

// A client that does not take what is written to it is silence too: the stream
// may not last for ever.
func TestAStreamThatIsNotReadEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, lanesHTTP1, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second), timeout.WithIdleTimeout(10*time.Second))
		ended := make(chan time.Time, 1)
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				if _, err := fmt.Fprintf(w, "data: %s\n\n", strings.Repeat("x", 100_000)); err != nil {
					break
				}
			}
			ended <- time.Now()
		})))
		conn, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		select {
		case at := <-ended:
			if took := at.Sub(start); took > 10*time.Second+soon {
				t.Errorf("the handler ends after %v", took)
			}
		case <-time.After(time.Hour):
			t.Error("the handler never ends")
		}
	})
}
