package live

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
)

// counting is a source that counts how often it is asked.
type counting struct {
	asked atomic.Int64
	late  atomic.Bool // tells more
	panic atomic.Bool
}

func (c *counting) Collect(emit func(handrail.Metric)) {
	n := c.asked.Add(1)
	emit(handrail.Metric{Name: "handrail_bulkhead_in_use_slots", Value: float64(n)})
	emit(handrail.Metric{Name: "handrail_bulkhead_admitted_requests_total", Kind: handrail.Counter, Value: float64(10 * n)})
	if c.late.Load() {
		emit(handrail.Metric{Name: "handrail_breaker_circuits", Labels: []handrail.Label{{Name: "state", Value: "open"}}})
	}
	if c.panic.Load() {
		panic("no figures")
	}
}

func TestOneCollectionServesAllViewersAndNoneWhereNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(counting)
		h := newHub([]handrail.Source{source}, time.Second, 3)
		time.Sleep(time.Hour)
		if n := source.asked.Load(); n != 0 {
			t.Errorf("asked %d times before anybody looked", n)
		}
		var viewers []*viewer
		for range 3 {
			v, err := h.join()
			if err != nil {
				t.Fatal(err)
			}
			viewers = append(viewers, v)
		}
		if _, err := h.join(); err != errFull {
			t.Errorf("the fourth is told %v", err)
		}
		synctest.Wait()
		for second := range 5 {
			for _, v := range viewers {
				text := string(<-v.out)
				if want := map[bool]string{true: `{"event":"config"`, false: `{"event":"metrics"`}[second == 0]; !strings.HasPrefix(text, want) {
					t.Errorf("message %d is %s", second, text)
				}
			}
			if n := source.asked.Load(); n != int64(second+1) {
				t.Errorf("after %d s asked %d times", second, n)
			}
		}
		for _, v := range viewers {
			h.leave(v)
		}
		synctest.Wait()
		before := source.asked.Load()
		time.Sleep(time.Hour)
		if n := source.asked.Load(); n != before {
			t.Errorf("asked %d times more after all had gone", n-before)
		}
		if st := h.stats(); st.Viewers != 0 || st.Refused != 1 || st.Collections != uint64(before) || st.SkippedPoints != 0 {
			t.Errorf("%+v", st)
		}

		v, err := h.join() // it begins again
		if err != nil {
			t.Fatal(err)
		}
		if text := string(<-v.out); !strings.HasPrefix(text, `{"event":"config"`) {
			t.Errorf("it begins with %s", text)
		}
		h.leave(v)
		h.close()
	})
}

func TestASlowViewerMissesPointsAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub([]handrail.Source{new(counting)}, time.Second, 2)
		slow, _ := h.join()
		quick, _ := h.join()
		got := 0
		stop := time.After(time.Minute + time.Second/2)
	loop:
		for {
			select {
			case <-quick.out:
				got++
			case <-stop:
				break loop
			}
		}
		if got != 61 {
			t.Errorf("the quick one got %d messages in a minute", got)
		}
		if n := len(slow.out); n != cap(slow.out) || h.stats().SkippedPoints != uint64(61-n) {
			t.Errorf("the slow one has %d, and missed %d", n, h.stats().SkippedPoints)
		}
		if text := string(<-slow.out); !strings.HasPrefix(text, `{"event":"config"`) {
			t.Errorf("its first message is %s", text)
		}
		h.leave(slow)
		h.leave(quick)
		h.close()
	})
}

func TestWhoComesLaterKnowsMoreCurvesAndWhoWasThereGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(counting)
		h := newHub([]handrail.Source{source}, time.Second, 2)
		first, _ := h.join()
		<-first.out
		source.late.Store(true)
		<-first.out
		second, _ := h.join()
		if text := string(<-second.out); !strings.Contains(text, `"breaker"`) {
			t.Errorf("the second is not told of the new plot: %s", text)
		}
		if text := string(<-first.out); strings.Contains(text, `"breaker"`) || !strings.Contains(text, `"bulkhead"`) {
			t.Errorf("the first is told %s", text)
		}
		if text := string(<-second.out); !strings.Contains(text, `"breaker"`) {
			t.Errorf("the second is told %s", text)
		}
		source.panic.Store(true)
		if text := string(<-first.out); !strings.Contains(text, `"bulkhead"`) || h.stats().SourcePanics != 1 {
			t.Errorf("%d panics, and %s", h.stats().SourcePanics, text)
		}
		h.leave(first)
		h.leave(second)
		h.close()
	})
}

func TestCloseRefusesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub([]handrail.Source{new(counting)}, time.Second, 2)
		v, _ := h.join()
		done := make(chan struct{})
		go func() {
			h.close()
			close(done)
		}()
		<-h.over
		synctest.Wait()
		select {
		case <-done:
			t.Error("Close did not wait for the viewer")
		default:
		}
		if _, err := h.join(); err != errClosed {
			t.Errorf("who comes then is told %v", err)
		}
		h.leave(v)
		<-done
		h.close()
	})
}

func TestViewersComeAndGoFromManyGoroutines(t *testing.T) {
	source := new(counting)
	h := newHub([]handrail.Source{source}, time.Millisecond, 40)
	done := make(chan struct{})
	for range 64 {
		go func() {
			for range 50 {
				if v, err := h.join(); err == nil {
					if text := string(<-v.out); !strings.HasPrefix(text, `{"event":"config"`) {
						t.Errorf("the first message is %s", text)
					}
					h.leave(v)
				}
				h.stats()
			}
			done <- struct{}{}
		}()
	}
	for range 64 {
		<-done
	}
	h.close()
	if st := h.stats(); st.Viewers != 0 || st.Collections == 0 {
		t.Errorf("%+v", st)
	}
}
