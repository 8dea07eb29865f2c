package retry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/leaktest"
	"github.com/handrail-go/handrail/retry"
)

// Handlers and clients of one Retrier, 64 at a time, some of which leave, while
// somebody looks at the figures.
func TestSixtyFourAtATimeGetWhatIsTheirs(t *testing.T) {
	leaktest.Check(t)
	bothVersions(t, func(t *testing.T, proto int) {
		var events atomic.Int64
		p := made(t, retry.WithFixed(time.Microsecond), retry.WithoutBudget(), retry.WithAttempts(4),
			retry.WithHedging(5*time.Millisecond, 1), retry.WithAttemptHeader("X-Attempt"),
			retry.OnRetry(func(retry.Event) { events.Add(1) }), retry.OnGiveUp(func(retry.GiveUp) { events.Add(1) }))
		var served atomic.Int64
		s := serving(t, proto, p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := served.Add(1)
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			w.Header().Set("X-Owner", r.Header.Get("X-Owner"))
			w.Header().Add("X-Attempts", r.Header.Get("X-Attempt"))
			if n%3 == 0 {
				w.WriteHeader(503)
				io.WriteString(w, "bad")
				go w.Write([]byte("late"))
				return
			}
			w.Write(b)
		})).ServeHTTP)
		s.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 128
		rt := p.Transport(s.Client().Transport)
		stop := make(chan struct{})
		var watch, all sync.WaitGroup
		watch.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.Stats()
					p.Collect(func(handrail.Metric) {})
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
		for i := range 64 {
			all.Go(func() {
				for j := range 5 {
					owner := fmt.Sprintf("%d-%d", i, j)
					upload := bytes.Repeat([]byte(owner), 200)
					ctx, cancel := context.WithCancel(context.Background())
					if j == 4 {
						time.AfterFunc(time.Duration(i)*100*time.Microsecond, cancel)
					}
					method, body := "PUT", io.Reader(bytes.NewReader(upload))
					if i%2 == 0 {
						method, body, upload = "GET", nil, nil
					}
					r := request(t, method, s.URL, body).WithContext(ctx)
					r.Header.Set("X-Owner", owner)
					resp, err := rt.RoundTrip(r)
					if err != nil {
						if ctx.Err() == nil {
							t.Error(err)
						}
						cancel()
						continue
					}
					b, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					switch {
					case err != nil:
						if ctx.Err() == nil {
							t.Error(err)
						}
					case resp.Header.Get("X-Owner") != owner || len(resp.Header["X-Owner"]) != 1:
						t.Errorf("%s got the answer of %v", owner, resp.Header["X-Owner"])
					case resp.StatusCode == 200 && !bytes.Equal(b, upload):
						t.Errorf("%s got %d bytes, want %d", owner, len(b), len(upload))
					case resp.StatusCode != 200 && string(b) != "bad":
						t.Errorf("%s got %d %q", owner, resp.StatusCode, b)
					}
					cancel()
				}
			})
		}
		all.Wait()
		close(stop)
		watch.Wait()
		s.Client().CloseIdleConnections()
		if st := p.Stats(); st.Retried == 0 || st.Recovered == 0 || st.Attempts < st.Requests+st.Retried {
			t.Errorf("%+v", st)
		}
	})
}

// What an attempt left behind goes on while the next ones run.
func TestLeftoversOfAttemptsMeetNobody(t *testing.T) {
	var left sync.WaitGroup
	h := retry.Middleware(eager(retry.WithAttempts(20))...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		left.Go(func() {
			for i := range 50 {
				w.Header().Set("X-Left", fmt.Sprint(i))
				w.WriteHeader(200)
				w.Write([]byte("left"))
				w.(http.Flusher).Flush()
				body.Read(make([]byte, 10))
				body.Close()
			}
		})
		left.Wait() // each ends with its attempt here, which the next part does without
		w.WriteHeader(503)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", "/", bytes.NewReader(make([]byte, 100_000))))

	n := 0
	var w2 http.ResponseWriter
	h = retry.Middleware(eager(retry.WithAttempts(20))...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		old := w2
		w2 = w
		if old != nil {
			left.Go(func() {
				if len(old.Header()) > 0 {
					t.Error("a leftover sees what stands outside")
				}
				for range 50 {
					old.Header().Set("X-Left", "1")
					old.WriteHeader(103)
					old.WriteHeader(200)
					if _, err := old.Write([]byte("left")); err == nil {
						t.Error("a leftover wrote")
					}
					old.(http.Flusher).Flush()
				}
			})
		}
		if n < 20 {
			w.WriteHeader(503)
			return
		}
		w.Header().Set("X-N", fmt.Sprint(n))
		w.Write([]byte("last"))
	}))
	w := httptest.NewRecorder()
	w.Header().Set("X-Outside", "1")
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	left.Wait()
	if w.Code != 200 || w.Body.String() != "last" || w.Header().Get("X-N") != "20" || w.Header().Get("X-Left") != "" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}
