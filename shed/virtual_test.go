package shed_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/shed"
)

// machine is the load that a test says there is.
type machine struct {
	usage atomic.Pointer[load.Usage]
	sched atomic.Pointer[load.Scheduler]
}

// set says how much CPU and memory are used; a negative number is unknown.
func (m *machine) set(cpu, memory float64) {
	m.usage.Store(&load.Usage{
		CPU:    load.Value{V: max(cpu, 0), Known: cpu >= 0},
		Memory: load.Value{V: max(memory, 0), Known: memory >= 0},
	})
}

// sampler reads the machine every 20 ms. It is made and closed inside of the
// caller's bubble.
func (m *machine) sampler(t testing.TB, opts ...load.Option) *load.Sampler {
	t.Helper()
	if m.usage.Load() == nil {
		m.set(-1, -1)
	}
	m.sched.CompareAndSwap(nil, &load.Scheduler{Known: true})
	s, err := load.New(append([]load.Option{
		load.WithInterval(20 * time.Millisecond),
		load.WithSource(func() (load.Usage, error) { return *m.usage.Load(), nil }),
		load.WithScheduler(func() load.Scheduler { return *m.sched.Load() }),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// idle is a sampler of a machine that has nothing to tell.
func idle(t testing.TB) *load.Sampler {
	return new(machine).sampler(t)
}

// shedder is a Shedder that measures no real load, unless an option gives it
// another sampler.
func shedder(t testing.TB, opts ...shed.Option) *shed.Shedder {
	t.Helper()
	s, err := shed.New(append([]shed.Option{shed.WithSampler(idle(t))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixed is a limit that stays what it is.
func fixed(n int) shed.Option { return shed.WithLimits(n, n, n) }

// The headers that the tests trust.
const (
	classHeader   = "X-Class"
	tenantHeader  = "X-Tenant"
	attemptHeader = "X-Attempt"
)

// trusting honours all three headers.
func trusting(opts ...shed.Option) []shed.Option {
	return append([]shed.Option{
		shed.WithPriorityHeader(classHeader),
		shed.WithTenant(handrail.ByHeader(tenantHeader)),
		shed.WithAttemptHeader(attemptHeader),
	}, opts...)
}

// call is a request on its way, on a goroutine of its own. What is raised and
// answered is there once it is over.
type call struct {
	since   time.Time
	inside  atomic.Bool // in the handler
	served  atomic.Bool // it was there
	over    atomic.Bool // ServeHTTP has returned, or panicked
	raised  any
	answer  *httptest.ResponseRecorder
	cancel  context.CancelFunc
	release chan func(http.ResponseWriter, *http.Request)
}

type callKey struct{}

// running are all calls of a bubble, so that those which a failed test leaves
// behind can be ended: a bubble with blocked goroutines takes all tests down.
var running []*call

// desk is a handler that keeps each call until it is told how to end it; a
// request that is no call ends at once.
var desk = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return
	}
	c.inside.Store(true)
	c.served.Store(true)
	defer c.inside.Store(false)
	if end := <-c.release; end != nil {
		end(w, r)
	}
})

// start sends a request with pairs of header names and values.
func start(h http.Handler, headers ...string) *call {
	return startContext(context.Background(), h, headers...)
}

func startContext(ctx context.Context, h http.Handler, headers ...string) *call {
	c := &call{
		since:   time.Now(),
		answer:  httptest.NewRecorder(),
		release: make(chan func(http.ResponseWriter, *http.Request), 1),
	}
	ctx, c.cancel = context.WithCancel(context.WithValue(ctx, callKey{}, c))
	r := request(headers...).WithContext(ctx)
	running = append(running, c)
	go func() {
		defer func() {
			c.raised = recover()
			c.over.Store(true)
			c.cancel()
		}()
		h.ServeHTTP(c.answer, r)
	}()
	return c
}

// settled is start, and then waits until nothing moves any more.
func settled(h http.Handler, headers ...string) *call {
	c := start(h, headers...)
	synctest.Wait()
	return c
}

// end lets the handler return.
func (c *call) end() { c.release <- nil }

// fill occupies n slots.
func fill(t *testing.T, h http.Handler, n int, headers ...string) []*call {
	t.Helper()
	calls := make([]*call, n)
	for i := range calls {
		calls[i] = settled(h, headers...)
		if !calls[i].inside.Load() {
			t.Fatalf("request %d of %d to fill the slots was not let in", i+1, n)
		}
	}
	return calls
}

func finish(calls []*call) {
	for _, c := range calls {
		if !c.over.Load() {
			c.end()
		}
	}
	synctest.Wait()
}

// request makes one with pairs of header names and values.
func request(headers ...string) *http.Request {
	r := &http.Request{Method: "GET", URL: &url.URL{Path: "/"}, Header: http.Header{}, Body: http.NoBody, Host: "example.com",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1234"}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// get serves a request on this goroutine and returns the status.
func get(h http.Handler, headers ...string) int {
	w := &statusWriter{header: http.Header{}}
	h.ServeHTTP(w, request(headers...))
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// empty is true of a Shedder that holds nothing.
func empty(t *testing.T, s *shed.Shedder) {
	t.Helper()
	if st := s.Stats(); st.InFlight != 0 || st.Waiting != 0 || st.LongLived != 0 || st.Load.InFlight != 0 || st.Load.LongLived != 0 {
		t.Errorf("after all requests ended, %d are in flight, %d waiting, %d long-lived; the sampler counts %d and %d",
			st.InFlight, st.Waiting, st.LongLived, st.Load.InFlight, st.Load.LongLived)
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		running = nil
		defer func() {
			synctest.Wait()
			for _, c := range running {
				if !c.over.Load() {
					c.cancel()
					select {
					case c.release <- nil:
					default:
					}
				}
			}
		}()
		f(t)
	})
}
