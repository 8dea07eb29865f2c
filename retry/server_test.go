package retry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/retry"
)

func TestAHandlersRetryAfterIsWaitedForAndNeverShortened(t *testing.T) {
	for value, least := range map[string]time.Duration{"7": 7 * time.Second, "0": 0, "soon": 0, "Sat, 01 Jan 2000 00:00:20 GMT": 20 * time.Second} {
		for _, jitter := range []retry.Jitter{retry.FullJitter, retry.EqualJitter, retry.NoJitter, retry.PlusMinus(1)} {
			synctest.Test(t, func(t *testing.T) { // whose time begins in 2000
				start, n := time.Now(), 0
				h := retry.Middleware(retry.WithFixed(time.Second), retry.WithJitter(jitter))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if n++; n == 1 {
						w.Header().Set("Retry-After", value)
						w.WriteHeader(503)
					}
				}))
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if d := time.Since(start); w.Code != 200 || w.Header().Get("Retry-After") != "" || d < least || d > least+time.Second {
					t.Errorf("%q with jitter %v: %d after %v", value, jitter, w.Code, d)
				}
			})
		}
	}
}

func TestAClientThatLeavesDuringADelayEndsItAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name string
		ctx  func() (context.Context, context.CancelFunc)
		took time.Duration
		want retry.Reason
	}{
		{"leaves", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Minute, cancel)
			return ctx, cancel
		}, time.Minute, retry.ReasonCanceled},
		{"has a deadline before", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Hour)
		}, 0, retry.ReasonDeadline},
		{"has left before", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, cancel
		}, 0, retry.ReasonCanceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tc.ctx()
				defer cancel()
				start, n := time.Now(), 0
				p := made(t, retry.WithFixed(2*time.Hour), retry.WithJitter(retry.NoJitter))
				w := httptest.NewRecorder()
				p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					n++
					w.Header().Set("X-Last", "1")
					w.WriteHeader(503)
					w.Write([]byte("bad"))
				})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
				if took := time.Since(start); took != tc.took || n != 1 || p.Stats().GaveUp[tc.want] != 1 {
					t.Errorf("%d attempts in %v, %+v", n, took, p.Stats())
				}
				// The last real answer, not an empty 200.
				if w.Code != 503 || w.Body.String() != "bad" || w.Header().Get("X-Last") != "1" {
					t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
				}
			})
		})
	}
}
