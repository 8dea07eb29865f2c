package sim

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
)

// The headers of a simulated request.
const (
	// PriorityHeader names the class: critical, high, normal, low, background.
	PriorityHeader = "X-Priority"
	// TenantHeader names the tenant; absent where the mix has none.
	TenantHeader = "X-Tenant"
	// AttemptHeader tells how often the call has been tried before; absent on
	// the first attempt.
	AttemptHeader = "X-Attempt"
)

// Env is the simulated surroundings of a middleware, given to the function
// that builds it. Its methods may be called from then on until the simulation
// has ended, concurrently, by goroutines of the simulation only.
type Env struct {
	ctx      context.Context // of the world outside
	sc       Scenario
	capacity float64
	clock    clock
	model    model
	patience *patience
	record   record
	handler  http.Handler // the whole chain
	end      time.Duration

	base    *http.Request
	headers [][handrail.Priorities]http.Header
	remotes []string

	traffic traffic
	open    sync.WaitGroup // goroutines of clients

	mu     sync.Mutex // of what follows
	bad    error      // the first panic
	fns    []func()
	gauges []*gauge
}

type gauge struct {
	name   string
	read   func() float64
	values []float64
}

// Now is the time since the beginning of the scenario.
func (e *Env) Now() time.Duration { return e.clock.now() }

// Capacity is how many requests a second the service can finish, without its
// slowdowns.
func (e *Env) Capacity() float64 { return e.capacity }

// Seed is the scenario's, for what the middleware draws at random.
func (e *Env) Seed() uint64 { return e.sc.Seed }

// Runnable is how many jobs per core wait for one; 0 for services that cost no
// CPU.
func (e *Env) Runnable() float64 { return e.model.runnable() }

// CPUTime is the time that the cores have been busy so far, of all together.
func (e *Env) CPUTime() time.Duration { return e.model.used() }

// Cores is how many cores there are.
func (e *Env) Cores() int { return e.model.cores() }

// Sampler makes a sampler that measures the simulated process instead of the
// real one: its CPU use since the last reading, and its run queue. Memory is
// unknown. Further options are applied after that. The sampler is closed at
// the end of the simulation. It panics if the options are wrong.
func (e *Env) Sampler(opts ...load.Option) *load.Sampler {
	var mu sync.Mutex
	var at, used time.Duration
	s, err := load.New(append([]load.Option{
		load.WithSource(func() (load.Usage, error) {
			mu.Lock()
			defer mu.Unlock()
			now, sum := e.Now(), e.CPUTime()
			elapsed, spent := now-at, sum-used
			at, used = now, sum
			if elapsed <= 0 {
				return load.Usage{CPU: load.Value{Known: true}}, nil
			}
			share := float64(spent) / float64(elapsed) / float64(e.Cores())
			return load.Usage{CPU: load.Value{V: min(share, 1), Known: true}}, nil
		}),
		load.WithScheduler(func() load.Scheduler {
			return load.Scheduler{Runnable: e.model.runnable(), Latency: e.model.latency(), Known: true}
		}),
	}, opts...)...)
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { s.Close() })
	return s
}

// Gauge reads a figure at the end of every [Scenario.Window], to be found in
// [Result.Gauges]: a limit, the length of a queue.
func (e *Env) Gauge(name string, read func() float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gauges = append(e.gauges, &gauge{name: name, read: read})
}

// Cleanup calls f after the last request, the last f first. Whatever starts a
// goroutine has to stop it there: the simulation fails if one is left.
func (e *Env) Cleanup(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fns = append(e.fns, f)
}

// serveWork is the service: it does the work of the request whose context r
// has, or one derived from it, and answers 200.
func (e *Env) serveWork(w http.ResponseWriter, r *http.Request) {
	a, ok := r.Context().Value(attemptKey{}).(*attempt)
	if !ok {
		panic("sim: the middleware called the handler with a context that is not derived from the request's")
	}
	a.handled.CompareAndSwap(-1, int64(e.clock.now()))
	var gone <-chan struct{}
	if e.sc.HonourCancel {
		gone = r.Context().Done()
	}
	e.model.work(a, gone)
	w.WriteHeader(http.StatusOK)
}
