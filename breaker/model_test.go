package breaker_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/race"
)

// model is a circuit breaker written for being read: it remembers everything,
// and looks at all of it each time.
type model struct {
	consecutive         int
	share               float64
	least               int
	window              time.Duration
	buckets             int
	openFor, maxOpenFor time.Duration
	growth              float64
	successes, probes   int
	probeTimeout, ramp  time.Duration
	slow                time.Duration

	now        time.Time
	state      breaker.State
	generation int
	since      time.Time
	openUntil  time.Time
	lastOpen   time.Duration
	trips      int
	row        int
	results    []modelResult
	under      []*modelCall // probes of this generation that are under way
	good       int
	credit     time.Duration
	events     []breaker.Event
}

type modelResult struct {
	at     time.Time
	failed bool
}

type modelCall struct {
	generation int
	began      time.Time
	probe      bool
}

func draw(rng *rand.Rand) *model {
	pick := func(of ...int) int { return of[rng.IntN(len(of))] }
	ms := time.Millisecond
	m := &model{
		consecutive: pick(0, 1, 2, 3, 5), share: []float64{0, .3, .5, 1}[rng.IntN(4)], least: 1 + rng.IntN(6),
		window: time.Duration(pick(10, 30, 100, 101)) * ms, buckets: pick(2, 3, 10),
		openFor: time.Duration(pick(1, 10, 50)) * ms, growth: 1,
		successes: 1 + rng.IntN(4), probeTimeout: time.Duration(pick(5, 20, 60)) * ms,
	}
	if m.consecutive == 0 && m.share == 0 {
		m.consecutive = 1
	}
	m.probes = 1 + rng.IntN(m.successes)
	m.maxOpenFor = m.openFor
	if rng.IntN(2) == 0 {
		m.growth, m.maxOpenFor = []float64{1.5, 2, 10}[rng.IntN(3)], m.openFor*time.Duration(pick(1, 3, 20))
	}
	if rng.IntN(3) == 0 {
		m.ramp = time.Duration(pick(10, 40)) * ms
	}
	if rng.IntN(4) == 0 {
		m.slow = time.Duration(pick(5, 20)) * ms
	}
	return m
}

func (m *model) options() []breaker.Option {
	opts := []breaker.Option{
		breaker.WithConsecutiveFailures(m.consecutive), breaker.WithFailureRate(m.share, m.least, m.window, m.buckets),
		breaker.WithOpenFor(m.openFor), breaker.WithGrowth(m.growth, m.maxOpenFor), breaker.WithSuccesses(m.successes),
		breaker.WithProbes(m.probes), breaker.WithProbeTimeout(m.probeTimeout), breaker.WithRamp(m.ramp),
	}
	if m.slow > 0 {
		opts = append(opts, breaker.WithSlowCall(m.slow, 0))
	}
	return opts
}

func (m *model) enter(to breaker.State, cause breaker.Cause) {
	e := breaker.Event{From: m.state, To: to, Cause: cause, At: m.now}
	if to == breaker.Open {
		if m.state == breaker.Closed && m.now.Sub(m.since) >= m.lastOpen {
			m.trips = 0
		}
		m.lastOpen = min(time.Duration(float64(m.openFor)*math.Pow(m.growth, float64(m.trips))), m.maxOpenFor)
		m.trips++
		m.openUntil = m.now.Add(m.lastOpen)
		e.OpenFor = m.lastOpen
	}
	m.events = append(m.events, e)
	m.state, m.since = to, m.now
	m.generation++
	m.row, m.results, m.under, m.good, m.credit = 0, nil, nil, 0, m.ramp
}

// admit is nil where the request is refused, for the reason returned.
func (m *model) admit() (*modelCall, string) {
	if m.state == breaker.Open {
		if m.now.Before(m.openUntil) {
			return nil, "open"
		}
		m.enter(breaker.HalfOpen, breaker.CauseDue)
	}
	c := &modelCall{generation: m.generation, began: m.now}
	switch since := m.now.Sub(m.since); {
	case m.state == breaker.HalfOpen:
		if len(m.under) == m.probes || len(m.under)+m.good == m.successes {
			return nil, "probing"
		}
		c.probe = true
		m.under = append(m.under, c)
	case m.closedBefore() && since < m.ramp:
		m.credit += since
		if m.credit < m.ramp {
			return nil, "ramping"
		}
		m.credit -= m.ramp
	}
	return c, ""
}

func (m *model) closedBefore() bool { return len(m.events) > 0 }

func (m *model) finish(c *modelCall, v breaker.Verdict) {
	if m.slow > 0 && m.now.Sub(c.began) >= m.slow && v == breaker.Success {
		v = breaker.Failure
	}
	if c.generation != m.generation {
		return
	}
	m.under = slices.DeleteFunc(m.under, func(u *modelCall) bool { return u == c })
	switch {
	case v == breaker.Excluded:
	case m.state == breaker.HalfOpen && v == breaker.Failure:
		m.enter(breaker.Open, breaker.CauseProbeFailed)
	case m.state == breaker.HalfOpen:
		if m.good++; m.good == m.successes {
			m.enter(breaker.Closed, breaker.CauseRecovered)
		}
	default:
		m.results = append(m.results, modelResult{m.now, v == breaker.Failure})
		if v == breaker.Success {
			m.row = 0
			return
		}
		m.row++
		all, bad := m.inWindow()
		if m.consecutive > 0 && m.row >= m.consecutive ||
			m.share > 0 && all >= m.least && float64(bad)/float64(all) >= m.share {
			m.enter(breaker.Open, breaker.CauseFailures)
		}
	}
}

// inWindow counts the results in the current bucket and those before it that
// make up a window.
func (m *model) inWindow() (all, bad int) {
	width := (m.window + time.Duration(m.buckets) - 1) / time.Duration(m.buckets)
	bucket := func(at time.Time) int { return int(at.Sub(m.since) / width) }
	for _, r := range m.results {
		if bucket(m.now)-bucket(r.at) < m.buckets {
			all++
			if r.failed {
				bad++
			}
		}
	}
	return all, bad
}

// pass lets time go by, in which probes may hang for too long.
func (m *model) pass(d time.Duration) {
	until := m.now.Add(d)
	if m.state == breaker.HalfOpen && len(m.under) > 0 {
		first := m.under[0].began // they are in order
		if due := first.Add(m.probeTimeout); !due.After(until) {
			m.now = due
			m.enter(breaker.Open, breaker.CauseProbeHung)
		}
	}
	m.now = until
}

type pair struct {
	real  *call
	model *modelCall
}

func TestAgreesWithAPlainModel(t *testing.T) {
	const steps = 30
	sequences := race.Either[uint64](10_000, 1000)
	seen := map[string]int{}
	bubble(t, func(t *testing.T) {
		for seed := range sequences {
			if !follow(t, seed, steps, seen) {
				t.Fatalf("seed %d", seed)
			}
		}
	})
	// What never happened was not tried.
	for _, what := range []string{
		"refused open", "refused probing", "refused ramping", "late", "hung", "event closed open failures", "event open half_open due",
		"event half_open open probe_failed", "event half_open open probe_hung", "event half_open closed recovered",
	} {
		if seen[what] < int(sequences)/100 {
			t.Errorf("%q happened %d times", what, seen[what])
		}
	}
}

func follow(t *testing.T, seed uint64, steps int, seen map[string]int) bool {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := draw(rng)
	var events []breaker.Event
	b := made(t, append(m.options(), breaker.OnStateChange(func(e breaker.Event) { events = append(events, e) }))...)
	d := drive(b)
	m.now, m.since = time.Now(), time.Now()
	var inside []pair
	take := func() (p pair) {
		i := rng.IntN(len(inside))
		p = inside[i]
		inside = slices.Delete(inside, i, i+1)
		return p
	}
	bad := rng.Float64()
	how := func() ending {
		if rng.Float64() < bad {
			return []ending{failed, panicked, abortedOnPurpose, exited, timedOutInside}[rng.IntN(5)]
		}
		if rng.IntN(4) == 0 {
			return []ending{canceled, canceledAborted, shedInside, openInside, fullInside}[rng.IntN(5)]
		}
		return []ending{fine, notFound, notImplemented}[rng.IntN(3)]
	}
	finish := func(p pair) {
		if p.model.generation != m.generation {
			seen["late"]++
		}
		e := how()
		p.real.finish(e)
		m.finish(p.model, e.verdict())
	}
	ok := true
	for step := 0; step < steps && ok; step++ {
		switch n := rng.IntN(10); {
		case n < 6:
			real := d.start()
			want, why := m.admit()
			if real.inside != (want != nil) {
				t.Errorf("step %d: let in %t, want %t %s", step, real.inside, want != nil, why)
				ok = false
			}
			if real.inside {
				p := pair{real, want}
				if want == nil {
					p.model = &modelCall{generation: -1}
				}
				if inside = append(inside, p); n < 4 {
					p = take()
					finish(p)
				}
			} else if want == nil {
				seen["refused "+why]++
				ok = refusedFor(t, m, real, why) && ok
			}
		case n < 8 && len(inside) > 0:
			finish(take())
		default:
			pass := time.Duration(rng.IntN(30)) * time.Millisecond
			if rng.IntN(2) == 0 {
				pass = time.Duration(rng.IntN(4)) * time.Millisecond
			}
			if m.state == breaker.Open && rng.IntN(2) == 0 {
				pass = m.openUntil.Sub(m.now) - time.Duration(rng.IntN(2))
			}
			pass = max(pass, 0)
			wait(pass)
			if m.pass(pass); len(m.events) > 0 && m.events[len(m.events)-1].Cause == breaker.CauseProbeHung {
				seen["hung"]++
			}
		}
		if got := b.Stats().Circuits[0]; got.State != m.state || got.Probes != len(m.under) || m.state == breaker.Open && !got.NextProbe.Equal(m.openUntil) {
			t.Errorf("step %d: %v with %d probes, next %v; want %v with %d, next %v", step, got.State, got.Probes, got.NextProbe, m.state, len(m.under), m.openUntil)
			ok = false
		} else if all, bad := m.inWindow(); m.state == breaker.Closed && m.share > 0 && all > 0 &&
			(got.Requests != uint64(all) || got.FailureRate != float64(bad)/float64(all)) {
			t.Errorf("step %d: rate %v of %d, want %d of %d", step, got.FailureRate, got.Requests, bad, all)
			ok = false
		}
	}
	for _, p := range inside {
		p.real.finish(fine)
		m.finish(p.model, breaker.Success)
	}
	synctest.Wait()
	for _, e := range m.events {
		seen[fmt.Sprint("event ", e.From, " ", e.To, " ", e.Cause)]++
	}
	if !slices.EqualFunc(events, m.events, func(a, b breaker.Event) bool {
		at := a.At.Equal(b.At)
		a.At, b.At = time.Time{}, time.Time{}
		return at && a == b
	}) {
		t.Errorf("events\n%v, want\n%v", events, m.events)
		ok = false
	}
	return ok && !t.Failed()
}

// refusedFor looks at what a refused client reads.
func refusedFor(t *testing.T, m *model, c *call, why string) bool {
	after, _ := strconv.Atoi(c.w.Header().Get("Retry-After"))
	low, high := 1, 2
	if why == "open" {
		low = int((m.openUntil.Sub(m.now) + time.Second - 1) / time.Second)
		high = low
	}
	if c.w.Code != 503 || after < low || after > high {
		t.Errorf("%s: status %d, Retry-After %d, want %d to %d", why, c.w.Code, after, low, high)
		return false
	}
	return true
}
