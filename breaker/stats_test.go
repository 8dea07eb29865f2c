package breaker_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/internal/golden"
	"github.com/handrail-go/handrail/internal/race"
)

func TestEveryFigureIsMovedByWhatItCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithName("checkout"), breaker.WithSuccesses(2))...)
		d := drive(b)
		do := func(e ending) { d.do(e, "X-Tenant", "acme") }
		began := time.Now()
		do(fine)
		wait(time.Second)
		do(failed)
		do(failed)
		wait(time.Second)
		do(canceled)
		c := circuitOf(b, "acme")
		if c.Successes != 1 || c.Failures != 2 || c.Excluded != 1 || c.ConsecutiveFailures != 2 || c.ConsecutiveSuccesses != 0 ||
			c.Requests != 3 || c.FailureRate != 2./3 || !c.LastSuccess.Equal(began) || !c.LastFailure.Equal(began.Add(time.Second)) ||
			!c.Since.Equal(began) || !c.NextProbe.IsZero() || c.OpenFor != 0 || c.Opened != 0 || c.Rejected != 0 {
			t.Errorf("closed: %+v", c)
		}
		do(fine)
		if c := circuitOf(b, "acme"); c.ConsecutiveSuccesses != 1 || c.ConsecutiveFailures != 0 {
			t.Errorf("after a success: %+v", c)
		}
		wait(10 * time.Second)
		if c := circuitOf(b, "acme"); c.Requests != 0 || c.FailureRate != 0 {
			t.Errorf("when the window is over: %+v", c)
		}
		old := d.start("X-Tenant", "acme")
		d.trip(5, "X-Tenant", "acme")
		opened := time.Now()
		do(fine)
		old.finish(fine)
		c = circuitOf(b, "acme")
		if c.State != breaker.Open || !c.Since.Equal(opened) || !c.NextProbe.Equal(opened.Add(time.Minute)) || c.OpenFor != time.Minute ||
			c.Opened != 1 || c.Rejected != 1 || c.Reasons[breaker.ReasonOpen] != 1 || c.Late != 1 {
			t.Errorf("open: %+v", c)
		}
		wait(time.Minute)
		probe := d.start("X-Tenant", "acme")
		if c := circuitOf(b, "acme"); c.State != breaker.HalfOpen || c.Probes != 1 || !c.NextProbe.IsZero() {
			t.Errorf("half-open: %+v", c)
		}
		probe.finish(fine)
		do(fine)
		if c := circuitOf(b, "acme"); c.State != breaker.Closed || c.Probes != 0 || !c.Since.Equal(time.Now()) {
			t.Errorf("closed again: %+v", c)
		}
		if c := circuitOf(b, "nobody"); c.Key != "" || !c.LastFailure.IsZero() {
			t.Errorf("%+v", c)
		}
		if s := b.Stats(); s.Name != "checkout" || s.Successes != 5 || s.Failures != 7 || s.Excluded != 1 || s.Late != 1 || s.Rejected != 1 || s.Opened != 1 {
			t.Errorf("all: %+v", s)
		}
	})
}

func TestMetricsTellWhatTheStatisticsTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := made(t, perTenant(breaker.WithName("checkout"))...)
		d := drive(b)
		d.do(fine, "X-Tenant", "globex")
		d.trip(6, "X-Tenant", "acme")
		golden.Metrics(t, "testdata/metrics.golden", b)
		golden.Manual(t, b)
		got := map[string]float64{}
		help := map[string]string{}
		b.Collect(func(m handrail.Metric) {
			id := m.Name
			for _, l := range m.Labels {
				if l.Value == "acme" {
					t.Errorf("%s has a key as a label", m.Name)
				}
				if l.Name != "name" {
					id += " " + l.Value
				} else if l.Value != "checkout" {
					t.Errorf("%s is of %q", m.Name, l.Value)
				}
			}
			if h, ok := help[m.Name]; ok && h != m.Help || m.Help == "" {
				t.Errorf("%s has the helps %q and %q", m.Name, h, m.Help)
			}
			help[m.Name] = m.Help
			if strings.HasSuffix(m.Name, "_total") != (m.Kind == handrail.Counter) {
				t.Errorf("%s is a %v", m.Name, m.Kind)
			}
			got[id] = m.Value
		})
		for id, want := range map[string]float64{
			"circuits closed": 1, "circuits open": 1, "circuits half_open": 0, "mode automatic": 1, "mode shadow": 0, "probes": 0,
			"results_total success": 1, "results_total failure": 5, "results_total excluded": 0, "late_results_total": 0,
			"refused_requests_total open": 1, "refused_requests_total probing": 0, "refused_requests_total ramping": 0, "refused_requests_total forced": 0,
			"opened_total": 1, "hung_probes_total": 0, "spared_requests_total": 0, "fallbacks_total": 0,
		} {
			if v, ok := got["handrail_breaker_"+id]; !ok || v != want {
				t.Errorf("%s is %v (%t), want %v", id, v, ok, want)
			}
		}
	})
}

func TestEventsThatABlockedCallbackCannotTakeAreDroppedAndCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		b := made(t, breaker.WithConsecutiveFailures(1), breaker.OnStateChange(func(breaker.Event) { <-hold }))
		d := drive(b)
		for range 600 {
			d.do(failed)
			b.Reset()
			synctest.Wait()
		}
		if got := b.Stats().DroppedEvents; got != 1200-1024-1 {
			t.Errorf("%d dropped", got)
		}
		close(hold)
	})
}

func TestSixtyFourGoroutinesShareOneBreaker(t *testing.T) {
	b := made(t, perTenant(breaker.WithMaxKeys(4), breaker.WithOpenFor(time.Millisecond), breaker.WithSuccesses(2), breaker.WithProbes(2),
		breaker.WithGrowth(2, 4*time.Millisecond), breaker.WithRamp(time.Millisecond), breaker.WithProbeTimeout(time.Millisecond), breaker.WithSlowCall(time.Second, .5),
		breaker.OnStateChange(func(breaker.Event) {}))...)
	var all sync.WaitGroup
	let := [64]uint64{}
	for g := range 64 {
		all.Go(func() {
			d := drive(b)
			for i := range race.Either(300, 60) {
				if d.do(ending((g+i*7)%int(endings)), "X-Tenant", fmt.Sprint((g+i)%6)) {
					let[g]++
				}
				switch i % 50 {
				case 10:
					b.Key(fmt.Sprint(g % 6)).Shadow()
				case 20:
					b.Key(fmt.Sprint(g % 6)).Follow()
				case 30:
					b.Key(fmt.Sprint(g % 6)).Reset()
				case 40:
					b.Stats()
					b.Collect(func(handrail.Metric) {})
					b.Degraded()
				}
			}
		})
	}
	all.Wait()
	var want uint64
	for _, n := range let {
		want += n
	}
	s := b.Stats()
	if got := s.Successes + s.Failures + s.Excluded; got != want || s.Opened == 0 {
		t.Errorf("%d results of %d requests, opened %d times", got, want, s.Opened)
	}
	for _, c := range s.Circuits {
		if c.Probes != 0 && c.State == breaker.HalfOpen {
			t.Errorf("%q has %d probes and no request", c.Key, c.Probes)
		}
	}
}
