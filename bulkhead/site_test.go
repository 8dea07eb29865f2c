package bulkhead_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/httpwrap"
)

// A bubble is a test in virtual time, which does not end before its goroutines.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func made(t testing.TB, opts ...bulkhead.Option) *bulkhead.Bulkhead {
	t.Helper()
	b, err := bulkhead.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// site is a handler behind a bulkhead in which requests stay until they are
// told to end, in virtual time.
type site struct {
	t   *testing.T
	b   *bulkhead.Bulkhead
	h   http.Handler
	all []*visit

	mu    sync.Mutex
	order []string // who came in
}

// visit is one request.
type visit struct {
	name     string
	w        *httptest.ResponseRecorder
	cancel   context.CancelFunc
	end      chan string
	inside   atomic.Bool
	done     atomic.Bool // what follows is known
	outcome  httpwrap.Outcome
	finished time.Time
}

type visitKey struct{}

func open(t *testing.T, opts ...bulkhead.Option) *site {
	t.Helper()
	s := &site{t: t, b: made(t, opts...)}
	s.h = s.b.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := r.Context().Value(visitKey{}).(*visit)
		v.inside.Store(true)
		s.mu.Lock()
		s.order = append(s.order, v.name)
		s.mu.Unlock()
		switch <-v.end {
		case "panic":
			panic("on purpose")
		case "abort":
			panic(http.ErrAbortHandler)
		case "goexit":
			runtime.Goexit()
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(s.close)
	return s
}

// close ends whatever is still there, and looks at what is left.
func (s *site) close() {
	for _, v := range s.all {
		v.cancel()
	}
	synctest.Wait()
	for _, v := range s.all {
		if !v.done.Load() {
			v.end <- "return"
		}
	}
	synctest.Wait()
	if err := s.b.Audit(); err != nil {
		s.t.Error(err)
	}
	if got := s.b.Stats(); got.InUse != 0 || got.Waiting != 0 {
		s.t.Errorf("%d slots in use and %d waiting when all is over", got.InUse, got.Waiting)
	}
}

// send sends a request, and returns when nothing more happens to it.
func (s *site) send(name string, header ...string) *visit {
	s.t.Helper()
	return s.sendWith(context.Background(), name, header...)
}

func (s *site) sendWith(ctx context.Context, name string, header ...string) *visit {
	v := &visit{name: name, w: httptest.NewRecorder(), end: make(chan string, 1)}
	ctx, v.cancel = context.WithCancel(context.WithValue(ctx, visitKey{}, v))
	s.all = append(s.all, v)
	r := request(header...).WithContext(ctx)
	go func() {
		rw, rec, _ := httpwrap.Wrap(v.w)
		rec.Retain()
		defer func() {
			recover()
			v.outcome, v.finished = rec.Outcome(), time.Now()
			v.inside.Store(false)
			v.done.Store(true)
		}()
		s.h.ServeHTTP(rw, r)
	}()
	synctest.Wait()
	return v
}

func (s *site) end(v *visit, how string) {
	s.t.Helper()
	if !v.inside.Load() {
		s.t.Fatalf("%s is not inside", v.name)
	}
	v.end <- how
	synctest.Wait()
}

// state says where a request is, and how it was answered.
func (v *visit) state() string {
	switch {
	case v.inside.Load():
		return "inside"
	case !v.done.Load():
		return "waiting"
	case v.outcome == httpwrap.BulkheadFull:
		return v.reason()
	case v.outcome == httpwrap.Canceled:
		return "canceled"
	default:
		return "served"
	}
}

func (v *visit) reason() string {
	var problem struct{ Reason string }
	json.Unmarshal(v.w.Body.Bytes(), &problem)
	return problem.Reason
}

func (s *site) expect(v *visit, want string) {
	s.t.Helper()
	if got := v.state(); got != want {
		s.t.Errorf("%s is %s, want %s", v.name, got, want)
	}
}
