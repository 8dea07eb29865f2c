package health

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// fussy is an error that cannot be compared.
type fussy struct{ error }

func (fussy) Is(error) bool { panic("no comparison") }

func TestAnErrorThatPanicsWhenAskedIsAPanicOfItsCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := made(t, steady, everybody, WithCheck("db", func(ctx context.Context) error {
			<-ctx.Done()
			return fussy{errDown}
		}, FailAfter(1)))
		time.Sleep(5 * time.Second)
		has(t, h, "/readyz", 503, "[-]db failed: ")
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := h.Stats().Checks[0]; s.Stuck || s.Runs != 7 || s.Failures != s.Runs {
			t.Errorf("%+v", s)
		}
	})
}

// counted is a context that counts who waits for its end.
type countedContext struct {
	context.Context
	done    chan struct{}
	waiting int
}

func (c *countedContext) Done() <-chan struct{} { return c.done }

func (c *countedContext) AfterFunc(func()) func() bool {
	c.waiting++
	return func() bool { c.waiting--; return true }
}

func TestACheckThatIsNotAddedLeavesNothingBehind(t *testing.T) {
	h := made(t)
	if err := h.Add("db", Func(passing)); err != nil {
		t.Fatal(err)
	}
	all := &countedContext{Context: context.Background(), done: make(chan struct{})}
	h.ctx = all
	for range 100 {
		if h.Add("db", Func(passing)) == nil {
			t.Fatal("a name was given twice")
		}
	}
	h.Close()
	if err := h.Add("late", Func(passing)); err != http.ErrServerClosed {
		t.Error(err)
	}
	if all.waiting != 0 {
		t.Errorf("%d contexts of checks that there are not wait for the end", all.waiting)
	}
}

func TestCloseLeavesWhatWasStaleStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		var told []Transition
		h := made(t, steady, everybody, c.option(), WithCheck("loop", passing, In(Live)), OnChange(func(e Transition) { told = append(told, e) }))
		time.Sleep(5 * time.Second)
		c.frozen.Store(int64(time.Hour))
		has(t, h, "/livez", 503, "[-]loop failed: stale")
		synctest.Wait()
		told = nil
		h.Close()
		for range 2 {
			has(t, h, "/livez", 503, "[-]loop failed: stale")
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		for _, e := range told {
			if e.Check != "" || e.Group != Ready {
				t.Errorf("told %+v", e)
			}
		}
	})
}

func TestADegradingCheckThatFailsAtFirstWarnsAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Transition
		h := made(t, steady, everybody, WithCheck("cache", func(ctx context.Context) error { time.Sleep(time.Second); return nil },
			Initially(Fail), Degrading()), OnChange(func(e Transition) { told = append(told, e) }))
		says(t, h, "/readyz?verbose", 200, "[!]cache degraded: not checked yet\n[+]shutdown ok\nreadyz check passed\n")
		s := h.Stats().Checks[0]
		if s.Status != Warn || !errors.Is(s.Err, errInitially) || s.Transitions != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(told) != 2 || told[0].From != Warn || told[0].To != Pass {
			t.Errorf("told %+v", told)
		}
	})
}
