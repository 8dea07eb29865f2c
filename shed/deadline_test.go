package shed_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/shed"
)

// taught is a Shedder with n slots that knows how long its handler takes.
func taught(t *testing.T, n int, takes time.Duration, opts ...shed.Option) *shed.Shedder {
	t.Helper()
	s := shedder(t, append([]shed.Option{fixed(n)}, opts...)...)
	h := s.Wrap(desk)
	for range 60 {
		c := settled(h)
		time.Sleep(takes)
		finish([]*call{c})
	}
	if base := s.Stats().Base; base < takes*9/10 || base > takes*11/10 {
		t.Fatalf("base is %v, every request took %v", base, takes)
	}
	return s
}

func TestARequestWhoseDeadlineComesBeforeItsAnswerIsRefusedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := taught(t, 1, 100*time.Millisecond)
		h := s.Wrap(desk)
		busy := settled(h)
		at := time.Now()
		for _, left := range []time.Duration{-time.Second, 0, time.Millisecond, 80 * time.Millisecond} {
			ctx, cancel := context.WithDeadline(t.Context(), at.Add(left))
			before := s.Stats().Reasons[shed.ReasonDeadline]
			c := startContext(ctx, h)
			synctest.Wait()
			if !c.over.Load() || c.served.Load() || time.Now() != at {
				t.Errorf("with %v left: over %t, served %t", left, c.over.Load(), c.served.Load())
			}
			if got := s.Stats().Reasons[shed.ReasonDeadline] - before; left > 0 && got != 1 {
				t.Errorf("with %v left: refused for %v", left, s.Stats().Reasons)
			}
			cancel()
		}
		finish([]*call{busy})
		empty(t, s)
	})
}

func TestARequestWaitsNoLongerThanItsDeadlineLeavesTimeFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := taught(t, 1, 100*time.Millisecond)
		h := s.Wrap(desk)
		busy := settled(h)
		at := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		c := startContext(ctx, h)
		synctest.Wait()
		if c.over.Load() {
			t.Fatal("refused at once although there was time")
		}
		for !c.over.Load() {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if waited := time.Since(at); waited < 35*time.Millisecond || waited > 65*time.Millisecond {
			t.Errorf("waited %v, of 150ms the handler needs 100", waited)
		}
		if st := s.Stats(); st.Reasons[shed.ReasonTimeout] != 1 {
			t.Errorf("refused for %v", st.Reasons)
		}
		finish([]*call{busy})
	})
}

func TestARequestWithTimeEnoughIsServedBeforeItsDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := taught(t, 1, 100*time.Millisecond)
		h := s.Wrap(desk)
		busy := settled(h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := startContext(ctx, h)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		finish([]*call{busy})
		if !c.inside.Load() {
			t.Error("was not let in")
		}
		finish([]*call{c})
		empty(t, s)
	})
}

func TestWithoutAnyKnowledgeADeadlineRefusesNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := shedder(t, fixed(1))
		h := s.Wrap(desk)
		busy := settled(h)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		c := startContext(ctx, h)
		synctest.Wait()
		if c.over.Load() {
			t.Error("refused although nothing is known of the handler")
		}
		finish([]*call{busy})
		if !c.inside.Load() {
			t.Error("not let in")
		}
		finish([]*call{c})
	})
}
