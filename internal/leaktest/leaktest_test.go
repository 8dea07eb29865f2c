package leaktest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// tape is a TB that records.
type tape struct {
	errors   []string
	cleanups []func()
}

func (t *tape) Helper()          {}
func (t *tape) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *tape) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// linger starts a goroutine that ends with stop, and returns once it runs: the
// stack of one that does not run yet is empty.
func linger(stop chan struct{}) {
	running := make(chan struct{})
	go lingering(running, stop)
	<-running
}

func lingering(running, stop chan struct{}) {
	close(running)
	<-stop
}

func TestGoroutineLeftBehindIsFound(t *testing.T) {
	before := Snapshot()
	stop := make(chan struct{})
	linger(stop)
	left := before.Wait(time.Millisecond)
	if len(left) != 1 || !strings.Contains(left[0], "lingering") {
		t.Errorf("found %q", left)
	}
	if left := before.Wait(time.Millisecond, "leaktest.lingering"); len(left) != 0 {
		t.Errorf("an excepted goroutine was reported: %q", left)
	}
	if left := Snapshot().Wait(0); len(left) != 0 {
		t.Errorf("a goroutine of before was reported: %q", left)
	}
	close(stop)
	if left := before.Wait(Patience); len(left) != 0 {
		t.Errorf("a goroutine that ended was reported: %q", left)
	}
}

func TestCheckWaitsForGoroutinesThatAreAboutToEnd(t *testing.T) {
	tp := new(tape)
	Check(tp)
	stop := make(chan struct{})
	for range 100 {
		linger(stop)
	}
	close(stop)
	for _, f := range tp.cleanups {
		f()
	}
	if len(tp.errors) != 0 {
		t.Errorf("reported %q", tp.errors)
	}
}

func TestCheckFailsATestThatLeaks(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for _, tt := range []struct {
		except []string
		errors int
	}{{nil, 1}, {[]string{"other"}, 1}, {[]string{"other", "leaktest.lingering"}, 0}} {
		tp := new(tape)
		check(tp, time.Millisecond, tt.except)
		linger(stop)
		for _, f := range tp.cleanups {
			f()
		}
		if len(tp.errors) != tt.errors {
			t.Errorf("except %q: reported %q", tt.except, tp.errors)
		}
	}
}

func TestManyGoroutinesAreSeen(t *testing.T) {
	before := Snapshot()
	stop := make(chan struct{})
	defer close(stop)
	const n = 2000 // more than the first buffer holds
	for range n {
		linger(stop)
	}
	if left := before.Wait(0); len(left) != n {
		t.Errorf("found %d of %d", len(left), n)
	}
}

func TestWaitingTestsAreNotLeaks(t *testing.T) {
	t.Run("outer", func(t *testing.T) {
		before := Snapshot()
		t.Run("inner", func(t *testing.T) {
			if left := before.Wait(0); len(left) != 0 {
				t.Errorf("reported %q", left)
			}
		})
	})
}
