package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
)

// Builder makes the middleware under test, inside the simulation. It is called
// once per simulation. Timers and channels of the middleware have to be made
// here, not before, and its goroutines to be stopped by [Env.Cleanup].
type Builder = func(*Env) func(http.Handler) http.Handler

// Bare is the Builder of no middleware at all, to compare with.
func Bare(*Env) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return next }
}

// Run simulates in a test, which fails at once if it cannot be done. It must
// not be called inside a synctest bubble. Several may run at once, in parallel
// subtests.
func Run(t testing.TB, sc Scenario, build Builder) *Result {
	t.Helper()
	result, err := Simulate(sc, build)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Simulate simulates in any program. The error is what [Scenario.Validate]
// finds, or what went wrong during the simulation: a panic in the middleware,
// requests that it never answers, goroutines that it leaves behind. It must
// not be called inside a synctest bubble.
func Simulate(sc Scenario, build Builder) (*Result, error) {
	return SimulateContext(context.Background(), sc, build)
}

// SimulateContext is [Simulate] for a program that may lose interest: soon
// after ctx is cancelled, in real time, no more requests are sent, those there
// are are dropped, and the error is the context's.
func SimulateContext(ctx context.Context, sc Scenario, build Builder) (result *Result, err error) {
	if build == nil {
		return nil, &handrail.OptionError{Package: "sim", Option: "Simulate", Reason: "needs a function that builds the middleware"}
	}
	if err := sc.Validate(); err != nil {
		return nil, err
	}
	sc = sc.defaults()
	began := time.Now()
	var e *Env
	err = bubble(func() error {
		e = newEnv(ctx, sc)
		return e.simulate(build)
	})
	if err != nil {
		return nil, err
	}
	result = e.result()
	result.Took = time.Since(began)
	return result, nil
}

// bubble runs f in virtual time. What the testing package wants a T for is to
// report failures, for which there is an error here, so an empty one does; it
// is given a goroutine of its own because it ends the one it is on when the
// race detector has found something.
func bubble(f func() error) (err error) {
	var inside error
	finished := false
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() {
			if v := recover(); v != nil && inside == nil {
				err = fmt.Errorf("sim: %v", v)
				if strings.Contains(err.Error(), "goroutines remain") {
					err = fmt.Errorf("%w; what the middleware starts has to be stopped by Env.Cleanup", err)
				}
			}
		}()
		synctest.Test(new(testing.T), func(*testing.T) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() {
					if v := recover(); v != nil {
						inside = fmt.Errorf("sim: panic: %v\n%s", v, debug.Stack())
					} else if !finished {
						inside = errors.New("sim: the function that builds the middleware ended its goroutine")
					}
				}()
				inside = f()
				finished = true
			}()
			<-done
		})
	}()
	<-over
	return errors.Join(inside, err)
}

func newEnv(ctx context.Context, sc Scenario) *Env {
	e := &Env{ctx: ctx, sc: sc, capacity: sc.Service.Capacity(), end: sc.Shape.Duration()}
	e.clock = clock{began: time.Now(), slow: sc.Slowdowns}
	e.model = sc.Service.start(e.clock)
	e.patience = newPatience(e.clock.began, e.left)

	base, err := http.NewRequest(http.MethodGet, "http://service.test/", nil)
	if err != nil {
		panic(err)
	}
	base.RequestURI = "/"
	e.base = base
	n := max(1, len(sc.Mix.Tenants))
	e.headers = make([][handrail.Priorities]http.Header, n)
	for i := range n {
		e.remotes = append(e.remotes, fmt.Sprintf("10.%d.%d.%d:1024", i>>16, i>>8&255, i&255))
	}
	return e
}

// header is the one that all requests of a tenant and class share.
func (e *Env) header(tenant, rank int) http.Header {
	h := &e.headers[tenant][rank]
	if *h == nil {
		*h = http.Header{PriorityHeader: {handrail.PriorityOfRank(rank).String()}}
		if len(e.sc.Mix.Tenants) > 0 {
			(*h)[TenantHeader] = []string{e.sc.Mix.Tenants[tenant].Name}
		}
	}
	return *h
}

func (e *Env) simulate(build Builder) error {
	defer e.cleanup()
	mw := build(e)
	if mw == nil {
		return &handrail.OptionError{Package: "sim", Option: "Simulate", Reason: "the function that builds the middleware returned nil"}
	}
	e.handler = mw(http.HandlerFunc(e.serveWork))

	e.traffic = traffic{
		times: newArrivals(e.sc.Shape, e.sc.Unit, e.sc.Arrivals, rand.New(rand.NewPCG(e.sc.Seed, 1))),
		who:   newSender(e.sc.Mix),
		draw:  rand.New(rand.NewPCG(e.sc.Seed, 2)),
	}
	e.open.Add(1)
	go e.client()
	e.watch()
	return e.drain()
}

// watch reads the gauges until the end of the shape.
func (e *Env) watch() {
	e.mu.Lock()
	gauges := e.gauges
	e.mu.Unlock()
	if len(gauges) > 0 {
		for at := e.sc.Window; at <= e.end && e.ctx.Err() == nil; at += e.sc.Window {
			time.Sleep(at - e.Now())
			for _, g := range gauges {
				g.values = append(g.values, g.read())
			}
		}
	}
	time.Sleep(e.end - e.Now())
}

// drain waits for the last answers.
func (e *Env) drain() error {
	over := make(chan struct{})
	go func() {
		e.open.Wait()
		close(over)
	}()
	for _, patience := range []time.Duration{e.sc.Drain, 2 * longest} {
		if e.ctx.Err() != nil {
			e.model.drop()
		}
		timer := time.NewTimer(patience)
		select {
		case <-over:
			timer.Stop()
			e.mu.Lock()
			defer e.mu.Unlock()
			return errors.Join(e.bad, e.ctx.Err())
		case <-timer.C:
			e.model.drop()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(e.bad, errors.New("sim: the middleware does not answer all requests"))
}

func (e *Env) cleanup() {
	e.mu.Lock()
	fns := e.fns
	e.mu.Unlock()
	for i := len(fns) - 1; i >= 0; i-- {
		fns[i]()
	}
	e.patience.timer.Stop()
}
