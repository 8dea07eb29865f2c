package cloudwatch_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/internal/race"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

type source func(emit func(handrail.Metric))

func (s source) Collect(emit func(handrail.Metric)) { s(emit) }

func labels(pairs ...string) (all []handrail.Label) {
	for p := range slices.Chunk(pairs, 2) {
		all = append(all, handrail.Label{Name: p[0], Value: p[1]})
	}
	return all
}

func TestCountersAreWrittenAsWhatTheyGrewBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value := 100.0
		m, p := metrics(t, cloudwatch.WithService("shop"), cloudwatch.WithSources(source(func(emit func(handrail.Metric)) {
			emit(handrail.Metric{Name: "x_total", Kind: handrail.Counter, Labels: labels("name", "", "reason", "full"), Value: value})
		})))
		for _, step := range []struct{ to, want float64 }{{103, 3}, {103, 0}, {103.5, 0.5}, {2, 2}, {2, 0}, {1e300, 0}, {7, 5}} {
			before := len(p.calls)
			value = step.to
			must(t, m.Flush(background))
			all := p.documents(t)[before:]
			if step.want == 0 {
				if len(all) != 0 {
					t.Errorf("to %v: %s", step.to, p.calls[before])
				}
				continue
			}
			if len(all) != 1 || all[0].number(t, "x_total") != step.want {
				t.Fatalf("to %v: %v, want %v", step.to, all, step.want)
			}
			d := all[0]
			if fmt.Sprint(d.meta.CloudWatchMetrics[0].Dimensions) != "[[service.name reason]]" || d.root["reason"] != "full" {
				t.Errorf("its dimensions are %v", d.meta.CloudWatchMetrics[0].Dimensions)
			}
			if d.meta.CloudWatchMetrics[0].Metrics[0].Unit != "Count" {
				t.Errorf("its unit is %q", d.meta.CloudWatchMetrics[0].Metrics[0].Unit)
			}
		}
		if got := m.Stats().Reasons[cloudwatch.DropValue]; got != 1 {
			t.Errorf("%d values dropped, want the one beyond 2^360", got)
		}
	})
}

func TestInstancesWithoutANameAreSamplesOfOneGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := func(v float64) source {
			return func(emit func(handrail.Metric)) {
				emit(handrail.Metric{Name: "wait_seconds", Labels: labels("name", ""), Value: v})
				emit(handrail.Metric{Name: "n_total", Kind: handrail.Counter, Labels: labels("name", ""), Value: v * time.Since(time.Time{}).Seconds()})
			}
		}
		many := make([]handrail.Source, 100)
		for i := range many {
			many[i] = one(float64(i))
		}
		two := source(func(emit func(handrail.Metric)) { one(1000)(emit); one(2000)(emit) })
		many[0] = two
		m, p := metrics(t, cloudwatch.WithSources(many...))
		m.Flush(background)
		all := p.documents(t)
		if s, n := sum(t, all, "wait_seconds"); n != 101 || s != 3000+99*100/2 {
			t.Errorf("%d gauges of %v in sum", n, s)
		}
		if len(all) != 2 {
			t.Errorf("%d lines, want 2: 101 values do not fit into one", len(all))
		}
	})
}

func TestHistogramsKeepCountSumAndQuantiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var count uint64
		var total float64
		bounds := []float64{0.1, 0.2, 0.5, 1, 10}
		buckets := make([]uint64, len(bounds))
		observe := func(v float64) {
			count++
			total += v
			for i, b := range bounds {
				if v <= b {
					buckets[i]++
				}
			}
		}
		m, p := metrics(t, cloudwatch.WithSources(source(func(emit func(handrail.Metric)) {
			h := handrail.Metric{Name: "wait_seconds", Kind: handrail.Histogram, Count: count, Sum: total}
			for i, b := range bounds {
				h.Buckets = append(h.Buckets, handrail.Bucket{UpperBound: b, Cumulative: buckets[i]})
			}
			emit(h)
		})))
		for i := range 10_000 { // evenly up to 1 s
			observe(float64(i+1) / 10_000)
		}
		must(t, m.Flush(background))
		all := p.documents(t)
		if len(all) != 1 || all[0].number(t, "wait_seconds_count") != 10_000 || math.Abs(all[0].number(t, "wait_seconds_sum")-5000.5) > 1e-6 {
			t.Fatalf("count and sum are in %s", p.text())
		}
		values, _ := all[0].values("wait_seconds")
		if len(values) != 100 || !slices.IsSorted(values) {
			t.Fatalf("%d values: %v", len(values), values)
		}
		for i, v := range values {
			if want := (float64(i) + 0.5) / 100; math.Abs(v-want) > 1e-9 {
				t.Errorf("quantile %v is %v", want, v)
			}
		}
		// Then three more, one beyond all buckets.
		for _, v := range []float64{0.15, 0.15, 99} {
			observe(v)
		}
		must(t, m.Flush(background))
		d := p.documents(t)[1]
		values, _ = d.values("wait_seconds")
		if d.number(t, "wait_seconds_count") != 3 || len(values) != 3 || values[2] != 10 || values[0] < 0.1 || values[1] > 0.2 {
			t.Errorf("what came later is %v", d.root)
		}
		// Nothing new is nothing.
		must(t, m.Flush(background))
		if n := len(p.documents(t)); n != 2 {
			t.Errorf("%d lines, want 2", n)
		}
		// A histogram that begins anew.
		count, total, buckets = 0, 0, make([]uint64, len(bounds))
		observe(0.3)
		must(t, m.Flush(background))
		if d := p.documents(t)[2]; d.number(t, "wait_seconds_count") != 1 || d.number(t, "wait_seconds_sum") != 0.3 {
			t.Errorf("after it began anew it is %v", d.root)
		}
	})
}

func TestASourceThatMisbehavesHurtsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many, taken := 10_100, 10_000
		if race.Enabled {
			many, taken = 500, 501
		}
		good := source(func(emit func(handrail.Metric)) { emit(handrail.Metric{Name: "good", Value: 1}) })
		bad := source(func(emit func(handrail.Metric)) {
			emit(handrail.Metric{Name: "before", Value: 1})
			for _, m := range []handrail.Metric{
				{Name: ""}, {Name: "_aws"}, {Name: "größe"}, {Name: strings.Repeat("n", 256)}, {Name: "stage"},
				{Name: "nan", Value: math.NaN()}, {Name: "inf", Value: math.Inf(1)}, {Name: "neg_total", Kind: handrail.Counter, Value: -1},
				{Name: "a", Labels: labels("a", "b")}, {Name: "b", Labels: labels("x", "1", "x", "2")}, {Name: "c", Labels: labels("stage", "1")},
				{Name: "d", Labels: labels("", "1")}, {Name: "e", Labels: labels("_aws", "1")}, {Name: "h", Kind: handrail.Histogram, Sum: math.NaN()},
				{Name: "i", Kind: handrail.Histogram, Labels: labels("i_sum", "1")},
				{Name: "j", Kind: handrail.Histogram, Count: 1, Buckets: []handrail.Bucket{{UpperBound: 1, Cumulative: 2}}},
				{Name: "k", Kind: handrail.Histogram, Count: 9, Buckets: []handrail.Bucket{{UpperBound: 1, Cumulative: 2}, {UpperBound: 1, Cumulative: 3}}},
				{Name: "l", Kind: handrail.Histogram, Count: 9, Buckets: []handrail.Bucket{{UpperBound: math.Inf(1), Cumulative: 2}}},
			} {
				emit(m)
			}
			wide := make([]handrail.Label, 31)
			for i := range wide {
				wide[i] = handrail.Label{Name: fmt.Sprint("l", i), Value: "v"}
			}
			emit(handrail.Metric{Name: "labels", Labels: wide})
			for i := range many {
				emit(handrail.Metric{Name: fmt.Sprint("n", i), Value: 1})
			}
			panic("source")
		})
		m, p := metrics(t, cloudwatch.WithSources(good, bad, good), cloudwatch.WithConstant("stage", "prod"))
		m.Flush(background)
		all := p.documents(t)
		if s, n := sum(t, all, "good"); n != 2 || s != 2 {
			t.Errorf("the good ones have %d figures", n)
		}
		if _, n := sum(t, all, "before"); n != 1 {
			t.Error("what it said before it panicked is lost")
		}
		figures := 0
		for _, d := range all {
			figures += len(d.meta.CloudWatchMetrics[0].Metrics)
		}
		if figures != taken+1 { // and the good one
			t.Errorf("%d figures, want %d of the bad source and 1", figures, taken)
		}
		s := m.Stats()
		if s.SourcePanics != 2 || s.Reasons[cloudwatch.DropLimit] != uint64(2*(many+1-taken)) || s.Reasons[cloudwatch.DropDimension] != 2 ||
			s.Reasons[cloudwatch.DropName] != 2*11 || s.Reasons[cloudwatch.DropValue] != 2*7 {
			t.Errorf("the figures are %+v", s)
		}
	})
}

// All sources of the toolkit, in one process, with and without names.
func TestEveryPackageOfTheToolkitIsWrittenValidly(t *testing.T) {
	sampler, err := load.New()
	must(t, err)
	defer sampler.Close()
	sh, err := shed.New(shed.WithName("front"))
	must(t, err)
	sh2, err := shed.New()
	must(t, err)
	to, err := timeout.New(timeout.WithName("größe"))
	must(t, err)
	br, err := breaker.New()
	must(t, err)
	bu, err := bulkhead.New()
	must(t, err)
	re, err := retry.New()
	must(t, err)
	m, p := metrics(t, cloudwatch.WithSources(sampler, sh, sh2, to, br, bu, re), cloudwatch.WithService("shop"))
	must(t, m.Flush(background))
	all := p.documents(t)
	found := map[string]bool{}
	for _, d := range all {
		for _, metric := range d.meta.CloudWatchMetrics[0].Metrics {
			found[metric.Name] = true
		}
	}
	for _, want := range []string{"handrail_load_in_flight_requests", "handrail_bulkhead_limit_slots"} {
		if !found[want] {
			t.Errorf("%s is missing among %d metrics", want, len(found))
		}
	}
	if s := m.Stats(); s.Dropped != 0 {
		t.Errorf("dropped: %+v", s.Reasons)
	}
	must(t, m.Flush(background))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestItsOwnFiguresAreAValidSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _ := metrics(t, cloudwatch.WithName("first"))
		first.Observe(exchange("/", 200, 0))
		m, p := metrics(t, cloudwatch.WithSources(first))
		first.Flush(background)
		m.Flush(background)
		all := p.documents(t)
		if s, _ := sum(t, all, "handrail_cloudwatch_lines_total"); s != 1 {
			t.Errorf("it is said to have written %v lines in %s", s, p.text())
		}
	})
}

func TestCountersThatAreToldNoMoreMakeRoomForNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round, steady := 0, 0
		src := source(func(emit func(handrail.Metric)) {
			emit(handrail.Metric{Name: "steady_total", Kind: handrail.Counter, Value: float64(1000 + round)})
			for i := range 4000 { // label sets that come and go
				emit(handrail.Metric{Name: "x_total", Kind: handrail.Counter, Labels: labels("key", fmt.Sprint(round, "-", i)), Value: 1})
			}
		})
		m, err := cloudwatch.NewMetrics(writer(func(b []byte) (int, error) {
			if bytes.Contains(b, []byte(`"steady_total":1}`)) {
				steady++
			}
			return len(b), nil
		}), cloudwatch.WithSources(src))
		must(t, err)
		for range 3 {
			round++
			must(t, m.Flush(background))
		}
		if st := m.Stats(); st.Dropped != 0 || st.Lines != 3*4001 || steady != 3 {
			t.Errorf("the one that stayed grew by one %d times, want 3; %+v", steady, st)
		}
		m.Close(background)
	})
}
