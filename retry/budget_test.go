package retry_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/retry"
)

func TestAServiceThatFailsAltogetherGetsAFifthMore(t *testing.T) {
	for _, perSecond := range []int{10, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			p := made(t, retry.WithFixed(1))
			h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				attempts++
				w.WriteHeader(503)
			}))
			const requests = 10_000
			for range requests {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
				time.Sleep(time.Second / time.Duration(perSecond))
			}
			if extra := attempts - requests; extra > requests/5 || extra < requests/5-10 {
				t.Errorf("%d requests a second: %d extra attempts for %d requests", perSecond, extra, requests)
			}
			if s := p.Stats(); s.Attempts != uint64(attempts) || s.BudgetDenied == 0 || s.Budget.Denied != s.BudgetDenied {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestOneInTenFailuresAtRandomIsHardlyEverSeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	synctest.Test(t, func(t *testing.T) {
		p := made(t)
		h := p.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if rng.IntN(10) == 0 {
				w.WriteHeader(503)
			}
		}))
		const requests = 10_000
		good := 0
		for range requests {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code == 200 {
				good++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if good < requests*998/1000 {
			t.Errorf("%d of %d requests were good: %+v", good, requests, p.Stats())
		}
		if s := p.Stats(); s.Recovered == 0 || s.Recovered+s.Exhausted+s.BudgetDenied < s.Retried {
			t.Errorf("%+v", s)
		}
	})
}

func TestAQuietClientMayRepeatWithinItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		h := retry.Middleware(retry.WithFixed(1))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			attempts++
			w.WriteHeader(503)
		}))
		for range 100 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			time.Sleep(10 * time.Second)
		}
		if attempts != 300 {
			t.Errorf("%d attempts for 100 requests, ten seconds apart", attempts)
		}
		// At two a second, one of its two wishes each is granted.
		attempts = 0
		for range 200 {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			time.Sleep(500 * time.Millisecond)
		}
		if attempts < 290 || attempts > 320 {
			t.Errorf("%d attempts for 200 requests, half a second apart", attempts)
		}
	})
}

func TestAQuietTimeIsRepaidWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := retry.NewBudget(0.2, 1)
		if err != nil {
			t.Fatal(err)
		}
		attempts := 0
		h := retry.Middleware(retry.WithFixed(1), retry.WithBudget(b))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			attempts++
			w.WriteHeader(503)
		}))
		serve := func(n int) {
			for range n {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}
		}
		serve(1000)
		if attempts > 1200 {
			t.Errorf("%d attempts for 1000 requests at once", attempts)
		}
		if s := b.Stats(); s.Tokens < -10 || s.Tokens >= 1 || s.Requests != 1000 {
			t.Errorf("%+v", s)
		}
	})
}

func TestASharedBudgetBoundsAllWhoShareIt(t *testing.T) {
	b, err := retry.NewBudget(0.5, 0)
	if err != nil {
		t.Fatal(err)
	}
	var attempts atomic.Int64
	bad := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { attempts.Add(1); w.WriteHeader(503) })
	one := made(t, eager(retry.WithBudget(b))...)
	two := made(t, eager(retry.WithBudget(b))...)
	rt := two.Transport(tripper(func(r *http.Request) (*http.Response, error) {
		attempts.Add(1)
		return nil, io.EOF
	}))
	h := one.Wrap(bad)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
				rt.RoundTrip(request(t, "GET", "http://example.com", nil))
			}
		})
	}
	all.Wait()
	const requests = 64 * 20 * 2
	if extra := attempts.Load() - requests; extra > requests/2 || extra < requests/2-5 {
		t.Errorf("%d extra attempts for %d requests", extra, requests)
	}
}

func TestABudgetSavesForOneBurst(t *testing.T) {
	b, err := retry.NewBudget(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := retry.Middleware(eager(retry.WithBudget(b))...)(http.NotFoundHandler())
	for range 1000 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	if s := b.Stats(); s.Tokens != 100 {
		t.Errorf("%+v", s)
	}
}

func TestWrongBudgetsAreRefused(t *testing.T) {
	nan := 0.0
	nan /= nan
	for _, tc := range []struct {
		ratio, floor float64
		faults       int
	}{{-0.1, 1, 1}, {1.1, 1, 1}, {nan, 1, 1}, {0.2, -1, 1}, {0.2, 1001, 1}, {0.2, nan, 1}, {2, 2000, 2}, {0, 0, 0}, {1, 1000, 0}} {
		b, err := retry.NewBudget(tc.ratio, tc.floor)
		if got := optiontest.Faults(t, err); len(got) != tc.faults || (b == nil) != (tc.faults > 0) {
			t.Errorf("%v, %v: %v", tc.ratio, tc.floor, err)
		}
	}
}

func TestABusyClientNeverGetsMoreThanItPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		h := retry.Middleware(retry.WithFixed(1))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			attempts++
			w.WriteHeader(503)
		}))
		for n := 1; n <= 5000; n++ {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			// What it got while it looked quiet is repaid by then.
			if extra := attempts - n; n > 100 && extra > n/5 {
				t.Fatalf("%d extra attempts for %d requests", extra, n)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// As the manual says: a budget has nothing saved in the beginning.
func TestANewProcessRepeatsItsFirstFailuresWhereTheFloorIsHighEnough(t *testing.T) {
	for perSecond, all := range map[float64]bool{1: false, 10: true} {
		synctest.Test(t, func(t *testing.T) {
			budget, err := retry.NewBudget(0.2, perSecond)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			h := retry.Middleware(retry.WithBudget(budget), retry.WithFixed(1))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if n++; n%2 == 1 {
					w.WriteHeader(503)
				}
			}))
			shown := 0
			for range 90 { // of 45 a second
				n = 0
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code == 503 {
					shown++
				}
				time.Sleep(time.Second / 45)
			}
			if all && shown > 0 || !all && shown < 45 {
				t.Errorf("with %v a second, %d of 90 failures were shown", perSecond, shown)
			}
		})
	}
}
