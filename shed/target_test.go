package shed_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// crowded is a handler whose time grows with the number of requests inside.
func crowded(each *atomic.Int64) http.Handler {
	var inside atomic.Int64
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		time.Sleep(time.Duration(n * each.Load()))
		inside.Add(-1)
	})
}

// clients keep n requests on their way until the bubble's end.
func clients(t *testing.T, h http.Handler, n int) (stop func()) {
	var stopped atomic.Bool
	for range n {
		go func() {
			for !stopped.Load() {
				if get(h) != http.StatusOK {
					time.Sleep(5 * time.Millisecond)
				}
			}
		}()
	}
	return func() { stopped.Store(true); time.Sleep(2 * time.Second) }
}

func TestALatencyTargetLowersTheLimitAndLetsItRiseAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var each atomic.Int64
		each.Store(int64(4 * time.Millisecond))
		const target = 40 * time.Millisecond
		s := shedder(t, shed.ForTarget(target), shed.WithLimits(1, 30, 30),
			shed.WithSampler(new(machine).sampler(t, load.WithWindow(5*time.Second))))
		stop := clients(t, s.Wrap(crowded(&each)), 40)
		time.Sleep(20 * time.Second)
		// Ten requests inside take 40 ms each.
		low := s.Stats().Limit
		if low < 3 || low > 12 {
			t.Errorf("the limit is %d where ten requests inside meet the target", low)
		}
		// The sampler's window has forgotten the beginning.
		if p95 := s.Stats().Load.P95; p95 > target*3/2 {
			t.Errorf("the 95th percentile is %v, the target %v", p95, target)
		}
		each.Store(int64(time.Millisecond))
		time.Sleep(15 * time.Second)
		if high := s.Stats().Limit; high < 2*low {
			t.Errorf("the limit rose from %d to %d although the handler is four times as quick", low, high)
		}
		stop()
		empty(t, s)
	})
}

func TestWithoutATargetSlowAnswersDoNotLowerAFixedLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var each atomic.Int64
		each.Store(int64(4 * time.Millisecond))
		s := shedder(t, fixed(20))
		stop := clients(t, s.Wrap(crowded(&each)), 40)
		time.Sleep(10 * time.Second)
		if got := s.Stats().Limit; got != 20 {
			t.Errorf("the limit is %d", got)
		}
		stop()
		empty(t, s)
	})
}
