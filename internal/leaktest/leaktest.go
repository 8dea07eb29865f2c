// Package leaktest finds goroutines that a test left behind.
//
//	func TestServer(t *testing.T) {
//		leaktest.Check(t)
//		...
//	}
//
// It compares the goroutines that exist before and after, so it belongs into
// tests that do not run in parallel with others. Inside of a synctest bubble
// it is not needed: the bubble itself does not end before its goroutines do.
package leaktest

import (
	"bytes"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Patience is how long Check waits for goroutines to end that are about to.
// It is spent only where one is left behind.
const Patience = 10 * time.Second

// TB is what Check needs of a *testing.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Cleanup(func())
}

// Check fails t if, when it is over, goroutines exist that did not before
// this call. Call it first, so that it looks last: cleanups run in reverse.
// Goroutines whose stack contains one of the strings in except are allowed to
// stay, such as "load.(*Sampler).run" for one that serves the whole process.
func Check(t TB, except ...string) {
	t.Helper()
	check(t, Patience, except)
}

func check(t TB, patience time.Duration, except []string) {
	before := Snapshot()
	t.Cleanup(func() {
		t.Helper()
		for _, stack := range before.Wait(patience, except...) {
			t.Errorf("leaked goroutine:\n%s", stack)
		}
	})
}

// Goroutines is a set of them, as of one moment.
type Goroutines map[int64]struct{}

// Snapshot returns the goroutines there are.
func Snapshot() Goroutines {
	seen := Goroutines{}
	for _, stack := range stacks() {
		if id, ok := identity(stack); ok {
			seen[id] = struct{}{}
		}
	}
	return seen
}

// Wait returns the stacks of the goroutines that are not in g, but gives them
// up to patience to end first. The calling goroutine does not count, nor do
// those of package testing.
func (g Goroutines) Wait(patience time.Duration, except ...string) []string {
	deadline := time.Now().Add(patience)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		left := g.news(except)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(pause)
	}
}

func (g Goroutines) news(except []string) (left []string) {
	all := stacks()
	if len(all) > 0 {
		all = all[1:] // the caller is the first one
	}
	for _, stack := range all {
		id, ok := identity(stack)
		if _, known := g[id]; ok && !known && !exempt(stack, except) {
			left = append(left, stack)
		}
	}
	return left
}

func exempt(stack string, except []string) bool {
	for _, e := range except {
		if strings.Contains(stack, e) {
			return true
		}
	}
	// The goroutine of a test that waits for its subtests or has not started
	// yet, and what the test binary itself runs beside the tests.
	for _, frame := range []string{
		"\ntesting.(*T).Run(", "\ntesting.(*B).run1(", "\ntesting.(*F).Fuzz(", "\ntesting.runFuzzing(",
		"\ntesting.(*testState).waitParallel(", "\nos/signal.loop(", "\nruntime/trace.Start.func",
		"\nruntime/pprof.profileWriter(",
	} {
		if strings.Contains(stack, frame) {
			return true
		}
	}
	return false
}

// stacks returns one stack trace per goroutine, the caller's first.
func stacks() []string {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		n := runtime.Stack(buf, true)
		if n < size {
			return strings.Split(string(bytes.TrimSpace(buf[:n])), "\n\n")
		}
	}
}

// identity reads the number out of "goroutine 12 [running]:".
func identity(stack string) (int64, bool) {
	rest, ok := strings.CutPrefix(stack, "goroutine ")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, " ")
	id, err := strconv.ParseInt(number, 10, 64)
	return id, err == nil
}
