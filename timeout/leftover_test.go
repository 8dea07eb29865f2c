package timeout_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// A handler may leave a callback behind that has its writer, and which comes
// when the next request is being served by whatever the server reuses. It is
// refused, and the stranger who is served then notices nothing.
func TestACallbackThatOutlivesItsHandlerReachesNobody(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		// Long after the end of its request, and in the midst of the next one.
		const late, long = 20 * time.Millisecond, 60 * time.Millisecond
		refused := make(chan error, 1)
		n := connect(t, l, made(t, timeout.Basic(time.Minute)).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if call := r.URL.Query().Get("call"); call != "" {
				context.AfterFunc(r.Context(), func() {
					time.Sleep(late)
					for _, m := range methodsOfTheWriter {
						if m.name == call {
							refused <- m.call(w)
						}
					}
				})
				return
			}
			body := make([]byte, 100)
			if _, err := io.ReadFull(r.Body, body[:50]); err != nil {
				t.Errorf("the stranger's body: %v", err)
			}
			time.Sleep(long)
			if _, err := io.ReadFull(r.Body, body[50:]); err != nil {
				t.Errorf("the stranger's body after the callback: %v", err)
			}
			s := &stage{}
			s.write(w, "the stranger's own")
			s.flush(w)
			s.write(w, strings.Repeat(".", 3000))
			if len(s.noted) > 0 {
				t.Errorf("the stranger's writer: %q", s.noted)
			}
		})))
		for _, m := range methodsOfTheWriter {
			for range 2 {
				if re := n.get("/?call=" + strings.ReplaceAll(m.name, " ", "+")); re.Response == nil || re.StatusCode != 200 || re.body != "" {
					t.Errorf("%s: its own client has %v", m.name, re)
				}
				re := n.fetch(n.request("POST", "/", strings.NewReader(strings.Repeat("x", 100))))
				if re.Response == nil || re.StatusCode != 200 || re.body != "the stranger's own"+strings.Repeat(".", 3000) || re.cut != nil {
					t.Errorf("%s: the stranger has %v", m.name, re)
				}
				if err := <-refused; err != http.ErrHandlerTimeout {
					t.Errorf("%s by a callback: %v", m.name, err)
				}
			}
		}
		if logged := n.log.String(); logged != "" {
			t.Errorf("the server's log: %s", logged)
		}
	})
}

// The same for the callback of a client that left, which comes before the
// handler returns and goes on after that.
func TestACallbackOfAClientThatLeftReachesNobody(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		refused := make(chan error, 1)
		n := connect(t, l, made(t, timeout.Basic(time.Minute)).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/leave" {
				time.Sleep(time.Second)
				io.WriteString(w, "the stranger's own")
				return
			}
			context.AfterFunc(r.Context(), func() {
				time.Sleep(500 * time.Millisecond)
				_, err := io.WriteString(w, "of another")
				http.NewResponseController(w).SetWriteDeadline(longAgo)
				http.NewResponseController(w).SetReadDeadline(longAgo)
				refused <- err
			})
			<-r.Context().Done()
		})))
		for range 5 {
			ctx, leave := context.WithTimeout(t.Context(), time.Second)
			if re := n.fetch(n.request("GET", "/leave", nil).WithContext(ctx)); re.Response != nil {
				t.Errorf("who left has %v", re)
			}
			leave()
			if re := n.get("/"); re.Response == nil || re.body != "the stranger's own" || re.cut != nil {
				t.Errorf("the stranger has %v", re)
			}
			if err := <-refused; err == nil {
				t.Error("a write by the callback succeeds")
			}
		}
	})
}

// Who reads the body on after the deadline gets nothing, and takes back no
// deadline that is another's by then.
func TestAReaderThatOutlivesTheDeadlineDisturbsNobody(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second), timeout.WithReadTimeout(time.Minute))
		read := make(chan string, 1)
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stranger" {
				time.Sleep(500 * time.Millisecond)
				io.WriteString(w, "the stranger's own")
				return
			}
			body := r.Body
			go func() {
				time.Sleep(1250 * time.Millisecond)
				n, err := body.Read(make([]byte, 10))
				read <- fmt.Sprint(n, " ", err)
			}()
			<-r.Context().Done()
		})))
		for range 5 {
			for _, f := range faults(n.fetch(n.request("POST", "/", strings.NewReader("some"))), 503, "deadline", "") {
				t.Error(f)
			}
			if re := n.get("/stranger"); re.Response == nil || re.body != "the stranger's own" || re.cut != nil {
				t.Errorf("the stranger has %v", re)
			}
			if got, want := <-read, fmt.Sprint("0 ", http.ErrHandlerTimeout); got != want {
				t.Errorf("the reader has %s, want %s", got, want)
			}
		}
		synctest.Wait()
	})
}
