package gates

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/shed/sim"
)

// seeds is how many services each gate is run on.
var seeds = func() uint64 {
	if sim.RaceEnabled {
		return 2
	}
	return 8
}()

// service is one drawn case: how the backend works and how long clients wait.
type service struct {
	name     string
	backend  sim.Service
	capacity float64
	servers  int
	deadline time.Duration
}

// few reports whether there are so few servers that a gate cannot be reached
// by any rule: then chance alone makes queues as long as the gates forbid. With
// one server at capacity and room for k, even the ideal queue loses a share of
// 1/(k+1) (Kendall's M/M/1/K), and the wait that nine in ten need is more than
// the latency gate leaves. For those each gate says how far it is reached.
func (s service) few() bool { return s.servers < 4 }

// either chooses a gate's figure.
func (s service) either(gate, few float64) float64 {
	if s.few() {
		return few
	}
	return gate
}

// evenly draws from lo to hi, evenly on a logarithmic scale.
func evenly(r *rand.Rand, lo, hi float64) float64 {
	return lo * math.Pow(hi/lo, r.Float64())
}

// draw makes a case from a seed: 1 to 64 workers, 2 to 100 ms mean service
// time, lognormal or bimodal, a pool of workers or processors that are shared,
// and a deadline of 0.1 to 5 s, but at least twenty times the mean: below that
// the service times alone make answers late, whoever is let in.
func draw(seed uint64) service {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	workers := int(math.Round(evenly(r, 1, 64)))
	mean := time.Duration(evenly(r, 2e6, 100e6))
	s := service{deadline: max(time.Duration(evenly(r, .1e9, 5e9)), 20*mean)}
	var times sim.Dist
	kind := "lognormal"
	if r.Float64() < .6 {
		times = sim.LogNormal(mean, evenly(r, .3, 1.5))
	} else {
		kind = "bimodal"
		// One in ten takes five times as long as the others.
		fast := time.Duration(float64(mean) / 1.4)
		times = sim.Bimodal(sim.LogNormal(fast, .3), sim.LogNormal(5*fast, .3), .1)
	}
	model := "workers"
	if r.Float64() < .4 {
		model, workers = "processors", min(workers, 16)
		s.backend = sim.CPU{Cores: workers, Time: times}
	} else {
		s.backend = sim.Pool{Workers: workers, Time: times}
	}
	s.servers = workers
	s.capacity = s.backend.Capacity()
	s.name = fmt.Sprintf("%d %s, %v %s, deadline %v", workers, model,
		mean.Round(100*time.Microsecond), kind, s.deadline.Round(time.Millisecond))
	return s
}

// lasting is how long n completions take at capacity, within bounds.
func (s service) lasting(n float64, lo, hi time.Duration) time.Duration {
	if sim.RaceEnabled {
		n, lo, hi = n/4, lo/2, hi/2
	}
	return min(max(time.Duration(n/s.capacity*1e9), lo), hi)
}

// scenario puts the service under a shape of load. Clients leave at their
// deadline without having said when that will be, as they do on the wire.
func (s service) scenario(seed uint64, shape sim.Shape) sim.Scenario {
	return sim.Scenario{Name: s.name, Seed: seed, Service: s.backend, Shape: shape,
		Deadline: sim.Constant(s.deadline), HideDeadline: true}
}

// adaptive builds the Shedder that the gates are about: no setting, only who
// the requests belong to.
func adaptive(env *sim.Env) func(http.Handler) http.Handler {
	s, err := shed.New(
		shed.WithSampler(env.Sampler()),
		shed.WithPriorityHeader(sim.PriorityHeader),
		shed.WithTenant(handrail.ByHeader(sim.TenantHeader)),
		shed.WithAttemptHeader(sim.AttemptHeader),
	)
	if err != nil {
		panic(err)
	}
	return s.Wrap
}
