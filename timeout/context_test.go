package timeout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/internal/race"
)

type key struct{}

func newContext(parent context.Context, d time.Duration) *deadlineContext {
	return &deadlineContext{parent: parent, deadline: time.Now().Add(d)}
}

var errCause = &Error{Name: "test", After: time.Second}

func TestAtTheDeadlineTheContextAndAllDerivedFromItSayWhy(t *testing.T) {
	t.Parallel()
	parent, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	defer cancel()
	c := newContext(parent, time.Second)
	derived := map[string]context.Context{"itself": c}
	for name, derive := range map[string]func(context.Context) context.Context{
		"WithValue": func(c context.Context) context.Context { return context.WithValue(c, key{}, "value") },
		"WithCancel": func(c context.Context) context.Context {
			c, cancel := context.WithCancel(c)
			t.Cleanup(cancel)
			return c
		},
		"WithTimeout": func(c context.Context) context.Context {
			c, cancel := context.WithTimeout(c, time.Hour)
			t.Cleanup(cancel)
			return c
		},
		"twice": func(c context.Context) context.Context {
			c, cancel := context.WithCancel(c)
			t.Cleanup(cancel)
			c, cancel = context.WithCancel(context.WithValue(c, key{}, "value"))
			t.Cleanup(cancel)
			return c
		},
	} {
		derived[name] = derive(c)
	}
	for name, d := range derived {
		if d.Err() != nil || context.Cause(d) != nil {
			t.Errorf("%s: done before its time: %v, %v", name, d.Err(), context.Cause(d))
		}
	}
	c.expire(errCause)
	c.finish() // what comes second changes nothing
	cancel()
	for name, d := range derived {
		select {
		case <-d.Done():
		default:
			t.Errorf("%s: is not done", name)
		}
		if d.Err() != context.DeadlineExceeded {
			t.Errorf("%s: Err is %v", name, d.Err())
		}
		var cause *Error
		if !errors.As(context.Cause(d), &cause) || cause.Name != "test" {
			t.Errorf("%s: the cause is %v", name, context.Cause(d))
		}
		if d.Value(key{}) != "value" {
			t.Errorf("%s: has lost the values", name)
		}
	}
	late, stop := context.WithCancel(c)
	defer stop()
	synctestWait(late.Done())
	if late.Err() != context.DeadlineExceeded || context.Cause(late) != error(errCause) {
		t.Errorf("derived afterwards: %v, %v", late.Err(), context.Cause(late))
	}
}

func synctestWait(ch <-chan struct{}) {
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
	}
}

func TestWhoLeavesEndsTheContextWithTheirOwnCause(t *testing.T) {
	t.Parallel()
	why := errors.New("client gone")
	for _, ask := range []string{"Done first", "Err only"} {
		t.Run(ask, func(t *testing.T) {
			parent, cancel := context.WithCancelCause(context.Background())
			c := newContext(parent, time.Hour)
			var done <-chan struct{}
			if ask == "Done first" {
				done = c.Done()
			}
			cancel(why)
			if done != nil {
				synctestWait(done)
			}
			if c.Err() != context.Canceled || context.Cause(c) != why {
				t.Errorf("%v, %v", c.Err(), context.Cause(c))
			}
			select {
			case <-c.Done():
			default:
				t.Error("Done is open although Err is not nil")
			}
			c.expire(errCause)
			if c.Err() != context.Canceled {
				t.Errorf("changed its mind: %v", c.Err())
			}
		})
	}
}

func TestALiftedDeadlineIsTheParents(t *testing.T) {
	c := newContext(context.Background(), time.Minute)
	if at, ok := c.Deadline(); !ok || at != c.deadline {
		t.Errorf("%v, %v", at, ok)
	}
	c.lift()
	if at, ok := c.Deadline(); ok {
		t.Errorf("a deadline remains: %v", at)
	}
	parent, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	c = newContext(parent, time.Minute)
	c.lift()
	at, ok := c.Deadline()
	if want, _ := parent.Deadline(); !ok || at != want {
		t.Errorf("%v, %v, want the parent's %v", at, ok, want)
	}
}

// A context of package context in the same place is the model: whatever is
// derived, dropped and ended in whatever order, both say the same.
func TestItBehavesAsAContextOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	seeds := uint64(3000)
	if race.Enabled {
		seeds = 800
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			parent, leave := context.WithCancelCause(context.Background())
			defer leave(nil)
			std, stop := context.WithDeadlineCause(parent, time.Now().Add(time.Second), errCause)
			defer stop()
			own := newContext(parent, time.Second)
			timer := time.AfterFunc(time.Second, func() { own.expire(errCause) })
			defer timer.Stop()
			defer own.finish()

			type pair struct{ std, own context.Context }
			type ends struct{ std, own func() }
			pairs, cancels := []pair{{std, own}}, []ends(nil)
			var calledStd, calledOwn atomic.Int32
			for range 20 {
				p := pairs[rng.IntN(len(pairs))]
				switch rng.IntN(7) {
				case 0:
					a, stopA := context.WithCancel(p.std)
					b, stopB := context.WithCancel(p.own)
					pairs, cancels = append(pairs, pair{a, b}), append(cancels, ends{stopA, stopB})
				case 1:
					d := time.Duration(rng.IntN(1500)) * time.Millisecond
					a, stopA := context.WithTimeout(p.std, d)
					b, stopB := context.WithTimeout(p.own, d)
					pairs, cancels = append(pairs, pair{a, b}), append(cancels, ends{stopA, stopB})
				case 2:
					if len(cancels) > 0 {
						i := rng.IntN(len(cancels))
						cancels[i].std()
						cancels[i].own()
					}
				case 3:
					time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
				case 4:
					if rng.IntN(6) == 0 {
						leave(fmt.Errorf("left in %d", seed))
					}
				case 5:
					p.std.Done()
					p.own.Done()
				case 6:
					a := context.AfterFunc(p.std, func() { calledStd.Add(1) })
					b := context.AfterFunc(p.own, func() { calledOwn.Add(1) })
					if rng.IntN(2) == 0 {
						synctest.Wait()
						if x, y := a(), b(); x != y {
							t.Fatalf("seed %d: stopping an AfterFunc: %v, want %v", seed, y, x)
						}
					}
				}
				synctest.Wait()
				for i, p := range pairs {
					if a, b := p.std.Err(), p.own.Err(); a != b {
						t.Fatalf("seed %d: context %d: Err %v, want %v", seed, i, b, a)
					}
					if a, b := context.Cause(p.std), context.Cause(p.own); a != b {
						t.Fatalf("seed %d: context %d: Cause %v, want %v", seed, i, b, a)
					}
					a, okA := p.std.Deadline()
					b, okB := p.own.Deadline()
					if okA != okB || !a.Equal(b) {
						t.Fatalf("seed %d: context %d: Deadline %v, want %v", seed, i, b, a)
					}
				}
				if got, want := calledOwn.Load(), calledStd.Load(); got != want {
					t.Fatalf("seed %d: %d functions called, want %d", seed, got, want)
				}
			}
			for _, c := range cancels {
				c.std()
				c.own()
			}
		})
	}
}

func TestTheContextMayBeUsedFromEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	for range 300 {
		parent, leave := context.WithCancel(context.Background())
		c := newContext(parent, time.Hour)
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				switch i % 6 {
				case 0:
					<-c.Done()
				case 1:
					child, cancel := context.WithCancel(c)
					cancel()
					<-child.Done()
				case 2:
					child, cancel := context.WithCancel(c)
					defer cancel()
					<-child.Done()
				case 3:
					c.Err()
					c.Value(key{})
					c.Deadline()
				case 4:
					c.expire(errCause)
				case 5:
					leave()
				}
			})
		}
		all.Wait()
		leave()
		if err := c.Err(); err != context.DeadlineExceeded && err != context.Canceled {
			t.Fatal(err)
		}
		if c.hooks != nil {
			t.Fatal("a hook is left")
		}
	}
}
