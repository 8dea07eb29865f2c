package timeout

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/metric"
)

// ending is what became of a request.
type ending uint8

const (
	endedDone     ending = iota // in time
	endedTimeout                // answered by this package
	endedAborted                // had begun, and was cut off
	endedCanceled               // its client left
	endings
)

// tally counts what became of requests.
type tally struct {
	requests atomic.Uint64
	ended    [endings]atomic.Uint64
	refused  [reasons]atomic.Uint64
	overdue  atomic.Int64
	long     atomic.Int64
	// longEnded of the ended ones were long-lived, and are not among took.
	longEnded atomic.Uint64

	chosen, took extent
}

// begin counts a request and the timeout chosen for it.
func (t *tally) begin(chosen time.Duration) {
	t.requests.Add(1)
	t.chosen.add(chosen)
}

// end counts what became of it.
func (t *tally) end(took time.Duration, e ending) {
	t.took.add(took)
	t.ended[e].Add(1)
}

// extent is a sum with its extremes. How many there are is counted elsewhere:
// a counter costs more than all the rest where processors share it.
type extent struct {
	sum atomic.Uint64
	// least is that of all added plus one, so that 0 is none.
	least, most atomic.Uint64
}

func (x *extent) add(d time.Duration) {
	v := uint64(max(d, 0))
	x.sum.Add(v)
	for old := x.least.Load(); old == 0 || v < old-1; old = x.least.Load() {
		if x.least.CompareAndSwap(old, v+1) {
			break
		}
	}
	for old := x.most.Load(); v > old; old = x.most.Load() {
		if x.most.CompareAndSwap(old, v) {
			break
		}
	}
}

func (x *extent) read(n uint64) (least, mean, most time.Duration) {
	if n > 0 {
		mean = time.Duration(min(x.sum.Load()/n, math.MaxInt64))
	}
	if l := x.least.Load(); l > 0 {
		least = time.Duration(l - 1)
	}
	most = time.Duration(x.most.Load())
	// They were not read at one moment.
	return least, min(max(mean, least), max(most, least)), max(most, least)
}

// Stats are a Timeout's figures at one moment, of the requests it served and of
// those its Transports sent. Counts are since it was made.
type Stats struct {
	Name string
	// Requests got a timeout. Exempt ones are not among them, nor are those
	// refused before any work.
	Requests uint64
	// Timeouts were not done at their deadline, or silent for too long;
	// Aborted are those of them whose response had begun and was cut off.
	Timeouts, Aborted uint64
	// Ratio is Timeouts as a share of Requests.
	Ratio float64
	// Canceled is how many clients left first.
	Canceled uint64
	// Expired came after their deadline, Refused while too many handlers were
	// overdue. Both were answered before any work.
	Expired, Refused uint64
	// Overdue handlers are still running after their deadlines. LongLived
	// exchanges are hijacked connections and spared streams.
	Overdue, LongLived int
	// The timeouts chosen.
	MinTimeout, MeanTimeout, MaxTimeout time.Duration
	// How long requests took, up to their end or their deadline. Long-lived
	// exchanges are left out.
	MinDuration, MeanDuration, MaxDuration time.Duration
	// DroppedEvents were not handed to a callback that blocked.
	DroppedEvents uint64
}

// Stats returns the figures.
func (t *Timeout) Stats() Stats {
	c := &t.tally
	s := Stats{
		Name:          t.set.name,
		Requests:      c.requests.Load(),
		Aborted:       c.ended[endedAborted].Load(),
		Canceled:      c.ended[endedCanceled].Load(),
		Expired:       c.refused[ReasonExpired].Load(),
		Refused:       c.refused[ReasonOverdue].Load(),
		Overdue:       int(c.overdue.Load()),
		LongLived:     int(c.long.Load()),
		DroppedEvents: t.set.onTimeout.Dropped(),
	}
	s.Timeouts = c.ended[endedTimeout].Load() + s.Aborted
	if s.Requests > 0 {
		s.Ratio = float64(s.Timeouts) / float64(s.Requests)
	}
	s.MinTimeout, s.MeanTimeout, s.MaxTimeout = c.chosen.read(s.Requests)
	timed := c.ended[endedDone].Load() + s.Timeouts + s.Canceled
	timed -= min(c.longEnded.Load(), timed)
	s.MinDuration, s.MeanDuration, s.MaxDuration = c.took.read(timed)
	return s
}

// Collect implements [handrail.Source].
func (t *Timeout) Collect(emit func(handrail.Metric)) {
	s := t.Stats()
	m := metric.New("handrail_timeout_", s.Name, emit)
	m.Counter("requests", "Requests that got a timeout.", s.Requests)
	how := func(value string) handrail.Label { return handrail.Label{Name: "answer", Value: value} }
	m.Counter("exceeded_requests", "Requests not done at their deadline.", s.Timeouts-s.Aborted, how("timeout"))
	m.Counter("exceeded_requests", "Requests not done at their deadline.", s.Aborted, how("aborted"))
	m.Counter("canceled_requests", "Requests whose client left first.", s.Canceled)
	why := func(r Reason) handrail.Label { return handrail.Label{Name: "reason", Value: r.String()} }
	m.Counter("refused_requests", "Requests refused before any work.", s.Expired, why(ReasonExpired))
	m.Counter("refused_requests", "Requests refused before any work.", s.Refused, why(ReasonOverdue))
	m.Gauge("overdue_requests", "Handlers still running after their deadline.", float64(s.Overdue))
	m.Gauge("long_lived_requests", "Hijacked connections and spared streams.", float64(s.LongLived))
	m.Gauge("chosen_min_seconds", "Shortest timeout chosen.", s.MinTimeout.Seconds())
	m.Gauge("chosen_mean_seconds", "Mean timeout chosen.", s.MeanTimeout.Seconds())
	m.Gauge("chosen_max_seconds", "Longest timeout chosen.", s.MaxTimeout.Seconds())
	m.Gauge("duration_min_seconds", "Shortest duration of a request.", s.MinDuration.Seconds())
	m.Gauge("duration_mean_seconds", "Mean duration of a request.", s.MeanDuration.Seconds())
	m.Gauge("duration_max_seconds", "Longest duration of a request.", s.MaxDuration.Seconds())
	m.Counter("dropped_events", "Events not handed to a callback that blocked.", s.DroppedEvents)
}
