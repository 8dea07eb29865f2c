package timeout_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
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
	t.Parallel()
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

// How long it takes to panic says nothing about how long the work takes.
func TestPanicsTeachNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		end   func()
		learn bool
	}{
		{"return", func() {}, true}, // or the rest would prove nothing
		{"abort", func() { panic(http.ErrAbortHandler) }, false},
		{"exit", runtime.Goexit, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{MinSamples: 10})
				h := timeout.Middleware(timeout.Dynamic(time.Minute, calc))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					time.Sleep(time.Second)
					c.end()
				}))
				for range 30 {
					done := make(chan struct{})
					go func() {
						defer close(done)
						defer func() { recover() }()
						h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
					}()
					<-done
				}
				got := calc.Timeout(httptest.NewRequest("GET", "/", nil), time.Minute)
				if learnt := got != time.Minute; learnt != c.learn {
					t.Errorf("the timeout is %v", got)
				}
			})
		})
	}
}

// On the server's own goroutine too.
func TestPanicsOnTheServingGoroutineTeachNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, lanes, func(t *testing.T, l lane) {
		calc := timeout.ByQuantile(0.99, timeout.QuantileSettings{MinSamples: 10})
		n := connect(t, l, made(t, timeout.Dynamic(time.Minute, calc)).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Second)
			panic(http.ErrAbortHandler)
		})))
		for range 30 {
			n.get("/")
		}
		if got := calc.Timeout(httptest.NewRequest("GET", "/", nil), time.Minute); got != time.Minute {
			t.Errorf("learnt %v", got)
		}
	})
}
