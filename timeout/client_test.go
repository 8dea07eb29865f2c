package timeout_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
	"github.com/handrail-go/handrail/timeout"
)

// observed calls ended with what became of each request.
func observed(ended func(ending)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rw, rec, owner := httpwrap.Wrap(w)
			if owner {
				defer rec.Release()
			}
			defer func() { ended(ending{outcome: rec.Outcome(), status: rec.Status(), pattern: r.Pattern}) }()
			next.ServeHTTP(rw, r)
		})
	}
}

// A client that leaves before the deadline is no timeout, whenever the handler
// comes to know of it.
func TestAClientThatLeavesIsNoTimeout(t *testing.T) {
	t.Parallel()
	const leaves, d = time.Second, 3 * time.Second
	for _, c := range []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request) error
		status int
	}{
		{"heeded at once", func(w http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			_, err := io.WriteString(w, "late")
			return err
		}, 200},
		{"heeded at once without a word", func(w http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return nil
		}, 499},
		{"noticed before the deadline", func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(2 * time.Second)
			_, err := io.WriteString(w, strings.Repeat("late", 1000))
			return err
		}, 0},
		{"not noticed before the deadline", func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(5 * time.Second)
			_, err := io.WriteString(w, strings.Repeat("late", 1000))
			return err
		}, 0},
		{"not noticed before the deadline, and nothing written", func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(5 * time.Second)
			return nil
		}, 0},
		{"not noticed, with a response that has begun", func(w http.ResponseWriter, r *http.Request) error {
			io.WriteString(w, "the beginning")
			http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Second)
			_, err := io.WriteString(w, strings.Repeat("late", 1000))
			return err
		}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, lanes, func(t *testing.T, l lane) {
				to := made(t, timeout.Basic(d))
				var end ending
				failed := make(chan error, 1)
				n := connect(t, l, observed(func(e ending) { end = e })(to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ctx := r.Context()
					err := c.handle(w, r)
					if ctx.Err() != context.Canceled {
						t.Errorf("the context has %v", ctx.Err())
					}
					failed <- err
				}))))
				ctx, cancel := context.WithTimeout(t.Context(), leaves)
				defer cancel()
				if re := n.fetch(n.request("GET", "/", nil).WithContext(ctx)); re.Response != nil && re.cut == nil {
					t.Errorf("the client has %v", re)
				}
				if err := <-failed; err == http.ErrHandlerTimeout {
					t.Errorf("the handler is told %v", err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if st := to.Stats(); st.Canceled != 1 || st.Timeouts != 0 || st.Overdue != 0 || st.Requests != 1 {
					t.Errorf("%+v", st)
				}
				if end.outcome != httpwrap.Canceled {
					t.Errorf("outcome %q", end.outcome)
				}
				if c.status != 0 && end.status != c.status {
					t.Errorf("outside the status is %d, want %d", end.status, c.status)
				}
				if logged := n.log.String(); logged != "" {
					t.Errorf("the server's log: %s", logged)
				}
			})
		})
	}
}

// Who leaves after the deadline was a timeout.
func TestAClientThatLeavesAfterTheDeadlineIsOne(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second))
		over := make(chan struct{})
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-over
			if r.Context().Err() != context.DeadlineExceeded {
				t.Errorf("the context has %v", r.Context().Err())
			}
			if _, err := io.WriteString(w, "late"); err != http.ErrHandlerTimeout {
				t.Errorf("Write: %v", err)
			}
		})))
		for _, f := range faults(n.get("/"), 503, "deadline", "") {
			t.Error(f)
		}
		n.client.CloseIdleConnections()
		time.Sleep(time.Minute)
		close(over)
		synctest.Wait()
		if st := to.Stats(); st.Canceled != 0 || st.Timeouts != 1 || st.Overdue != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A client that only leaves when it has all it wanted is neither.
func TestAClientThatIsServedIsNotCanceled(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		to := made(t, timeout.Basic(time.Second))
		n := connect(t, l, to.Wrap(after(100*time.Millisecond)))
		for range 10 {
			if re := n.get("/"); re.Response == nil || re.body != "created" {
				t.Errorf("the client has %v", re)
			}
			n.client.CloseIdleConnections()
		}
		synctest.Wait()
		if st := to.Stats(); st.Canceled != 0 || st.Timeouts != 0 || st.Requests != 10 {
			t.Errorf("%+v", st)
		}
	})
}
