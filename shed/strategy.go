package shed

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/load"
)

// Strategy is how a Shedder decides.
type Strategy uint8

const (
	// Adaptive finds by itself how many requests can be inside, and lets in
	// the most important ones first. It needs no setting. See the package's
	// documentation.
	Adaptive Strategy = iota
	// Random sheds the share of requests that pressure asks for, whichever
	// they are.
	Random
	// Priority sheds that share from the least important class upwards, each
	// up to its cap. See ByPriority.
	Priority
	// Circuit sheds everything for a time when signals are over their
	// thresholds, then probes. See WithCircuit.
	Circuit
	// Custom asks a function. See Using.
	Custom

	strategies
)

// String returns the strategy's name in lower case.
func (s Strategy) String() string {
	if s >= strategies {
		return "unknown"
	}
	return [...]string{"adaptive", "random", "priority", "circuit", "custom"}[s]
}

// Snapshot is what a custom strategy decides on. It is a copy.
type Snapshot struct {
	// Load is at most a tenth of a second old.
	Load load.Snapshot
	// Pressure is the weighted pressure, 0 to 1, that random and priority use.
	Pressure float64
	Priority handrail.Priority
	// Attempt is how often the request has been tried before, where an option
	// tells.
	Attempt int
}

// Func is a strategy of your own: it reports whether to shed the request. It
// runs on the serving goroutine, must be quick and safe for concurrent use,
// and must not read the body. A panic goes the way of a handler's panic.
type Func func(s Snapshot, r *http.Request) (shed bool)

// refreshEvery is how old the figures behind the non-adaptive strategies get.
const refreshEvery = 100 * time.Millisecond

// The weights of the signals in the pressure.
const (
	weightCPU     = .30
	weightMemory  = .30
	weightLatency = .30
	weightErrors  = .10
)

// excess is how far x is above its threshold, as a share of what is left
// there: 0 at the threshold, 1 at 1. A threshold of 1 is never exceeded.
func excess(x, threshold float64) float64 {
	if !(threshold < 1) || !(x > threshold) {
		return 0
	}
	return min((x-threshold)/(1-threshold), 1)
}

// pressure is the weighted sum of the signals' excess, 0 to 1. An unknown
// signal is left out and the other weights grow in proportion; with none known
// there is no pressure.
func (t Thresholds) pressure(s load.Snapshot) float64 {
	sum, weights := 0., 0.
	add := func(known bool, weight, excess float64) {
		if known {
			sum += weight * excess
			weights += weight
		}
	}
	late := min(max(float64(s.P95-t.Latency)/float64(t.Latency), 0), 1)
	add(s.CPU.Known, weightCPU, excess(s.CPU.V, t.CPU))
	add(s.Memory.Known, weightMemory, excess(s.Memory.V, t.Memory))
	add(s.Samples > 0, weightLatency, late)
	add(s.Samples > 0, weightErrors, excess(s.ErrorRate, t.Errors))
	if weights == 0 {
		return 0
	}
	return sum / weights
}

// over counts the signals above their thresholds.
func (t Thresholds) over(s load.Snapshot) int {
	n := 0
	for _, over := range [...]bool{
		s.CPU.Known && s.CPU.V > t.CPU,
		s.Memory.Known && s.Memory.V > t.Memory,
		s.Samples > 0 && s.P95 > t.Latency,
		s.Samples > 0 && s.ErrorRate > t.Errors,
	} {
		if over {
			n++
		}
	}
	return n
}

// view is what the non-adaptive strategies decide on, renewed now and then by
// a request that finds it old.
type view struct {
	load     load.Snapshot
	pressure float64
	shares   [handrail.Priorities]float64 // of each class in the arrivals
	rates    [handrail.Priorities]float64 // to shed of each class
}

// outlook keeps the view fresh.
type outlook struct {
	view atomic.Pointer[view]
	due  atomic.Int64 // on the shedder's clock

	mu      sync.Mutex // held by the one caller that renews
	arrived [handrail.Priorities]uint64
}

// at returns the view and renews it first where it is due: one caller does so,
// the others take what is there.
func (o *outlook) at(now time.Duration, set *settings, t *tally) *view {
	v := o.view.Load()
	if v != nil && (int64(now) < o.due.Load() || !o.mu.TryLock()) {
		return v
	}
	if v == nil {
		o.mu.Lock()
	}
	defer o.mu.Unlock()
	if v = o.view.Load(); v != nil && int64(now) < o.due.Load() {
		return v
	}
	fresh := &view{load: set.sampler.Snapshot()}
	fresh.pressure = set.thresholds.pressure(fresh.load)
	fresh.shares = o.shares(v, t)
	fresh.rates = rates(min(max(fresh.pressure, set.minRate), set.maxRate), fresh.shares, set.caps)
	o.view.Store(fresh)
	o.due.Store(int64(now + refreshEvery))
	return fresh
}

// shares of the classes in the arrivals since the last renewal, smoothed.
func (o *outlook) shares(last *view, t *tally) (shares [handrail.Priorities]float64) {
	if last != nil {
		shares = last.shares
	}
	sum := 0.
	var fresh [handrail.Priorities]float64
	for rank := range fresh {
		n := t.arrived[2*rank].Load() + t.arrived[2*rank+1].Load()
		fresh[rank] = float64(n - o.arrived[rank])
		o.arrived[rank] = n
		sum += fresh[rank]
	}
	if sum == 0 {
		return shares
	}
	for rank := range shares {
		if last == nil {
			shares[rank] = fresh[rank] / sum
		} else {
			shares[rank] += .5 * (fresh[rank]/sum - shares[rank])
		}
	}
	return shares
}

// rates spreads a share of all arrivals over the classes from the least
// important one upwards, none above its cap.
func rates(share float64, shares, caps [handrail.Priorities]float64) (rates [handrail.Priorities]float64) {
	for rank := handrail.Priorities - 1; rank >= 0; rank-- {
		if shares[rank] == 0 {
			rates[rank] = min(share, caps[rank])
			continue
		}
		rates[rank] = min(share/shares[rank], caps[rank])
		share = max(0, share-rates[rank]*shares[rank])
	}
	return rates
}

// dice draws uniform numbers without a lock: each draw mixes the next value of
// a counter (SplitMix64, Steele, Lea and Flood 2014).
type dice struct{ state atomic.Uint64 }

func (d *dice) roll() float64 {
	z := d.state.Add(0x9e3779b97f4a7c15)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
