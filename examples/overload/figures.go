package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/handrail-go/handrail"
)

// measured is one finished, or interrupted, run.
type measured struct {
	name        string  // bare or shed
	capacity    float64 // requests a second
	shape       shape
	deadline    time.Duration
	list        []request
	reached     time.Duration // how much of the shape was driven
	interrupted bool
	clientCPU   time.Duration // used by the client while driving, 0 if unknown
}

// counted is the part of the run that has a verdict: when it was cut short,
// requests due within the last deadline may still have been under way.
func (m *measured) counted() time.Duration {
	if m.interrupted {
		return max(0, m.reached-m.deadline)
	}
	return m.reached
}

// figures are what the report says of one run, in the names and units of the
// JSON output. A figure that nothing was measured for is null.
type figures struct {
	CapacityRPS    float64             `json:"capacity_rps"`
	OfferedRatio   *float64            `json:"offered_ratio"`
	GoodputRatio   *float64            `json:"goodput_ratio"`
	P50            *float64            `json:"p50_ms"`
	P99            *float64            `json:"p99_ms"`
	ShedRatio      *float64            `json:"shed_ratio"`
	FalseShedRatio *float64            `json:"false_shed_ratio"`
	Recovered      bool                `json:"recovered"`
	RecoverSeconds *float64            `json:"recover_seconds"`
	ClassSuccess   classFigures        `json:"class_success"`
	TenantSuccess  map[string]*float64 `json:"tenant_success"`
	Outcomes       outcomeCounts       `json:"outcomes"`
	ClientLag      *float64            `json:"client_lag_p99_ms"`
	ClientCPU      *float64            `json:"client_cpu_us"`
	Phases         []phaseFigures      `json:"phases"`
	Interrupted    bool                `json:"interrupted"`

	run      *measured
	observed time.Duration // after the overload
}

type classFigures struct {
	Critical   *float64 `json:"critical"`
	High       *float64 `json:"high"`
	Normal     *float64 `json:"normal"`
	Low        *float64 `json:"low"`
	Background *float64 `json:"background"`
}

func (c *classFigures) rank(i int) **float64 {
	return [handrail.Priorities]**float64{&c.Critical, &c.High, &c.Normal, &c.Low, &c.Background}[i]
}

// outcomeCounts are of the whole run.
type outcomeCounts struct {
	Good     int `json:"good"`
	Shed     int `json:"shed"`
	Late     int `json:"late"`
	Failed   int `json:"failed"`
	Overflow int `json:"overflow"`
}

type phaseFigures struct {
	Ratio         float64             `json:"ratio"`
	Seconds       float64             `json:"seconds"`
	OfferedRatio  *float64            `json:"offered_ratio"`
	GoodputRatio  *float64            `json:"goodput_ratio"`
	P50           *float64            `json:"p50_ms"`
	P99           *float64            `json:"p99_ms"`
	ShedRatio     *float64            `json:"shed_ratio"`
	ClassSuccess  classFigures        `json:"class_success"`
	TenantSuccess map[string]*float64 `json:"tenant_success"`
	ClientLag     *float64            `json:"client_lag_p99_ms"`
}

// figure computes everything that is reported.
func (m *measured) figure() *figures {
	f := &figures{CapacityRPS: round(m.capacity), Interrupted: m.interrupted, run: m}
	if over, ok := m.shape.after(); ok {
		f.observed = max(0, m.counted()-over)
	}
	var lags []time.Duration
	lightly, shedLightly := 0, 0
	heaviest := m.shape.overload()
	for i, p := range m.shape {
		begin := m.shape.start(i)
		long := min(p.long, m.counted()-begin)
		if long <= 0 {
			break
		}
		part := m.between(begin, begin+long)
		g := m.phase(p.ratio, long, part)
		f.Phases = append(f.Phases, g)
		if i == heaviest {
			f.OfferedRatio, f.GoodputRatio, f.P50, f.P99 = g.OfferedRatio, g.GoodputRatio, g.P50, g.P99
			f.ShedRatio, f.ClassSuccess, f.TenantSuccess = g.ShedRatio, g.ClassSuccess, g.TenantSuccess
		}
		for j := range part {
			r := &part[j]
			switch r.outcome {
			case good:
				f.Outcomes.Good++
			case refused:
				f.Outcomes.Shed++
			case late:
				f.Outcomes.Late++
			case failed:
				f.Outcomes.Failed++
			case overflow:
				f.Outcomes.Overflow++
			}
			if r.outcome != overflow {
				lags = append(lags, r.lag)
			}
			if p.ratio < 1 {
				lightly++
				if r.outcome == refused {
					shedLightly++
				}
			}
		}
	}
	if f.TenantSuccess == nil {
		f.TenantSuccess = noTenants()
	}
	f.FalseShedRatio = share(shedLightly, lightly)
	f.ClientLag = quantile(lags, .99)
	if len(lags) > 0 && m.clientCPU > 0 {
		f.ClientCPU = number(float64(m.clientCPU.Microseconds()) / float64(len(lags)))
	}
	if d, ok := m.recovery(); ok {
		f.Recovered, f.RecoverSeconds = true, number(d.Seconds())
	}
	return f
}

// between are the requests due in [from, to).
func (m *measured) between(from, to time.Duration) []request {
	at := func(t time.Duration) int {
		i, _ := slices.BinarySearchFunc(m.list, t, func(r request, t time.Duration) int { return cmp.Compare(r.due, t) })
		return i
	}
	return m.list[at(from):at(to)]
}

func (m *measured) phase(ratio float64, long time.Duration, part []request) phaseFigures {
	var answered, lags []time.Duration
	var served, sent struct {
		class  [handrail.Priorities]int
		tenant [len(tenants)]int
	}
	shed := 0
	for i := range part {
		r := &part[i]
		sent.class[r.kind.rank()]++
		sent.tenant[r.kind.tenant()]++
		if r.outcome != overflow {
			lags = append(lags, r.lag)
		}
		switch r.outcome {
		case good:
			served.class[r.kind.rank()]++
			served.tenant[r.kind.tenant()]++
			answered = append(answered, r.took)
		case refused:
			shed++
		}
	}
	able := m.capacity * long.Seconds()
	g := phaseFigures{
		Ratio: ratio, Seconds: round(long.Seconds()),
		OfferedRatio: number(float64(len(part)) / able),
		GoodputRatio: number(float64(len(answered)) / able),
		ShedRatio:    share(shed, len(part)),
		P50:          quantile(answered, .5), P99: quantile(answered, .99),
		TenantSuccess: noTenants(), ClientLag: quantile(lags, .99),
	}
	for i := range sent.class {
		*g.ClassSuccess.rank(i) = share(served.class[i], sent.class[i])
	}
	for i, name := range tenants {
		g.TenantSuccess[name] = share(served.tenant[i], sent.tenant[i])
	}
	return g
}

func noTenants() map[string]*float64 {
	all := make(map[string]*float64, len(tenants))
	for _, name := range tenants {
		all[name] = nil
	}
	return all
}

// Recovery is judged over windows of a second, or of what was observed after
// the overload if that is less, and again over all the rest, so that neither
// a lucky moment nor one late hiccup decides.
const (
	recoveryStep   = 50 * time.Millisecond
	recoveryWindow = time.Second
	recoveredShare = 0.95 // of the success before the overload
)

// recovery is the time from the end of the overload until requests succeed as
// before it and go on doing so, in steps of 50 ms. It is false if they never
// do, or if the run has no time after the overload.
func (m *measured) recovery() (time.Duration, bool) {
	from, ok := m.shape.after()
	end := m.counted()
	if !ok || end-from < recoveryStep {
		return 0, false
	}
	before := 1.0
	for i, p := range m.shape {
		if p.ratio >= 1 {
			if i > 0 {
				before = success(m.between(0, m.shape.start(i)))
			}
			break
		}
	}
	if before == 0 {
		return 0, false // there is nothing to come back to
	}
	window := min(recoveryWindow, end-from)
	for t := from; t+window <= end; t += recoveryStep {
		if success(m.between(t, t+window)) >= recoveredShare*before && success(m.between(t, end)) >= recoveredShare*before {
			return t - from, true
		}
	}
	return 0, false
}

// success is the share of requests answered in time, 1 of none.
func success(part []request) float64 {
	n := 0
	for i := range part {
		if part[i].outcome == good {
			n++
		}
	}
	if len(part) == 0 {
		return 1
	}
	return float64(n) / float64(len(part))
}

func round(v float64) float64   { return math.Round(v*1e4) / 1e4 }
func number(v float64) *float64 { v = round(v); return &v }

func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	return number(float64(part) / float64(whole))
}

// quantile is the exact q-quantile (nearest rank) in milliseconds.
func quantile(all []time.Duration, q float64) *float64 {
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	i := min(len(all)-1, max(0, int(math.Ceil(q*float64(len(all))))-1))
	return number(float64(all[i]) / float64(time.Millisecond))
}
