package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestServiceTimesHaveTheMeanThatWasAskedFor(t *testing.T) {
	times := newServiceTimes(20*time.Millisecond, newSource(1))
	deck := func() (sum, longest time.Duration) {
		for range 256 {
			d := times.draw()
			sum, longest = sum+d, max(longest, d)
		}
		return sum, longest
	}
	first, longest := deck()
	if second, _ := deck(); first != second || (first/256-20*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("means %v and %v", first/256, second/256)
	}
	if longest < 50*time.Millisecond || longest > 100*time.Millisecond {
		t.Errorf("the longest of 256 is %v", longest)
	}
}

// What runs through the pool in virtual time is exactly workers ÷ mean, and
// nothing is served before its turn.
func TestPoolServesAtItsCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := newPool(20, 20*time.Millisecond, newSource(1))
		start := time.Now()
		var all sync.WaitGroup
		for range 2560 {
			all.Go(func() {
				w := httptest.NewRecorder()
				pool.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != 200 || w.Body.String() != "served\n" {
					t.Error(w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took < 2540*time.Millisecond || took > 2660*time.Millisecond {
			t.Errorf("2560 requests in %v at 1000 a second", took)
		}
		// An idle pool serves at once.
		start = time.Now()
		pool.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("one request took %v", took)
		}
	})
}

func TestWorkersAreNotLostWhenAHandlerPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := newPool(1, time.Millisecond, newSource(1))
		for range 3 {
			func() {
				defer func() { recover() }()
				pool.ServeHTTP(broken{}, httptest.NewRequest("GET", "/", nil))
			}()
		}
		pool.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
}

type broken struct{ http.ResponseWriter }

func (broken) Header() http.Header { panic(http.ErrAbortHandler) }

func TestCalibrationScalesWithTheWork(t *testing.T) {
	small, large := calibrate(time.Millisecond), calibrate(10*time.Millisecond)
	if small < 1 || large < 2*small {
		t.Errorf("%d rounds for 1 ms, %d for 10 ms", small, large)
	}
	if calibrate(0) != 1 {
		t.Error("no work is no round")
	}
}

func TestServerHoldsABoundedNumberOfConnections(t *testing.T) {
	inside := make(chan struct{}, 10)
	release := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-release
	}))
	srv.Listener = newBounded(srv.Listener, 2)
	srv.Start()
	defer srv.Close()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			w := &wire{ctx: t.Context(), addr: srv.Listener.Addr().String(), requests: rendered("example.org")}
			defer w.close()
			if status, err := w.do(0, time.Now().Add(time.Minute)); status != 200 || err != nil {
				t.Error(status, err)
			}
		})
	}
	<-inside
	<-inside
	if n := len(srv.Listener.(*bounded).slots); n != 2 {
		t.Errorf("%d connections", n)
	}
	close(release) // the third is served once one of the two has left
	all.Wait()
}
