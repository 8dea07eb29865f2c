package timeout_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/timeout"
)

// Ten thousand handlers never look at their context. Each client is answered
// at its deadline, to the nanosecond, and each handler is known until it ends.
func TestTenThousandHandlersIgnoreTheirContext(t *testing.T) {
	leaktest.Check(t)
	synctest.Test(t, func(t *testing.T) {
		// The race detector knows 8128 goroutines, and there are two for each
		// request until its deadline.
		handlers, wave := race.Either(10_000, 3_000), race.Either(10_000, 1_500)
		const d = time.Second
		to := made(t, timeout.Basic(d))
		over := make(chan struct{})
		var served, ended atomic.Int64
		h := to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			<-over
			if _, err := w.Write([]byte("late")); err != http.ErrHandlerTimeout {
				t.Errorf("Write: %v", err)
			}
			ended.Add(1)
		}))
		for begun := 0; begun < handlers; begun += wave {
			var clients sync.WaitGroup
			start := time.Now()
			for range wave {
				clients.Go(func() {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
					if took := time.Since(start); took != d {
						t.Errorf("answered after %v", took)
					}
					re := new(reply)
					re.take(w.Result())
					for _, f := range faults(re, 503, "deadline", "") {
						t.Error(f)
					}
				})
			}
			time.Sleep(d - 1)
			synctest.Wait()
			if st := to.Stats(); st.Overdue != begun || st.Timeouts != uint64(begun) || st.Requests != uint64(begun+wave) {
				t.Errorf("before the deadline: %+v", st)
			}
			clients.Wait()
			synctest.Wait()
			if st := to.Stats(); st.Overdue != begun+wave || st.Timeouts != uint64(begun+wave) {
				t.Errorf("after the deadline: %+v", st)
			}
		}
		close(over)
		synctest.Wait()
		if st := to.Stats(); st.Overdue != 0 || st.Timeouts != uint64(handlers) || st.Ratio != 1 || st.MaxDuration != d || st.MinDuration != d {
			t.Errorf("when all have ended: %+v", st)
		}
		if served.Load() != int64(handlers) || ended.Load() != int64(handlers) {
			t.Errorf("%d handlers began, %d ended", served.Load(), ended.Load())
		}
	})
}

// On connections of a real server the handlers occupy the serving goroutines.
func TestHundredsOfConnectionsAreAnsweredWhileTheirHandlersHang(t *testing.T) {
	leaktest.Check(t)
	for l, clients := range map[lane]int{plainHTTP1: race.Either(500, 150), foreignHTTP1: 100, plainHTTP2: race.Either(500, 150)} {
		t.Run(l.name, func(t *testing.T) {
			to := made(t, timeout.Basic(100*time.Millisecond))
			over := make(chan struct{})
			s := serve(t, l, to, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-over }))
			defer s.close()
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for _, f := range faults(s.get("/"), 503, "deadline", "") {
						t.Error(f)
					}
				})
			}
			all.Wait()
			if st := to.Stats(); st.Overdue != clients || st.Requests != uint64(clients) {
				t.Errorf("while the handlers hang: %+v", st)
			}
			close(over)
			if !eventually(func() bool { return to.Stats().Overdue == 0 }) {
				t.Errorf("when they have ended: %+v", to.Stats())
			}
			if st := to.Stats(); st.Timeouts != uint64(clients) {
				t.Errorf("when they have ended: %+v", st)
			}
		})
	}
}

// The cap lets n handlers outlive their deadlines and refuses everybody while
// there are so many, without calling the handler.
func TestAsManyHandlersMayBeOverdueAsTheCapAllows(t *testing.T) {
	t.Parallel()
	const n, d = 7, time.Second
	inBubble(t, lanes, func(t *testing.T, l lane) {
		var events []timeout.Event
		to := made(t, timeout.Basic(d), timeout.WithMaxOverdue(n), timeout.WithName("capped"),
			timeout.OnTimeout(func(e timeout.Event) { events = append(events, e) }))
		release := make(chan struct{})
		var inside atomic.Int64
		net := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside.Add(1)
			defer inside.Add(-1)
			if r.URL.Path == "/quick" {
				return
			}
			<-release
		})))
		quick := func(want int) {
			t.Helper()
			re := net.get("/quick")
			if want == 200 {
				if re.Response == nil || re.StatusCode != 200 {
					t.Errorf("with %d overdue a quick request gets %v", to.Stats().Overdue, re)
				}
				return
			}
			for _, f := range faults(re, 503, "overdue", "capped") {
				t.Errorf("with %d overdue: %s", to.Stats().Overdue, f)
			}
		}
		for i := range n {
			if got := to.Stats().Overdue; got != i {
				t.Errorf("overdue %d, want %d", got, i)
			}
			quick(200)
			for _, f := range faults(net.get("/slow"), 503, "deadline", "capped") {
				t.Error(f)
			}
		}
		if got := to.Stats().Overdue; got != n {
			t.Errorf("overdue %d, want %d", got, n)
		}
		before := inside.Load()
		quick(503)
		start := time.Now()
		for _, f := range faults(net.get("/slow"), 503, "overdue", "capped") {
			t.Error(f)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("refused after %v", took)
		}
		if inside.Load() != before {
			t.Error("a refused request reaches the handler")
		}

		release <- struct{}{}
		synctest.Wait()
		if got := to.Stats().Overdue; got != n-1 {
			t.Errorf("overdue %d, want %d", got, n-1)
		}
		quick(200)
		for _, f := range faults(net.get("/slow"), 503, "deadline", "capped") {
			t.Error(f)
		}
		quick(503)
		close(release)
		synctest.Wait()
		quick(200)
		synctest.Wait()
		if st := to.Stats(); st.Overdue != 0 || st.Refused != 3 || st.Timeouts != n+1 || st.Requests != 2*n+3 || st.Expired != 0 {
			t.Errorf("%+v", st)
		}
		overdue := 0
		for _, e := range events {
			if e.Reason == timeout.ReasonOverdue {
				overdue++
			}
		}
		if overdue != 3 || len(events) != n+1+3 {
			t.Errorf("events %+v", events)
		}
	})
}

// Requests that are still in time are not overdue, however many there are, and
// all that are in when the cap is reached are answered.
func TestTheCapIsNoLimitOnRequests(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		const crowd = 50
		to := made(t, timeout.Basic(time.Second), timeout.WithMaxOverdue(1))
		over := make(chan struct{})
		net := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-over })))
		replies := make(chan *reply, crowd)
		for range crowd {
			go func() { replies <- net.get("/") }()
		}
		for range crowd {
			for _, f := range faults(<-replies, 503, "deadline", "") {
				t.Error(f)
			}
		}
		if got := to.Stats().Overdue; got != crowd {
			t.Errorf("overdue %d, want %d", got, crowd)
		}
		close(over)
		synctest.Wait()
		if got := to.Stats().Overdue; got != 0 {
			t.Errorf("overdue %d", got)
		}
	})
}

// Streams that were cut while their handler runs on are overdue as well, and
// what ends badly does not stay in the gauge.
func TestEveryWayToEndLeavesTheGauge(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"return": func() {},
		"panic":  func() { panic(http.ErrAbortHandler) },
		"value":  func() { panic("a value") },
	} {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/begun %v", name, begun), func(t *testing.T) {
				inBubble(t, lanes, func(t *testing.T, l lane) {
					to := made(t, timeout.Basic(time.Second))
					net := connect(t, l, to.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if begun {
							w.(http.Flusher).Flush()
						}
						time.Sleep(time.Minute)
						end()
					})))
					net.get("/")
					synctest.Wait()
					if st := to.Stats(); st.Overdue != 1 || st.Timeouts != 1 {
						t.Errorf("while it runs: %+v", st)
					}
					time.Sleep(time.Hour)
					synctest.Wait()
					if st := to.Stats(); st.Overdue != 0 || st.Timeouts != 1 {
						t.Errorf("afterwards: %+v", st)
					}
				})
			})
		}
	}
}

// Whatever has begun and however it ends, before its deadline or after, alone
// or behind another timeout: nothing stays in a gauge.
func TestNoWayToBeginAndEndStaysInAGauge(t *testing.T) {
	t.Parallel()
	begins := map[string]func(w http.ResponseWriter){
		"nothing": func(http.ResponseWriter) {},
		"flush":   func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"events": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
		},
		"takeover": func(w http.ResponseWriter) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		},
	}
	ends := map[string]func(){"return": func() {}, "abort": func() { panic(http.ErrAbortHandler) }, "exit": runtime.Goexit}
	for beginning, begin := range begins {
		t.Run(beginning, func(t *testing.T) {
			inBubble(t, lanes, func(t *testing.T, l lane) {
				for ending, end := range ends {
					if ending == "exit" && l.proto == 2 {
						continue // net/http never ends its stream
					}
					for _, lasting := range []time.Duration{0, time.Second, 5 * time.Second} {
						for _, nested := range []bool{false, true} {
							opts := []timeout.Option{timeout.Basic(time.Second), timeout.WithIdleTimeout(2 * time.Second)}
							outer, inner := made(t, opts...), made(t, opts...)
							var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
								begin(w)
								time.Sleep(lasting)
								end()
							})
							if nested {
								h = inner.Wrap(h)
							}
							connect(t, l, outer.Wrap(h)).get("/")
							time.Sleep(time.Minute)
							synctest.Wait()
							for _, to := range []*timeout.Timeout{outer, inner} {
								if st := to.Stats(); st.Overdue != 0 || st.LongLived != 0 {
									t.Errorf("%s after %v, nested %v: %+v", ending, lasting, nested, st)
								}
							}
							if st := outer.Stats(); st.Requests == 0 {
								t.Errorf("%s after %v, nested %v: no request arrives", ending, lasting, nested)
							}
						}
					}
				}
			})
		})
	}
}
