package live

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handrail-go/handrail"
)

// told is a collection, written short.
type told []reading

func (c *told) add(source int, kind handrail.MetricKind, name string, value float64, labels ...string) {
	m := handrail.Metric{Name: name, Kind: kind, Value: value}
	for i := 0; i < len(labels); i += 2 {
		m.Labels = append(m.Labels, handrail.Label{Name: labels[i], Value: labels[i+1]})
	}
	*c = append(*c, reading{source, m})
}

// values of a plot by the names of its curves.
func values(b *board, plot string) map[string]float64 {
	out := map[string]float64{}
	for _, d := range b.plots {
		if d.name == plot {
			for i, name := range d.names() {
				out[name] = d.curves[i].value
			}
		}
	}
	return out
}

func check(t *testing.T, b *board, plot string, want map[string]float64) {
	t.Helper()
	got := values(b, plot)
	for name, v := range want {
		g, ok := got[name]
		if !ok || g != v && !(math.IsNaN(g) && math.IsNaN(v)) {
			t.Errorf("%s: %s is %v, want %v; all of it: %v", plot, name, g, v, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s has %v, want %v", plot, got, want)
	}
}

func TestCountersBecomeRatesAddedUpOverOtherLabels(t *testing.T) {
	b := newBoard()
	collection := func(at time.Duration, limit, memory, high float64) {
		var c told
		c.add(0, handrail.Counter, "handrail_shed_refused_requests_total", limit, "name", "", "priority", "low", "reason", "limit")
		c.add(0, handrail.Counter, "handrail_shed_refused_requests_total", memory, "name", "", "priority", "low", "reason", "memory")
		c.add(0, handrail.Counter, "handrail_shed_refused_requests_total", high, "name", "", "priority", "high", "reason", "limit")
		b.update(begin.Add(at), c)
	}
	collection(0, 1000, 2000, 3000)
	nan := math.NaN()
	check(t, b, "shed", map[string]float64{"low": nan, "high": nan})
	collection(2*time.Second, 1010, 2020, 3002)
	check(t, b, "shed", map[string]float64{"low": 15, "high": 1})
	check(t, b, "shedwhy", map[string]float64{"limit": 6, "memory": 10})
	collection(3*time.Second, 5, 2020, 3002) // one of them began again
	check(t, b, "shed", map[string]float64{"low": 5, "high": 0})
}

func TestACurveThatIsNotToldHasAGapAndComesBack(t *testing.T) {
	b := newBoard()
	at := begin
	step := func(counter float64, present bool) {
		var c told
		if present {
			c.add(0, handrail.Gauge, "handrail_bulkhead_in_use_slots", 3, "name", "")
			c.add(0, handrail.Counter, "handrail_observe_requests_total", counter, "name", "", "outcome", "shed")
		}
		at = at.Add(time.Second)
		b.update(at, c)
	}
	nan := math.NaN()
	step(10, true)
	shape := b.shape
	step(12, true)
	check(t, b, "bulkhead", map[string]float64{"in use": 3})
	check(t, b, "requests", map[string]float64{"shed": 2})
	step(0, false)
	check(t, b, "bulkhead", map[string]float64{"in use": nan})
	check(t, b, "requests", map[string]float64{"shed": nan})
	step(900, true) // nobody knows since when
	check(t, b, "requests", map[string]float64{"shed": nan})
	step(904, true)
	check(t, b, "requests", map[string]float64{"shed": 4})
	if b.shape != shape {
		t.Error("the shape changed without a new curve")
	}
}

func TestSeveralInstancesHaveCurvesOfTheirOwn(t *testing.T) {
	b := newBoard()
	var c told
	for source, name := range []string{"orders", "stock", "", ""} {
		c.add(source, handrail.Gauge, "handrail_bulkhead_in_use_slots", float64(source), "name", name)
	}
	b.update(begin, c)
	check(t, b, "bulkhead", map[string]float64{"orders: in use": 0, "stock: in use": 1, "in use": 2, "in use #2": 3})

	b, c = newBoard(), nil
	c.add(0, handrail.Gauge, "handrail_bulkhead_in_use_slots", 5, "name", "orders")
	b.update(begin, c)
	check(t, b, "bulkhead", map[string]float64{"in use": 5})
}

func TestWhatSaysItBetterReplacesWhatSaysIt(t *testing.T) {
	b := newBoard()
	var c told
	c.add(0, handrail.Gauge, "handrail_load_requests_per_second", 7, "name", "")
	b.update(begin, c)
	check(t, b, "requests", map[string]float64{"ended": 7})

	b = newBoard()
	c.add(1, handrail.Counter, "handrail_observe_requests_total", 7, "name", "", "outcome", "answered")
	b.update(begin, c)
	check(t, b, "requests", map[string]float64{"answered": math.NaN()})
}

func TestALimitThatIsNoneIsNotDrawn(t *testing.T) {
	b := newBoard()
	for _, limit := range []float64{-1, 0, 8} {
		var c told
		c.add(0, handrail.Gauge, "handrail_bulkhead_limit_slots", limit, "name", "")
		b.update(begin, c)
		want := limit
		if limit < 0 {
			want = math.NaN()
		}
		check(t, b, "bulkhead", map[string]float64{"limit": want})
	}
}

func TestALoadSamplerHasItsCurvesBeforeItKnowsAnything(t *testing.T) {
	b := newBoard()
	var c told
	c.add(0, handrail.Gauge, "handrail_load_pressure_ratio", 0.25, "name", "")
	b.update(begin, c)
	nan := math.NaN()
	check(t, b, "latency", map[string]float64{"p50": nan, "p95": nan, "p99": nan})
	check(t, b, "load", map[string]float64{"CPU": nan, "host CPU": nan, "memory": nan, "errors": nan, "load pressure": 25})
	shape := b.shape
	c.add(0, handrail.Gauge, "handrail_load_latency_seconds", 0.1, "name", "", "percentile", "99")
	c.add(0, handrail.Gauge, "handrail_load_cpu_ratio", 0.5, "name", "")
	b.update(begin, c)
	check(t, b, "latency", map[string]float64{"p50": nan, "p95": nan, "p99": 0.1})
	if b.shape != shape {
		t.Error("what was promised became a further curve")
	}
}

func TestCurvesComeInTheOrderOfThePlotAndNewOnesLast(t *testing.T) {
	b := newBoard()
	var c told
	c.add(0, handrail.Gauge, "handrail_bulkhead_waiting_requests", 1, "name", "")
	c.add(0, handrail.Gauge, "handrail_bulkhead_in_use_slots", 2, "name", "")
	b.update(begin, c)
	if got := string(b.points(begin, b.shape)); !strings.Contains(got, `"bulkhead":[2,1]`) {
		t.Errorf("%s", got)
	}
	c.add(0, handrail.Gauge, "handrail_bulkhead_limit_slots", 3, "name", "")
	b.update(begin, c)
	if got := string(b.points(begin, b.shape)); !strings.Contains(got, `"bulkhead":[2,1,3]`) {
		t.Errorf("%s", got)
	}
}

func TestAStatusIsDrawnAtItsHeight(t *testing.T) {
	b := newBoard()
	for status, height := range map[string]float64{"pass": 2, "warn": 1, "fail": 0, "unknown": math.NaN()} {
		var c told
		for _, s := range []string{"unknown", "pass", "warn", "fail"} {
			on := 0.0
			if s == status {
				on = 1
			}
			c.add(0, handrail.Gauge, "handrail_health_check_status", on, "name", "", "check", "db", "status", s)
		}
		b.update(begin, c)
		check(t, b, "health", map[string]float64{"check db": height})
	}
}

func TestHistogramsOfOneCurveAreAddedUp(t *testing.T) {
	b := newBoard()
	step := func(at int, one, two *reading) {
		one.Name, two.Name = "handrail_bulkhead_wait_seconds", "handrail_bulkhead_wait_seconds"
		two.Labels = []handrail.Label{{Name: "other", Value: "x"}}
		b.update(begin.Add(time.Duration(at)*time.Second), []reading{*one, *two})
	}
	step(0, histogram(100, 1, 100, 2, 100), histogram(9, 1, 0, 2, 9))
	check(t, b, "wait", map[string]float64{"p50": math.NaN(), "p99": math.NaN()})
	step(1, histogram(150, 1, 150, 2, 150), histogram(59, 1, 0, 2, 59))
	check(t, b, "wait", map[string]float64{"p50": 1, "p99": 1.98})
	step(2, histogram(150, 1, 150, 2, 150), histogram(59, 1, 0, 2, 59))
	check(t, b, "wait", map[string]float64{"p50": math.NaN(), "p99": math.NaN()})
}

func TestAPlotIsBounded(t *testing.T) {
	b := newBoard()
	var c told
	for i := range 10 * maxSeries {
		c.add(0, handrail.Gauge, "handrail_breaker_circuits", 1, "name", "", "state", fmt.Sprint(i))
	}
	b.update(begin, c)
	if got := len(values(b, "breaker")); got != maxSeries {
		t.Errorf("%d curves, want %d", got, maxSeries)
	}
}

type flood struct{}

func (flood) Collect(emit func(handrail.Metric)) {
	for range 3 * maxReadings {
		emit(handrail.Metric{Name: "x"})
	}
	panic("and a panic on top")
}

func TestACollectionIsBoundedAndAPanicInItContained(t *testing.T) {
	all, panics := collect([]handrail.Source{flood{}, flood{}})
	if len(all) != maxReadings || panics != 2 {
		t.Errorf("%d readings and %d panics", len(all), panics)
	}
}

func TestAViewerIsToldOfTheCurvesItKnows(t *testing.T) {
	b := newBoard()
	var c told
	c.add(0, handrail.Gauge, "handrail_bulkhead_in_use_slots", 3, "name", "<b>")
	b.update(begin, c)
	known := b.shape
	config := b.config()
	c.add(1, handrail.Gauge, "handrail_bulkhead_in_use_slots", math.Inf(1), "name", "")
	c.add(2, handrail.Gauge, "handrail_breaker_circuits", 1, "name", "", "state", "open")
	b.update(begin, c)

	var said configMessage
	if err := json.Unmarshal(config, &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Data.Series) != 1 || said.Data.Series[0].Name != "bulkhead" || len(said.Data.Series[0].Subplots) != 1 || len(said.Data.Series[0].Tags) == 0 {
		t.Errorf("%s", config)
	}
	if got, want := string(b.points(begin, known)), `{"event":"metrics","data":{"series":{"bulkhead":[3]},"timestamp":1767225600000}}`; got != want {
		t.Errorf("who came first gets %s, want %s", got, want)
	}
	if got := string(b.points(begin, b.shape)); !strings.Contains(got, `"bulkhead":[3,"NaN"]`) || !strings.Contains(got, `"breaker":[1]`) {
		t.Errorf("who comes now gets %s", got)
	}
	if text := string(b.config()); strings.Contains(text, "<b>") || !strings.Contains(text, `\u0026lt;b\u0026gt;: in use`) && !strings.Contains(text, `"in use #2"`) {
		t.Errorf("a name became markup: %s", text)
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	names, titles := map[string]bool{}, map[string]bool{}
	for _, p := range plots {
		if names[p.name] || titles[p.title] || p.info == "" || len(p.rules) == 0 || !slices.Contains([]tag{requests, policies, signals, golang}, p.tag) {
			t.Errorf("%s: its name or title is taken, or something is missing", p.name)
		}
		names[p.name], titles[p.title] = true, true
		for _, r := range p.rules {
			if r.by == "" == (r.as == "") {
				t.Errorf("%s: %s has not one of by and as", p.name, r.metric)
			}
		}
	}
}
