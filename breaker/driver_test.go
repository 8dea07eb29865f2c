package breaker_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/httpwrap"
)

func made(t testing.TB, opts ...breaker.Option) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ending is what a handler is told to do.
type ending uint8

const (
	fine ending = iota
	notFound
	failed
	panicked
	abortedOnPurpose
	exited
	canceled
	canceledAborted
	shedInside
	openInside
	fullInside
	timedOutInside
	notImplemented
	canceledInside
	recoveredInside
	abortedInside
	endings
)

// verdict is what each means, written down once more.
func (e ending) verdict() breaker.Verdict {
	switch e {
	case fine, notFound, notImplemented:
		return breaker.Success
	case failed, panicked, abortedOnPurpose, exited, timedOutInside, recoveredInside, abortedInside:
		return breaker.Failure
	default:
		return breaker.Excluded
	}
}

// call is a request that is under way, or refused.
type call struct {
	cancel  context.CancelFunc
	end     chan ending
	started chan struct{}
	done    chan struct{}
	w       *httptest.ResponseRecorder
	inside  bool
}

// driver sends requests through a handler one step at a time.
type driver struct{ h http.Handler }

type callKey struct{}

func drive(b *breaker.Breaker) *driver {
	return &driver{b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(callKey{}).(*call)
		c.inside = true
		c.started <- struct{}{}
		switch e := <-c.end; e {
		case notFound:
			w.WriteHeader(404)
		case failed, canceled:
			w.WriteHeader(500)
		case notImplemented:
			w.WriteHeader(501)
		case panicked:
			w.WriteHeader(200)
			panic("the handler's own")
		case abortedOnPurpose, canceledAborted:
			panic(http.ErrAbortHandler)
		case exited:
			runtime.Goexit()
		case shedInside:
			httpwrap.Find(w).SetOutcome(httpwrap.Shed)
			w.WriteHeader(503)
		case openInside:
			httpwrap.Find(w).SetOutcome(httpwrap.BreakerOpen)
			w.WriteHeader(503)
		case fullInside:
			httpwrap.Find(w).SetOutcome(httpwrap.BulkheadFull)
			w.WriteHeader(503)
		case canceledInside:
			httpwrap.Find(w).SetOutcome(httpwrap.Canceled)
			w.WriteHeader(500)
		case recoveredInside:
			httpwrap.Find(w).SetOutcome(httpwrap.Panic)
		case abortedInside:
			httpwrap.Find(w).SetOutcome(httpwrap.Aborted)
		case timedOutInside:
			httpwrap.Find(w).SetOutcome(httpwrap.Timeout)
		}
	}))}
}

// start sends a request, and returns when it is inside or refused.
func (d *driver) start(headers ...string) *call {
	c := &call{end: make(chan ending), started: make(chan struct{}, 1), done: make(chan struct{}), w: httptest.NewRecorder()}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), callKey{}, c))
	c.cancel = cancel
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	go func() {
		defer close(c.done)
		defer func() { _ = recover() }()
		d.h.ServeHTTP(c.w, r)
	}()
	select {
	case <-c.started:
	case <-c.done:
	}
	return c
}

// finish ends a request that is inside.
func (c *call) finish(e ending) {
	if e == canceled || e == canceledAborted {
		c.cancel()
	}
	c.end <- e
	<-c.done
	c.cancel()
}

// do is start and finish. It reports whether the request was let in.
func (d *driver) do(e ending, headers ...string) bool {
	c := d.start(headers...)
	if c.inside {
		c.finish(e)
	}
	c.cancel()
	return c.inside
}

// trip opens a circuit that opens after n failures in a row.
func (d *driver) trip(n int, headers ...string) {
	for range n {
		d.do(failed, headers...)
	}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// wait lets time pass, and all that is due at the end of it happen.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func circuitOf(b *breaker.Breaker, key string) breaker.CircuitStats {
	for _, c := range b.Stats().Circuits {
		if c.Key == key && !c.Shared {
			return c
		}
	}
	return breaker.CircuitStats{}
}
