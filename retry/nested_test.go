package retry_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/timeout"
)

// soon answers without a Retry-After, which would be waited for.
var soon = timeout.WithRejectionHandler(func(w http.ResponseWriter, _ *http.Request, _ handrail.Rejection) {
	w.WriteHeader(http.StatusServiceUnavailable)
})

// A timeout within is that of an attempt, one outside that of all.
func TestATimeoutWithinIsRepeatedAndOneOutsideIsNot(t *testing.T) {
	bothVersions(t, func(t *testing.T, proto int) {
		for _, tc := range []struct {
			inner, outer time.Duration
			attempts     int
			status       int
		}{{20 * time.Millisecond, time.Minute, 2, 200}, {time.Minute, 20 * time.Millisecond, 1, 503}} {
			n := make(chan int, 10)
			count := 0
			p := made(t, eager()...)
			s := serving(t, proto, timeout.Middleware(timeout.Basic(tc.outer))(p.Wrap(timeout.Middleware(timeout.Basic(tc.inner), soon)(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					count++
					n <- count
					if count == 1 {
						w.Header().Set("X-First", "1")
						<-r.Context().Done()
						return
					}
					fmt.Fprint(w, "second")
				})))).ServeHTTP)
			resp, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != tc.status || len(n) != tc.attempts || resp.Header.Get("X-First") != "" || tc.status == 200 && string(b) != "second" {
				t.Errorf("%+v: %d %q after %d attempts", tc, resp.StatusCode, b, len(n))
			}
			s.Close()
			if st := p.Stats(); tc.status != 200 && st.GaveUp[retry.ReasonDeadline]+st.GaveUp[retry.ReasonCanceled] > 1 {
				t.Errorf("%+v", st)
			}
		}
	})
}

// Its answer is a failure like others also where the handler does not come back,
// and where somebody else stands between.
func TestATimeoutWithinIsRepeatedThoughItsHandlerIgnoresItsContext(t *testing.T) {
	bothVersions(t, func(t *testing.T, proto int) {
		for name, between := range map[string]func(http.Handler) http.Handler{
			"nothing between":    func(next http.Handler) http.Handler { return next },
			"a breaker between":  breaker.Middleware(),
			"a timeout between":  timeout.Middleware(timeout.Basic(time.Minute)),
			"a bulkhead between": bulkhead.Middleware(),
		} {
			t.Run(name, func(t *testing.T) {
				hold := make(chan struct{})
				var n atomic.Int32
				p := made(t, eager()...)
				s := serving(t, proto, p.Wrap(between(timeout.Middleware(timeout.Basic(20*time.Millisecond), soon)(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if n.Add(1) == 1 {
							<-hold
							return
						}
						fmt.Fprint(w, "second")
					})))).ServeHTTP)
				resp, err := s.Client().Get(s.URL)
				close(hold)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || string(b) != "second" || n.Load() != 2 {
					t.Errorf("%d %q after %d attempts", resp.StatusCode, b, n.Load())
				}
				s.Close()
			})
		}
	})
}
