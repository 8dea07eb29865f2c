package prom_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/observe/prom"
)

// source tells these metrics.
type source []handrail.Metric

func (s source) Collect(emit func(handrail.Metric)) {
	for _, m := range s {
		emit(m)
	}
}

func labels(pairs ...string) (all []handrail.Label) {
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, handrail.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return all
}

func gauge(name string, value float64, pairs ...string) handrail.Metric {
	return handrail.Metric{Name: name, Help: "Help of " + name, Value: value, Labels: labels(pairs...)}
}

func counter(name string, value float64, pairs ...string) handrail.Metric {
	m := gauge(name, value, pairs...)
	m.Kind = handrail.Counter
	return m
}

func histogram(name string, count uint64, sum float64, buckets ...handrail.Bucket) handrail.Metric {
	return handrail.Metric{Name: name, Help: "Help of " + name, Kind: handrail.Histogram, Count: count, Sum: sum, Buckets: buckets}
}

func le(bound float64, n uint64) handrail.Bucket {
	return handrail.Bucket{UpperBound: bound, Cumulative: n}
}

// sane is a source that every other one is tried beside.
var sane = source{gauge("sane", 7), counter("sane_things_total", 3, "name", "x"), histogram("sane_seconds", 1, .2, le(.1, 0), le(1, 1))}

func TestEveryKindOfMetricIsExposed(t *testing.T) {
	r := registered(t, prom.NewCollector(sane, source{
		gauge("below_zero", -2.5), gauge("unknown", math.NaN()), gauge("endless", math.Inf(1)),
		histogram("explicit_seconds", 3, 6, le(1, 1), le(2, 2), le(math.Inf(1), 3)),
		histogram("plain_seconds", 0, 0),
		counter("ordered_total", 1, "z", "1", "a", "2"), counter("ordered_total", 2, "a", "1", "z", "2"),
	}))
	for _, ask := range []string{askText, askOpenMetrics, askProtobuf} {
		if body, _ := scrape(t, r, ask); !strings.Contains(body, "explicit_seconds") {
			t.Errorf("%s lacks a histogram", ask)
		}
	}
	body, _ := scrape(t, r, askText)
	for _, line := range []string{
		"# HELP sane Help of sane\n# TYPE sane gauge\nsane 7\n",
		"# TYPE sane_things_total counter\nsane_things_total{name=\"x\"} 3\n",
		"# TYPE sane_seconds histogram\nsane_seconds_bucket{le=\"0.1\"} 0\nsane_seconds_bucket{le=\"1\"} 1\nsane_seconds_bucket{le=\"+Inf\"} 1\nsane_seconds_sum 0.2\nsane_seconds_count 1\n",
		"\nbelow_zero -2.5\n", "\nunknown NaN\n", "\nendless +Inf\n",
		"explicit_seconds_bucket{le=\"2\"} 2\nexplicit_seconds_bucket{le=\"+Inf\"} 3\nexplicit_seconds_sum 6\nexplicit_seconds_count 3\n",
		"plain_seconds_bucket{le=\"+Inf\"} 0\nplain_seconds_sum 0\nplain_seconds_count 0\n",
		"ordered_total{a=\"1\",z=\"2\"} 2\nordered_total{a=\"2\",z=\"1\"} 1\n",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("the scrape lacks\n%s", line)
		}
	}
	for _, f := range []prom.Fault{prom.FaultPanic, prom.FaultName, prom.FaultLabel, prom.FaultText, prom.FaultValue, prom.FaultHelp, prom.FaultKind, prom.FaultDuplicate} {
		if line := fmt.Sprintf("handrail_prom_faults_total{fault=%q} 0\n", f.String()); !strings.Contains(body, line) {
			t.Errorf("the scrape lacks %q", line)
		}
	}
}

type panicking struct{ told source }

func (p panicking) Collect(emit func(handrail.Metric)) {
	p.told.Collect(emit)
	panic("oops")
}

func TestWhatIsWrongWithOneIsCountedAndDoesNotBreakTheOthers(t *testing.T) {
	var none *bulkhead.Bulkhead
	help := gauge("sane", 8, "name", "y")
	for _, tc := range []struct {
		name    string
		source  handrail.Source
		fault   prom.Fault
		exposed string // all the same
	}{
		{"panics", panicking{source{gauge("before", 1)}}, prom.FaultPanic, "before 1\n"},
		{"is nil", nil, prom.FaultPanic, ""},
		{"is a nil pointer", none, prom.FaultPanic, ""},
		{"no name", source{gauge("", 1)}, prom.FaultName, ""},
		{"name of other characters", source{gauge("naïve", 1)}, prom.FaultName, ""},
		{"name with a line break", source{gauge("a\nb", 1)}, prom.FaultName, ""},
		{"name with a digit first", source{gauge("9lives", 1)}, prom.FaultName, ""},
		{"label without a name", source{gauge("g", 1, "", "v")}, prom.FaultLabel, ""},
		{"label of other characters", source{gauge("g", 1, "a-b", "v")}, prom.FaultLabel, ""},
		{"label that is reserved", source{gauge("g", 1, "__name__", "v")}, prom.FaultLabel, ""},
		{"label of a bucket", source{gauge("g", 1, "le", "1")}, prom.FaultLabel, ""},
		{"label twice", source{gauge("g", 1, "a", "1", "a", "2")}, prom.FaultLabel, ""},
		{"value that is no text", source{gauge("g", 1, "a", "\xff")}, prom.FaultText, "g{a=\"\uFFFD\"} 1\n"},
		{"help that is no text", source{{Name: "g", Help: "\xff"}}, prom.FaultText, "# HELP g \uFFFD\n"},
		{"counter below zero", source{counter("c_total", -1)}, prom.FaultValue, ""},
		{"counter that is no number", source{counter("c_total", math.NaN())}, prom.FaultValue, ""},
		{"counter without end", source{counter("c_total", math.Inf(1))}, prom.FaultValue, ""},
		{"buckets that descend", source{histogram("h", 2, 1, le(2, 1), le(1, 2))}, prom.FaultValue, ""},
		{"bucket twice", source{histogram("h", 2, 1, le(1, 1), le(1, 2))}, prom.FaultValue, ""},
		{"counts that descend", source{histogram("h", 2, 1, le(1, 2), le(2, 1))}, prom.FaultValue, ""},
		{"count below the buckets", source{histogram("h", 2, 1, le(1, 3))}, prom.FaultValue, ""},
		{"bucket that is no number", source{histogram("h", 2, 1, le(math.NaN(), 1))}, prom.FaultValue, ""},
		{"sum that is no number", source{histogram("h", 2, math.NaN(), le(1, 1))}, prom.FaultValue, ""},
		{"kind that there is not", source{{Name: "k", Kind: 9}}, prom.FaultKind, ""},
		{"kind that differs", source{counter("sane", 1)}, prom.FaultKind, ""},
		{"labels that differ", source{help}, prom.FaultKind, ""},
		{"name that a histogram takes", source{counter("sane_seconds_count", 1)}, prom.FaultKind, ""},
		{"histogram that takes a name", source{histogram("h", 0, 0), gauge("h_sum", 1)}, prom.FaultKind, "h_sum 0\n"},
		{"histogram over a name", source{gauge("h_sum", 1), histogram("h", 0, 0)}, prom.FaultKind, "h_sum 1\n"},
		{"counter and gauge of one name", source{gauge("sane_things", 1)}, prom.FaultKind, ""},
		{"the name of the collector's own", source{counter("handrail_prom_faults_total", 1, "fault", "none")}, prom.FaultKind, ""},
		{"help that differs", source{{Name: "sane_things_total", Help: "Other", Kind: handrail.Counter, Value: 4, Labels: labels("name", "y")}}, prom.FaultHelp, "sane_things_total{name=\"y\"} 4\n"},
		{"series twice", source{gauge("g", 1, "a", "1"), gauge("g", 2, "a", "1")}, prom.FaultDuplicate, "g{a=\"1\"} 1\n"},
		{"series of another", source{gauge("sane", 9)}, prom.FaultDuplicate, ""},
		{"two texts that are mended to one", source{gauge("g", 1, "a", "\xfe"), gauge("g", 2, "a", "\xff")}, prom.FaultDuplicate, "g{a=\"\uFFFD\"} 1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := prom.NewCollector(sane, tc.source, source{gauge("last", 1)})
			r := prometheus.NewRegistry()
			if err := r.Register(c); err != nil {
				t.Fatal(err)
			}
			before := c.Faults()[tc.fault]
			body, _ := scrape(t, r, askText)
			if c.Faults()[tc.fault] != before+1 {
				t.Errorf("the faults are %v, want one more of %s", c.Faults(), tc.fault)
			}
			for _, line := range []string{"\nsane 7\n", "\nsane_things_total{name=\"x\"} 3\n", "\nsane_seconds_count 1\n", "\nlast 1\n",
				fmt.Sprintf("\nhandrail_prom_faults_total{fault=%q} %d\n", tc.fault.String(), before+1), tc.exposed} {
				if !strings.Contains(body, line) {
					t.Errorf("the scrape lacks %q:\n%s", line, body)
				}
			}
			if tc.exposed == "" && strings.Count(body, "# TYPE") != 5 {
				t.Errorf("more is exposed:\n%s", body)
			}
			scrape(t, r, askOpenMetrics)
		})
	}
}

func full(t *testing.T, opts ...bulkhead.Option) *bulkhead.Bulkhead {
	t.Helper()
	b, err := bulkhead.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInstancesOfOneNameAreToldApart(t *testing.T) {
	c := prom.NewCollector(full(t, bulkhead.WithLimit(1)), full(t, bulkhead.WithLimit(2)), full(t, bulkhead.WithName("db"), bulkhead.WithLimit(3)),
		full(t, bulkhead.WithLimit(4)), full(t, bulkhead.WithName("db"), bulkhead.WithLimit(5)), full(t, bulkhead.WithName("db#2"), bulkhead.WithLimit(6)),
		full(t, bulkhead.WithName("api"), bulkhead.WithLimit(7)))
	r := registered(t, c)
	shows := func(want map[string]float64) {
		t.Helper()
		all := gathered(t, r)
		n := 0
		for id := range all {
			if strings.HasPrefix(id, "handrail_bulkhead_limit_slots") {
				n++
			}
		}
		for name, limit := range want {
			id := `handrail_bulkhead_limit_slots{name="` + name + `"}`
			if name == "" {
				id = "handrail_bulkhead_limit_slots{}"
			}
			if got := all[id].GetGauge().GetValue(); got != limit {
				t.Errorf("%s is %v, want %v", id, got, limit)
			}
		}
		if n != len(want) {
			t.Errorf("%d instances, want %d", n, len(want))
		}
	}
	want := map[string]float64{"": 1, "#2": 2, "db": 3, "#3": 4, "db#2": 5, "db#2#2": 6, "api": 7}
	shows(want)
	shows(want)
	late := full(t, bulkhead.WithName("api"), bulkhead.WithLimit(8))
	c.Add(late, late)
	c.Add(late)
	want["api#2"] = 8
	shows(want)
	if f := c.Faults(); len(f) != 0 {
		t.Errorf("faults: %v", f)
	}
}

// flickering tells a gauge of its own only now and then.
type flickering struct{ on bool }

func (f *flickering) Collect(emit func(handrail.Metric)) {
	if f.on {
		emit(gauge("sometimes", 1, "name", "x"))
	}
}

func TestANumberIsKeptOnceItIsGiven(t *testing.T) {
	first, second := &flickering{on: true}, &flickering{on: true}
	r := registered(t, prom.NewCollector(first, second))
	if all := gathered(t, r); all[`sometimes{name="x"}`] == nil || all[`sometimes{name="x#2"}`] == nil {
		t.Fatalf("not told apart: %v", all)
	}
	first.on = false
	if all := gathered(t, r); all[`sometimes{name="x"}`] != nil || all[`sometimes{name="x#2"}`] == nil {
		t.Errorf("the second took the name of the first: %v", all)
	}
}

// late panics until it is on.
type late struct {
	on    bool
	value float64
}

func (l *late) Collect(emit func(handrail.Metric)) {
	if !l.on {
		panic("not yet")
	}
	emit(gauge("slots", l.value, "name", "x"))
}

func TestASourceThatIsLateTakesNoNameAway(t *testing.T) {
	first, second := &late{value: 1}, &late{value: 2, on: true}
	r := registered(t, prom.NewCollector(first, second))
	if all := gathered(t, r); all[`slots{name="x"}`].GetGauge().GetValue() != 2 {
		t.Fatalf("the only one is not there: %v", all)
	}
	first.on = true
	for range 2 {
		all := gathered(t, r)
		if all[`slots{name="x"}`].GetGauge().GetValue() != 2 || all[`slots{name="x#2"}`].GetGauge().GetValue() != 1 {
			t.Errorf("the late one took the other's name: %v", all)
		}
	}
}

// keeper uses its slices again, as it may.
type keeper struct{ l []handrail.Label }

func (k *keeper) Collect(emit func(handrail.Metric)) {
	b := []handrail.Bucket{{UpperBound: 1}}
	for i := range 3 {
		k.l[0].Value = fmt.Sprint(i)
		b[0].Cumulative = uint64(i)
		emit(handrail.Metric{Name: "kept", Kind: handrail.Histogram, Labels: k.l, Buckets: b, Count: uint64(i)})
	}
	k.l[0].Value, b[0].Cumulative = "later", 99
}

func TestASourceMayUseItsSlicesAgain(t *testing.T) {
	all := gathered(t, registered(t, prom.NewCollector(&keeper{labels("i", "", "a", "x")})))
	for i := range 3 {
		if got := all[fmt.Sprintf(`kept{a="x",i="%d"}`, i)].GetHistogram(); len(got.GetBucket()) != 1 || got.Bucket[0].GetCumulativeCount() != uint64(i) {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestASecondCollectorInOneRegistryIsRefusedAtOnce(t *testing.T) {
	r := registered(t, prom.NewCollector(sane))
	if err := r.Register(prom.NewCollector(full(t))); err == nil {
		t.Error("it was registered")
	}
	taken := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sane", Help: "Another."})
	if err := r.Register(taken); err == nil {
		t.Error("another metric of a name that is taken was registered")
	}
}

func TestACollectorCanBeUnregistered(t *testing.T) {
	c := prom.NewCollector(sane)
	r := registered(t, c)
	c.Add(source{gauge("more", 1)})
	if !r.Unregister(c) {
		t.Error("it was not found")
	}
	if err := r.Register(c); err != nil {
		t.Error(err)
	}
}

func TestANameThatComesLateIsExposedUnlessTheRegistryIsPedantic(t *testing.T) {
	for _, pedantic := range []bool{false, true} {
		r := prometheus.NewRegistry()
		if pedantic {
			r = prometheus.NewPedanticRegistry()
		}
		c := prom.NewCollector(sane)
		r.MustRegister(c)
		c.Add(source{gauge("more", 1)})
		if _, err := r.Gather(); (err != nil) != pedantic {
			t.Errorf("pedantic %v: %v", pedantic, err)
		}
		r.Unregister(c)
		c = prom.NewCollector(sane)
		c.Add(source{gauge("more", 1)})
		r.MustRegister(c)
		if all := gathered(t, r); all["more{}"] == nil {
			t.Errorf("pedantic %v: %v", pedantic, all)
		}
	}
}

func TestManyScrapesAtOnceAndSourcesThatComeLate(t *testing.T) {
	c := prom.NewCollector(full(t), full(t), panicking{})
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for range 2 {
				if _, err := r.Gather(); err != nil {
					t.Error(err)
				}
				if g == 7 {
					c.Add(full(t))
				}
				c.Faults()
			}
		})
	}
	wg.Wait()
	names := map[string]bool{}
	for id := range gathered(t, r) {
		if strings.HasPrefix(id, "handrail_bulkhead_limit_slots") {
			names[id] = true
		}
	}
	if len(names) != 4 {
		t.Errorf("the instances are %v", names)
	}
}
