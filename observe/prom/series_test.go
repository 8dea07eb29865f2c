package prom_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/prom"
)

// counted sums up the samples of durations of series whose labels contain all of
// these.
func counted(t testing.TB, r prometheus.Gatherer, labels ...string) (series int, requests uint64) {
	t.Helper()
next:
	for id, m := range gathered(t, r) {
		if !strings.HasPrefix(id, "http_server_request_duration_seconds{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(id, l) {
				continue next
			}
		}
		series++
		requests += m.Histogram.GetSampleCount()
	}
	return series, requests
}

func TestSeriesBeyondTheBoundAreSharedAndNothingIsLost(t *testing.T) {
	const most = 50
	m := made(t, prom.WithMaxSeries(most))
	r := registered(t, m)
	total, failures := uint64(0), uint64(0)
	for round := range 2 {
		for i := range 500 {
			for status := 200; status < 600; status += 101 {
				pass(m, answered(func(x *observe.Exchange) {
					x.Route, x.Status = fmt.Sprintf("/route/%d", i), status
					if status >= 500 {
						x.ErrorType = fmt.Sprint(status)
						failures++
					}
				}))
				total++
			}
		}
		series, requests := counted(t, r)
		if requests != total {
			t.Errorf("round %d: %d requests are counted, want %d", round, requests, total)
		}
		if own := m.Stats().Series; own != most || series > most+4 {
			t.Errorf("round %d: %d series, %d of their own, want at most %d", round, series, own, most)
		}
		if _, failed := counted(t, r, `http_response_status_code="5`); failed != failures {
			t.Errorf("round %d: %d requests failed by their status, want %d", round, failed, failures)
		}
	}
	if _, shared := counted(t, r, `http_route="_other"`, `http_request_method="_OTHER"`, `xx"`); shared != m.Stats().Shared || shared < total-2*most {
		t.Errorf("%d requests are in shared series, %d were counted as such", shared, m.Stats().Shared)
	}
	if _, named := counted(t, r, `error_type="_OTHER"`, `http_response_status_code="5xx"`); named == 0 {
		t.Error("shared failures are no errors")
	}
}

func TestSharedSeriesAreFewWhateverComes(t *testing.T) {
	m := made(t, prom.WithMaxSeries(1))
	for _, method := range []string{"GET", "PUT", "_OTHER"} {
		for _, kind := range []string{"", "shed", "timeout", "breaker_open", "bulkhead_full", "canceled", "panic", "aborted", "new", "500"} {
			for status := range 1000 {
				pass(m, answered(func(x *observe.Exchange) { x.Method, x.ErrorType, x.Status = method, kind, status }))
			}
		}
	}
	// Six classes of status by nine of errors, and the one of its own.
	if series, _ := counted(t, registered(t, m)); series > 6*9+1 {
		t.Errorf("there are %d series", series)
	}
}

func TestManyGoroutinesCountEveryRequestOnce(t *testing.T) {
	const goroutines, each = 64, 300
	m := made(t, prom.WithMaxSeries(100))
	r := registered(t, m)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				pass(m, answered(sampled, func(x *observe.Exchange) {
					x.Route, x.Status, x.LongLived = fmt.Sprintf("/%d", (g+i)%40), 200+i%5, i%10 == 0
				}))
				if i == each/2 {
					if _, err := r.Gather(); err != nil {
						t.Error(err)
					}
					m.Stats()
				}
			}
		})
	}
	wg.Wait()
	_, requests := counted(t, r)
	long := 0.0
	for id, x := range gathered(t, r) {
		switch {
		case strings.HasPrefix(id, "http_server_long_lived_requests_total"):
			long += x.Counter.GetValue()
		case strings.HasPrefix(id, "http_server_active") && x.Gauge.GetValue() != 0:
			t.Errorf("%s is %v", id, x.Gauge.GetValue())
		}
	}
	if requests != goroutines*each*9/10 || long != goroutines*each/10 {
		t.Errorf("%d requests and %v long-lived ones of %d", requests, long, goroutines*each)
	}
	if n := m.Stats().Series; n != 100 {
		t.Errorf("%d series of their own", n)
	}
}

func TestABucketGetsAnExemplarOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := made(t)
		trace := byte(0)
		at := func(took time.Duration, change ...func(*observe.Exchange)) {
			trace++
			pass(m, answered(append(change, func(x *observe.Exchange) {
				sampled(x)
				x.Duration, x.Trace.TraceID[1] = took, trace
			})...))
		}
		shows := func(want uint64) {
			t.Helper()
			if got := m.Stats().Exemplars; got != want {
				t.Errorf("%d exemplars, want %d", got, want)
			}
		}
		for range 100 {
			at(30 * time.Millisecond)
		}
		shows(1)
		at(31 * time.Millisecond)
		shows(1)
		at(300 * time.Millisecond) // of another bucket
		at(time.Minute)            // of the infinite one
		shows(3)
		at(30*time.Millisecond, func(x *observe.Exchange) { x.Status = 201 }) // of another series
		shows(4)
		time.Sleep(time.Second - 3*time.Millisecond)
		at(30 * time.Millisecond)
		shows(4)
		time.Sleep(3 * time.Millisecond)
		at(30 * time.Millisecond)
		shows(5)
		m2 := made(t, prom.WithExemplars(false))
		pass(m2, answered(sampled))
		if n := m2.Stats().Exemplars; n != 0 {
			t.Errorf("%d exemplars where they are off", n)
		}
	})
}

func TestWhatIsNoLabelMakesNoSeries(t *testing.T) {
	m := made(t, prom.WithClassicNames())
	for _, scheme := range []string{"http", "https"} {
		for _, kind := range []string{"", "shed", "503", "panic"} {
			pass(m, answered(func(x *observe.Exchange) { x.Scheme, x.Status, x.ErrorType = scheme, 503, kind }))
		}
	}
	if n := m.Stats().Series; n != 1 {
		t.Errorf("%d series", n)
	}
}
