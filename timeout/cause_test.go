package timeout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// yielding lets everybody else run before whoever ends a connection goes on.
type yielding struct{ net.Conn }

func (c yielding) SetReadDeadline(at time.Time) error {
	defer c.yield()
	return c.Conn.SetReadDeadline(at)
}

func (c yielding) SetWriteDeadline(at time.Time) error {
	defer c.yield()
	return c.Conn.SetWriteDeadline(at)
}

func (yielding) yield() {
	for range 200 {
		runtime.Gosched()
	}
}

// Cutting a response makes the server cancel its own context. The handler's is
// done before that, with the deadline and not as if its client had left.
func TestAtACutTheContextHasTheDeadlineAndNotACancellation(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		crowd, rounds := 8, race.Either(12, 4)
		to := made(t, timeout.Basic(time.Second), timeout.WithName("mine"))
		n := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "the beginning")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			var own *timeout.Error
			if err := r.Context().Err(); err != context.DeadlineExceeded {
				t.Errorf("the context has %v", err)
			}
			if cause := context.Cause(r.Context()); !errors.As(cause, &own) || own.Name != "mine" || own.After != time.Second {
				t.Errorf("the cause is %v", cause)
			}
		})))
		n.wrap = func(c net.Conn) net.Conn { return yielding{c} }
		for range rounds {
			var all sync.WaitGroup
			for range crowd {
				all.Go(func() {
					if re := n.get("/"); re.Response == nil || re.body != "the beginning" || re.cut == nil {
						t.Errorf("the client has %v", re)
					}
				})
			}
			all.Wait()
		}
	})
}

// attentive asks whether the handler knows already when the connection is
// given deadlines that end what it does.
type attentive struct {
	foreignWriter1
	ending func()
}

func (w attentive) SetReadDeadline(at time.Time) error {
	w.ending()
	return w.foreignWriter1.SetReadDeadline(at)
}

func (w attentive) SetWriteDeadline(at time.Time) error {
	w.ending()
	return w.foreignWriter1.SetWriteDeadline(at)
}

func TestTheContextIsDoneBeforeTheConnectionIsTouched(t *testing.T) {
	t.Parallel()
	inBubble(t, []lane{plainHTTP1}, func(t *testing.T, l lane) {
		var ctx context.Context
		endings := 0
		h := made(t, timeout.Basic(time.Second)).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx = r.Context()
			io.WriteString(w, "the beginning")
			w.(http.Flusher).Flush()
			time.Sleep(time.Minute)
		}))
		n := connect(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(attentive{foreignWriter1{w.(serverHTTP1)}, func() {
				endings++
				if err := ctx.Err(); err != context.DeadlineExceeded {
					t.Errorf("the connection is told to end while the context has %v", err)
				}
			}}, r)
		}))
		if re := n.get("/"); re.Response == nil || re.cut == nil {
			t.Errorf("the client has %v", re)
		}
		if endings == 0 {
			t.Error("the connection was given no deadline")
		}
	})
}

// Whoever prints a context, as a debugger's log does, must not race with the
// deadline. The detector is what proves it.
func TestTheContextMayBePrintedWhileItsDeadlinePasses(t *testing.T) {
	const printed = "timeout.deadlineContext"
	var ctx context.Context
	h := made(t, timeout.Basic(10*time.Millisecond)).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx = r.Context()
		go func() { <-r.Context().Done() }()
		for {
			err := ctx.Err()
			if got := fmt.Sprintf("%v %+v %s", ctx, ctx, ctx); got != printed+" "+printed+" "+printed {
				t.Errorf("with %v it is printed as %.200s", err, got)
				return
			}
			if err != nil {
				return
			}
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}
