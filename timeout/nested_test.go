package timeout_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/timeout"
)

// nest is an outer timeout around an inner one, on a server of a bubble, where
// nothing takes time that does not say so.
type nest struct {
	outer, inner *timeout.Timeout
	net          *network
}

func nesting(t *testing.T, l lane, outer, inner time.Duration, handler http.HandlerFunc, layers ...func(http.Handler) http.Handler) *nest {
	n := &nest{
		outer: made(t, timeout.Basic(outer), timeout.WithName("outer")),
		inner: made(t, timeout.Basic(inner), timeout.WithName("inner")),
	}
	h := n.inner.Wrap(handler)
	for _, layer := range layers {
		h = layer(h)
	}
	n.net = connect(t, l, n.outer.Wrap(h))
	return n
}

func made(t testing.TB, opts ...timeout.Option) *timeout.Timeout {
	t.Helper()
	to, err := timeout.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// layersBetween are what may stand between two timeouts.
var layersBetween = map[string][]func(http.Handler) http.Handler{
	"nothing between":          nil,
	"this module's own writer": {sharing},
	"a foreign writer":         {foreign},
	"both":                     {sharing, foreign},
}

// waysToBeLate are handlers that go on until over is closed or their context is
// done.
var waysToBeLate = map[string]func(over <-chan struct{}) http.HandlerFunc{
	"ignores its context": func(over <-chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { <-over }
	},
	"heeds its context": func(over <-chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	},
	"wrote something": func(over <-chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			io.WriteString(w, "held back")
			<-over
		}
	},
	"wrote something and heeds its context": func(over <-chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Handler", "yes")
			io.WriteString(w, "held back")
			<-r.Context().Done()
		}
	},
}

func TestNestedTimeoutsAnswerOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		outer, inner time.Duration
		// who may answer
		who []string
	}{
		{"the inner one is shorter", 3 * time.Second, time.Second, []string{"inner"}},
		{"the outer one is shorter", time.Second, 3 * time.Second, []string{"outer", "inner"}},
		{"both are the same", time.Second, time.Second, []string{"outer", "inner"}},
	} {
		for between, layers := range layersBetween {
			for way, handler := range waysToBeLate {
				for _, l := range lanes {
					t.Run(strings.Join([]string{c.name, between, way, l.name}, "/"), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							over := make(chan struct{})
							n := nesting(t, l, c.outer, c.inner, handler(over), layers...)
							start := time.Now()
							re := n.net.get("/")
							if took := time.Since(start); took < time.Second || took > time.Second+10*time.Millisecond {
								t.Errorf("answered after %v", took)
							}
							var found []string
							for _, who := range c.who {
								if f := faults(re, 503, "deadline", who); len(f) == 0 {
									found = append(found, who)
								}
							}
							if len(found) != 1 {
								t.Errorf("the client has %v (header %v)", re, re.Header)
							}
							close(over)
							synctest.Wait()
							// Once more, on the same connection where it lives on.
							if again := n.net.get(calm); again.Response == nil || again.body != "calm" {
								t.Errorf("the next request: %v", again)
							}
							for _, to := range []*timeout.Timeout{n.outer, n.inner} {
								st := to.Stats()
								if st.Requests != 1 || st.Overdue != 0 || st.Aborted != 0 || st.Canceled != 0 {
									t.Errorf("%s: %+v", st.Name, st)
								}
								if len(found) == 1 && st.Name == found[0] && st.Timeouts != 1 {
									t.Errorf("%s answered and has %d timeouts", st.Name, st.Timeouts)
								}
							}
							if logged := n.net.log.String(); logged != "" {
								t.Errorf("the server's log: %s", logged)
							}
						})
					})
				}
			}
		}
	}
}

func TestNestedTimeoutsCutAStreamOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		outer, inner time.Duration
	}{
		{"the inner one is shorter", 3 * time.Second, time.Second},
		{"the outer one is shorter", time.Second, 3 * time.Second},
		{"both are the same", time.Second, time.Second},
	} {
		for between, layers := range layersBetween {
			for _, l := range lanes {
				t.Run(strings.Join([]string{c.name, between, l.name}, "/"), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						over := make(chan struct{})
						n := nesting(t, l, c.outer, c.inner, func(w http.ResponseWriter, r *http.Request) {
							io.WriteString(w, "the beginning")
							http.NewResponseController(w).Flush()
							<-over
						}, layers...)
						start := time.Now()
						re := n.net.get("/")
						if took := time.Since(start); took < time.Second || took > time.Second+10*time.Millisecond {
							t.Errorf("cut after %v", took)
						}
						if re.Response == nil || re.StatusCode != 200 || re.cut == nil || re.body != "the beginning" {
							t.Errorf("the client has %v", re)
						}
						close(over)
						synctest.Wait()
						for _, to := range []*timeout.Timeout{n.outer, n.inner} {
							if st := to.Stats(); st.Overdue != 0 {
								t.Errorf("%s: %+v", st.Name, st)
							}
						}
						if a, b := n.outer.Stats(), n.inner.Stats(); a.Aborted+b.Aborted == 0 {
							t.Errorf("nobody counts the stream as cut: %+v, %+v", a, b)
						}
						if logged := n.net.log.String(); logged != "" {
							t.Errorf("the server's log: %s", logged)
						}
					})
				})
			}
		}
	}
}

// The inner one takes the connection away from under the outer one, which must
// not count that as a connection that its handler has taken over.
func TestAStreamThatTheInnerTimeoutCutIsNoneThatTheOuterOneSpares(t *testing.T) {
	t.Parallel()
	for between, layers := range layersBetween {
		for _, l := range lanes {
			t.Run(between+"/"+l.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					over := make(chan struct{})
					n := nesting(t, l, 3*time.Second, time.Second, func(w http.ResponseWriter, r *http.Request) {
						http.NewResponseController(w).Flush()
						<-over
					}, layers...)
					if re := n.net.get("/"); re.Response == nil || re.cut == nil {
						t.Errorf("the client has %v", re)
					}
					look := func(when string) {
						t.Helper()
						for _, to := range []*timeout.Timeout{n.outer, n.inner} {
							if st := to.Stats(); st.LongLived != 0 || st.Requests != 1 {
								t.Errorf("%s, %s: %+v", when, st.Name, st)
							}
						}
					}
					look("when it is cut")
					time.Sleep(5 * time.Second)
					look("after the outer deadline")
					close(over)
					synctest.Wait()
					look("when its handler has ended")
					for _, to := range []*timeout.Timeout{n.outer, n.inner} {
						if st := to.Stats(); st.Overdue != 0 {
							t.Errorf("%+v", st)
						}
					}
				})
			})
		}
	}
}

func TestTheInnerTimeoutsAnswerIsCompleteWhenTheOuterDeadlinePasses(t *testing.T) {
	t.Parallel()
	for _, l := range lanes {
		t.Run(l.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The handler between the two goes on after the inner answer.
				over := make(chan struct{})
				n := nesting(t, l, 3*time.Second, time.Second,
					func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
					func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							next.ServeHTTP(w, r)
							<-over
						})
					})
				re := n.net.get("/")
				inner, outer := faults(re, 503, "deadline", "inner"), faults(re, 503, "deadline", "outer")
				if len(inner) > 0 && len(outer) > 0 {
					t.Errorf("the client has %v: %q, %q", re, inner, outer)
				}
				close(over)
				synctest.Wait()
			})
		})
	}
}

func TestANestedTimeoutThatIsDoneInTimeChangesNothing(t *testing.T) {
	t.Parallel()
	for between, layers := range layersBetween {
		for _, l := range lanes {
			t.Run(between+"/"+l.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := nesting(t, l, 3*time.Second, time.Second, func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(999 * time.Millisecond)
						w.Header().Set("Trailer", "X-Sum")
						w.Header().Set("X-Handler", "yes")
						w.WriteHeader(http.StatusCreated)
						io.WriteString(w, strings.Repeat("x", 5000))
						w.Header().Set("X-Sum", "42")
					}, layers...)
					re := n.net.get("/")
					if re.Response == nil || re.StatusCode != 201 || re.cut != nil || len(re.body) != 5000 || re.Header.Get("X-Handler") != "yes" || re.Trailer.Get("X-Sum") != "42" {
						t.Errorf("the client has %v, trailer %v", re, re.Trailer)
					}
					for _, to := range []*timeout.Timeout{n.outer, n.inner} {
						if st := to.Stats(); st.Timeouts != 0 || st.Requests != 1 || st.Overdue != 0 {
							t.Errorf("%s: %+v", st.Name, st)
						}
					}
				})
			})
		}
	}
}
