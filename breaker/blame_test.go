package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/httpwrap"
)

type trips func(*http.Request) (*http.Response, error)

func (f trips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(body io.ReadCloser) trips {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
	}
}

// A retry further out cancels an attempt whose time is up, with a cause.
func TestADeadlineThatIsTheCauseOfACancellationIsAFailure(t *testing.T) {
	over := fmt.Errorf("attempt: %w", context.DeadlineExceeded)
	for cause, want := range map[error]breaker.Verdict{over: breaker.Failure, nil: breaker.Excluded, errors.New("left"): breaker.Excluded} {
		b := made(t)
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		r := httptest.NewRequestWithContext(ctx, "GET", "http://h/", nil)
		b.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), r)
		b.Transport(trips(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() })).RoundTrip(r)
		s := b.Stats()
		if got := [3]uint64{s.Successes, s.Failures, s.Excluded}; got[want] != 2 {
			t.Errorf("cause %v: successes, failures, excluded = %v", cause, got)
		}
	}
}

// pending is a body whose Close has its Read return first.
type pending struct{ closed, read chan struct{} }

func (p pending) Read([]byte) (int, error) { <-p.closed; return 0, errors.New("read on closed body") }
func (p pending) Close() error             { close(p.closed); <-p.read; return nil }

func TestACallerThatClosesABodyWhileItIsReadBlamesNobody(t *testing.T) {
	b := made(t)
	p := pending{make(chan struct{}), make(chan struct{})}
	resp, err := b.Transport(answering(p)).RoundTrip(httptest.NewRequest("GET", "http://h/", nil))
	if err != nil {
		t.Fatal(err)
	}
	go func() { io.Copy(io.Discard, resp.Body); close(p.read) }()
	resp.Body.Close()
	if s := b.Stats(); s.Failures != 0 || s.Successes != 1 {
		t.Errorf("failures %d, successes %d", s.Failures, s.Successes)
	}
}

type brittle struct{ io.Reader }

func (brittle) Close() error { panic("Close") }

type writerThatPanics struct{ http.ResponseWriter }

func (writerThatPanics) Unwrap() http.ResponseWriter { panic("Unwrap") }

func TestWhateverPanicsAProbeEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, breaker.WithConsecutiveFailures(1), breaker.WithOpenFor(time.Second))
		r := httptest.NewRequest("GET", "http://h/", nil)
		b.Transport(trips(func(*http.Request) (*http.Response, error) { return nil, io.EOF })).RoundTrip(r)
		h := b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
		h.ServeHTTP(httptest.NewRecorder(), r)
		wait(time.Second)
		resp, err := b.Transport(answering(brittle{strings.NewReader("x")})).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []func(){
			func() { resp.Body.Close() },
			func() { h.ServeHTTP(writerThatPanics{httptest.NewRecorder()}, r) },
		} {
			func() {
				defer func() { _ = recover() }()
				f()
			}()
		}
		for _, c := range b.Stats().Circuits {
			if c.State != breaker.HalfOpen || c.Probes != 0 {
				t.Errorf("%q: %v with %d probes", c.Key, c.State, c.Probes)
			}
		}
	})
}

type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error { *c.closed = true; return nil }

func TestAClassifierThatEndsTheGoroutineLeavesNoResponseOpen(t *testing.T) {
	b := made(t, breaker.WithClassifier(func(breaker.Result) breaker.Verdict { runtime.Goexit(); return 0 }))
	closed, done := false, make(chan struct{})
	go func() {
		defer close(done)
		b.Transport(answering(closing{strings.NewReader("x"), &closed})).RoundTrip(httptest.NewRequest("GET", "http://h/", nil))
	}()
	if <-done; !closed {
		t.Error("the body is open")
	}
}

func TestABreakerInTheFallbackOfAnotherLearns(t *testing.T) {
	inner := made(t)
	outer := made(t, breaker.WithMode(breaker.ForcedOpen),
		breaker.WithFallback(inner.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))))
	h := outer.Wrap(http.NotFoundHandler())
	for range 5 {
		rw, rec, _ := httpwrap.Wrap(httptest.NewRecorder())
		h.ServeHTTP(rw, httptest.NewRequest("GET", "/", nil))
		rec.Release()
	}
	if s := inner.Stats(); s.Opened != 1 {
		t.Errorf("failures %d, excluded %d, opened %d", s.Failures, s.Excluded, s.Opened)
	}
}
