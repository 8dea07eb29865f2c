package timeout_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/timeout"
)

func TestWhatIsLearntAtTheDeadlineIsNotLookedUpInARequestThatMayBeChanging(t *testing.T) {
	calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{Operation: handrail.ByHeader("X-Op")})
	stop := make(chan bool)
	h := timeout.Middleware(timeout.Dynamic(20*time.Millisecond, calc))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case <-stop:
				return
			default:
				r.Header.Set("X-Scratch", "1")
				r.Header.Del("X-Scratch")
			}
		}
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	close(stop)
}

func TestARouteLearntInsideOfAMuxIsFoundAgainOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{MinSamples: 10})
		mux := http.NewServeMux()
		mux.HandleFunc("GET /x", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })
		h := timeout.Middleware(timeout.Dynamic(time.Minute, calc))(mux)
		for range 20 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
		}
		if got := calc.Timeout(httptest.NewRequest("GET", "/x", nil), time.Minute); got == time.Minute {
			t.Errorf("nothing was learnt: %v", got)
		}
	})
}
