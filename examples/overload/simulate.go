package main

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/shed/sim"
)

// simulate is run in virtual time: the same load on a model of the service,
// reported by the same rules. The model of a handler that burns CPU is told
// that shed steps back after admission, which it cannot see.
func (t *trial) simulate(ctx context.Context, protected bool) (*measured, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	m := &measured{name: "bare", shape: t.shape, deadline: t.deadline, reached: t.shape.total()}
	if protected {
		m.name = "shed"
	}
	scenario := sim.Scenario{
		Seed:     t.seed,
		Deadline: sim.Constant(t.deadline),
		Service:  sim.Pool{Workers: t.workers, Time: sim.LogNormal(t.work, math.Sqrt(math.Expm1(spread*spread)))},
	}
	if t.service == "cpu" {
		scenario.Service = sim.Process{Cores: t.procs, Time: sim.Constant(t.work), Yields: protected}
	}
	if t.even {
		scenario.Arrivals = sim.Even
	}
	for _, p := range t.shape {
		scenario.Shape = append(scenario.Shape, sim.Phase{Duration: p.long, From: p.ratio, To: p.ratio})
	}
	for i, n := range classCards {
		scenario.Mix.Classes[i] = float64(n)
	}
	for i, name := range tenants {
		scenario.Mix.Tenants = append(scenario.Mix.Tenants, sim.Tenant{Name: name, Share: float64(tenantCards[i])})
	}
	m.capacity = scenario.Service.Capacity()
	if err := t.affordable(m.capacity); err != nil {
		return nil, err
	}
	// Long enough for the bare service to work off whatever it was sent.
	work := t.shape.arrivals(m.capacity) / m.capacity * float64(time.Second)
	scenario.Drain = time.Duration(2*work) + t.deadline + time.Minute

	t.progress.show("%s: simulating, capacity %.0f/s, load %v", m.name, m.capacity, t.shape)
	failed := make(chan error, 1)
	go func() {
		_, err := sim.Simulate(scenario, func(env *sim.Env) func(http.Handler) http.Handler {
			wrap := sim.Bare(env)
			if protected {
				var err error
				if wrap, err = protect(shed.WithSampler(env.Sampler()), shed.WithSeed(env.Seed())); err != nil {
					panic(err)
				}
			}
			return func(service http.Handler) http.Handler { return &notary{m: m, env: env, next: wrap(service)} }
		})
		failed <- err
	}()
	select {
	case err := <-failed:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done(): // a simulation cannot be stopped, but it is not waited for
		return nil, nil
	}
	slices.SortStableFunc(m.list, func(a, b request) int { return cmp.Compare(a.due, b.due) })
	return m, nil
}

// notary stands in front of everything and writes down what becomes of each
// request, as the real client does.
type notary struct {
	m    *measured
	env  *sim.Env
	next http.Handler
	mu   sync.Mutex
}

func (n *notary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A request may have queued before it got here; its deadline tells when it
	// was sent. No client tells a real server its deadline, so it is hidden.
	ends, _ := r.Context().Deadline()
	due := n.env.Now() + time.Until(ends) - n.m.deadline
	priority, _ := handrail.ParsePriority(r.Header.Get(sim.PriorityHeader))
	tenant := slices.Index(tenants[:], r.Header.Get(sim.TenantHeader))
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	n.next.ServeHTTP(seen, r.WithContext(undated{r.Context()}))
	took := n.env.Now() - due
	done := request{
		due: due, took: took,
		kind: kindOf(priority.Rank(), max(0, tenant)), phase: uint8(n.m.shape.at(due)),
		outcome: judge(seen.status, nil, took, n.m.deadline),
	}
	n.mu.Lock()
	n.m.list = append(n.m.list, done)
	n.mu.Unlock()
}

// undated is a context without a deadline that ends when its parent does.
type undated struct{ context.Context }

func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
