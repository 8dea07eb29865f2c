package notify

import (
	"runtime"
	"testing"
	"testing/synctest"
)

func TestEventsArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		q := New(func(n int) { got = append(got, n) })
		for i := range 500 {
			q.Raise(i)
		}
		synctest.Wait()
		if len(got) != 500 {
			t.Fatalf("%d events arrived, want 500", len(got))
		}
		for i, n := range got {
			if n != i {
				t.Fatalf("event %d arrived in place %d", n, i)
			}
		}
	})
}

func TestCallbackMayRaiseAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *Queue[int]
		last := -1
		q = New(func(n int) {
			if last = n; n < 10 {
				q.Raise(n + 1)
			}
		})
		q.Raise(0)
		synctest.Wait()
		if last != 10 {
			t.Fatalf("the chain of events ended at %d, want 10", last)
		}
	})
}

func TestBlockedCallbackDropsBeyondTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		handed := 0
		q := New(func(int) { <-release; handed++ })
		q.Raise(0)
		synctest.Wait() // the first is in the callback now
		for i := range Pending + 5 {
			q.Raise(i)
		}
		if got := q.Dropped(); got != 5 {
			t.Errorf("dropped %d events, want 5", got)
		}
		close(release)
		synctest.Wait()
		if handed != Pending+1 {
			t.Errorf("handed over %d events, want %d", handed, Pending+1)
		}
	})
}

func TestPanicAndGoexitAreContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handed := 0
		q := New(func(n int) {
			handed++
			switch n {
			case 1:
				panic("callback")
			case 2:
				runtime.Goexit()
			case 3:
				panic(nil)
			}
		})
		for i := range 3 {
			q.Raise(i)
		}
		synctest.Wait()
		for i := range 3 {
			q.Raise(i + 3)
		}
		synctest.Wait()
		if q.Panicked() != 3 {
			t.Errorf("counted %d panics, want 3", q.Panicked())
		}
		if handed != 6 {
			t.Errorf("%d of 6 events were handed over around a panic and a Goexit", handed)
		}
	})
}

func TestNilQueueAndNilCallback(t *testing.T) {
	var none *Queue[int]
	none.Raise(1)
	New[int](nil).Raise(1)
	if none.Dropped() != 0 || none.Panicked() != 0 {
		t.Error("a nil queue counts")
	}
}
