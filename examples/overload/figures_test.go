package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

// made is a run of 100 requests a second at capacity 1 that ended as decide
// says.
func made(s shape, decide func(due time.Duration, k kind) (outcome, time.Duration)) *measured {
	m := &measured{name: "shed", capacity: 100, shape: s, deadline: 500 * time.Millisecond, reached: s.total()}
	m.list = schedule(s, m.capacity, true, 1)
	for i := range m.list {
		r := &m.list[i]
		r.outcome, r.took = decide(r.due, r.kind)
	}
	return m
}

func TestFiguresAreOfTheOverload(t *testing.T) {
	s := shape{{.5, 8 * time.Second}, {4, 10 * time.Second}, {.5, 12 * time.Second}} // whole decks
	got := made(s, func(due time.Duration, k kind) (outcome, time.Duration) {
		switch {
		case s.at(due) != 1:
			return good, 300 * time.Millisecond
		case k.rank() == handrail.Critical.Rank():
			return good, 50 * time.Millisecond
		case k.rank() == handrail.High.Rank() && k.tenant() > 0:
			return good, 100 * time.Millisecond
		case k.rank() == handrail.Low.Rank():
			return late, 500 * time.Millisecond
		case k.rank() == handrail.Background.Rank():
			return failed, 0
		default:
			return refused, 0
		}
	}).figure()
	near := func(name string, got *float64, want float64) {
		t.Helper()
		if got == nil || *got < want-1e-9 || *got > want+1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("offered_ratio", got.OfferedRatio, 4)
	near("goodput_ratio", got.GoodputRatio, 4*(.1+.2*.2))
	near("p50_ms", got.P50, 50)
	near("p99_ms", got.P99, 100)
	near("shed_ratio", got.ShedRatio, .2*.8+.4)
	near("false_shed_ratio", got.FalseShedRatio, 0)
	near("critical", got.ClassSuccess.Critical, 1)
	near("high", got.ClassSuccess.High, .2)
	near("normal", got.ClassSuccess.Normal, 0)
	near("noisy", got.TenantSuccess["noisy"], .1)
	near("quiet-4", got.TenantSuccess["quiet-4"], .3)
	near("recover_seconds", got.RecoverSeconds, 0)
	want := outcomeCounts{Good: 1000 + 560, Shed: 2240, Late: 800, Failed: 400}
	if got.Outcomes != want || !got.Recovered {
		t.Errorf("%+v, recovered %v, want %+v", got.Outcomes, got.Recovered, want)
	}
	if len(got.Phases) != 3 || got.Phases[0].Ratio != .5 || *got.Phases[2].P50 != 300 {
		t.Errorf("%+v", got.Phases)
	}
}

func TestSheddingBelowCapacityIsCountedAsFalse(t *testing.T) {
	s := shape{{.5, 5 * time.Second}, {5, 5 * time.Second}, {.5, 5 * time.Second}}
	got := made(s, func(due time.Duration, k kind) (outcome, time.Duration) {
		if due > 14*time.Second || s.at(due) == 1 {
			return refused, 0
		}
		return good, time.Millisecond
	}).figure()
	if *got.FalseShedRatio != .1 {
		t.Errorf("false_shed_ratio %v, want 0.1", *got.FalseShedRatio)
	}
}

func TestFiguresOfNothingAreNull(t *testing.T) {
	s := shape{{.5, time.Second}, {5, time.Second}}
	all := made(s, func(time.Duration, kind) (outcome, time.Duration) { return late, 0 })
	got := all.figure()
	if got.P50 != nil || got.P99 != nil || *got.GoodputRatio != 0 || got.RecoverSeconds != nil || got.Recovered {
		t.Errorf("%+v", got)
	}
	cut := made(s, func(time.Duration, kind) (outcome, time.Duration) { return good, 0 })
	cut.reached, cut.interrupted = 1400*time.Millisecond, true
	got = cut.figure()
	if got.GoodputRatio != nil || got.ClassSuccess.Critical != nil || len(got.Phases) != 1 || got.Phases[0].Seconds != .9 {
		t.Errorf("interrupted before a request of the overload was decided: %+v", got)
	}
	if len(got.TenantSuccess) != len(tenants) || got.TenantSuccess["noisy"] != nil {
		t.Errorf("%v", got.TenantSuccess)
	}
}

func TestRecoveryIsWhenSuccessIsBackAndStays(t *testing.T) {
	s := shape{{.5, 5 * time.Second}, {5, 5 * time.Second}, {.5, 10 * time.Second}}
	over := 10 * time.Second
	cases := []struct {
		name string
		bad  func(since time.Duration) bool // what fails, by time since the overload
		want time.Duration
		ok   bool
	}{
		{"at once", func(time.Duration) bool { return false }, 0, true},
		{"after two seconds", func(d time.Duration) bool { return d < 2*time.Second }, 2 * time.Second, true},
		{"never", func(time.Duration) bool { return true }, 0, false},
		{"a lull is not recovery", func(d time.Duration) bool { return d < time.Second || d > 3*time.Second && d < 6*time.Second }, 6 * time.Second, true},
		{"one hiccup later is not the overload's", func(d time.Duration) bool { return d < time.Second || d > 8*time.Second && d < 8100*time.Millisecond }, time.Second, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := made(s, func(due time.Duration, _ kind) (outcome, time.Duration) {
				if due >= 5*time.Second && due < over || due >= over && c.bad(due-over) {
					return late, 0
				}
				return good, 0
			})
			got, ok := m.recovery()
			// 95 % of a second's requests are back up to 50 ms before all are.
			if ok != c.ok || got > c.want || got < c.want-100*time.Millisecond {
				t.Errorf("%v, %v; want %v, %v", got, ok, c.want, c.ok)
			}
		})
	}
	if got, ok := made(s, func(time.Duration, kind) (outcome, time.Duration) { return failed, 0 }).recovery(); ok {
		t.Errorf("a service that never worked is back after %v", got)
	}
	sick := made(s, func(due time.Duration, k kind) (outcome, time.Duration) {
		if k.rank() == handrail.High.Rank() || s.at(due) == 1 {
			return failed, 0 // a fifth always fails
		}
		return good, 0
	})
	if got, ok := sick.recovery(); !ok || got > 100*time.Millisecond {
		t.Errorf("a service that always fails a fifth is back when only a fifth fails: %v, %v", got, ok)
	}
}

func TestQuantileIsExact(t *testing.T) {
	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 1, .5: 50, .99: 99, 1: 100} {
		if got := quantile(all, q); *got != want {
			t.Errorf("quantile %v is %v, want %v", q, *got, want)
		}
	}
	if quantile(nil, .5) != nil {
		t.Error("the median of nothing is a number")
	}
}

func TestTimelineCoversTheRun(t *testing.T) {
	s := shape{{.5, 10 * time.Second}, {2, 10 * time.Second}}
	m := made(s, func(due time.Duration, k kind) (outcome, time.Duration) {
		if due > 10*time.Second && k.rank() != 0 {
			return refused, 0
		}
		return good, 20 * time.Millisecond
	})
	all := m.timeline()
	if len(all) != 100 || all[0].at != 100*time.Millisecond || all[99].at != 19900*time.Millisecond {
		t.Fatalf("%d steps from %v to %v", len(all), all[0].at, all[len(all)-1].at)
	}
	var offered, goodput, shed float64
	for _, step := range all[50:] {
		offered, goodput, shed = offered+step.offered/50, goodput+step.goodput/50, shed+step.shed/50
	}
	for name, pair := range map[string][2]float64{"offered": {offered, 2}, "goodput": {goodput, .2}, "shed": {shed, 1.8}} {
		if d := pair[0] - pair[1]; d > .01 || d < -.01 {
			t.Errorf("%s %v, want %v", name, pair[0], pair[1])
		}
	}
}

// The names are what programs read. Whoever changes one breaks them.
func TestJSONNamesAreStable(t *testing.T) {
	s := shape{{.5, time.Second}, {5, time.Second}, {.5, 2 * time.Second}}
	f := made(s, func(time.Duration, kind) (outcome, time.Duration) { return good, time.Millisecond }).figure()
	f.ClientCPU = number(10)
	var b bytes.Buffer
	if err := writeJSON(&b, results{Shed: f}); err != nil {
		t.Fatal(err)
	}
	var top map[string]map[string]any
	d := json.NewDecoder(&b)
	if err := d.Decode(&top); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Error("there is something after the object")
	}
	if names(top) != "bare shed" || top["bare"] != nil {
		t.Errorf("top: %s", names(top))
	}
	if got := names(top["shed"]); got != "capacity_rps class_success client_cpu_us client_lag_p99_ms false_shed_ratio goodput_ratio interrupted offered_ratio outcomes p50_ms p99_ms phases recover_seconds recovered shed_ratio tenant_success" {
		t.Errorf("a run: %s", got)
	}
	object := func(from any) map[string]any { return from.(map[string]any) }
	if got := names(object(top["shed"]["class_success"])); got != "background critical high low normal" {
		t.Errorf("class_success: %s", got)
	}
	if got := names(object(top["shed"]["tenant_success"])); got != "noisy quiet-1 quiet-2 quiet-3 quiet-4" {
		t.Errorf("tenant_success: %s", got)
	}
	if got := names(object(top["shed"]["outcomes"])); got != "failed good late overflow shed" {
		t.Errorf("outcomes: %s", got)
	}
	phases := top["shed"]["phases"].([]any)
	if got := names(object(phases[1])); len(phases) != 3 || got != "class_success client_lag_p99_ms goodput_ratio offered_ratio p50_ms p99_ms ratio seconds shed_ratio tenant_success" {
		t.Errorf("%d phases: %s", len(phases), got)
	}
	for name, v := range top["shed"] {
		if v == nil {
			t.Errorf("%s is null though everything was measured", name)
		}
	}
}

func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

func TestTableHasBothRunsAndEveryClassAndTenant(t *testing.T) {
	set, _, _ := parse([]string{"-shape", "0.5:1s,1.5:1s,5:1s,0.5:2s"})
	bare := made(set.shape, func(due time.Duration, _ kind) (outcome, time.Duration) {
		if due < time.Second {
			return good, 20 * time.Millisecond
		}
		return late, 0
	})
	shed := made(set.shape, func(time.Duration, kind) (outcome, time.Duration) { return good, 20 * time.Millisecond })
	var b strings.Builder
	writeTable(&b, set, results{Bare: bare.figure(), Shed: shed.figure()})
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{" bare with shed ", " critical 0.0 % 100.0 % ", " quiet-4, sends 5 % 0.0 % 100.0 % ", " back to normal after not in 2.0 s 0.00 s ", " p99 of answered requests – 20 ms ", " with shed, step by step ", " 1.5× for 1 s "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	b.Reset()
	writeTable(&b, set, results{})
	if b.String() != "Nothing was measured.\n" {
		t.Error(b.String())
	}
}
