package prom_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/handrail-go/handrail/internal/optiontest"
	"github.com/handrail-go/handrail/observe/prom"
)

func TestEveryWrongOptionIsRefusedAndNamed(t *testing.T) {
	type mistake = optiontest.Wrong[prom.Option]
	wrong := func(option, value string, opts ...prom.Option) mistake {
		return mistake{Option: option, Value: value, Opts: opts}
	}
	labels := func(name, value string) prom.Option {
		return prom.WithConstLabels(prometheus.Labels{name: value})
	}
	many := make([]float64, 101)
	for i := range many {
		many[i] = float64(i + 1)
	}
	optiontest.Run(t, "prom", prom.New, nil, []mistake{
		wrong("Option", "0", prom.Option(nil)),
		wrong("WithBuckets", "0", prom.WithBuckets(0, 1)),
		wrong("WithBuckets", "-1", prom.WithBuckets(-1)),
		wrong("WithBuckets", "NaN", prom.WithBuckets(1, math.NaN())),
		wrong("WithBuckets", "+Inf", prom.WithBuckets(1, math.Inf(1))),
		wrong("WithBuckets", "1", prom.WithBuckets(1, 1)),
		wrong("WithBuckets", "101", prom.WithBuckets(many...)),
		wrong("WithSizes", "2", prom.WithSizes(3, 2)),
		wrong("WithSizes", "-5", prom.WithSizes(-5)),
		wrong("+WithNativeHistograms", "false", prom.WithNativeHistograms(false), prom.WithBuckets()),
		wrong("WithMaxSeries", "0", prom.WithMaxSeries(0)),
		wrong("WithMaxSeries", "10001", prom.WithMaxSeries(10_001)),
		wrong("WithConstLabels", "1st", labels("1st", "")),
		wrong("WithConstLabels", "", labels("", "")),
		wrong("WithConstLabels", "__name__", labels("__name__", "x")),
		wrong("WithConstLabels", "naïve", labels("naïve", "x")),
		wrong("WithConstLabels", "le", labels("le", "x")),
		wrong("WithConstLabels", "quantile", labels("quantile", "x")),
		wrong("+WithConstLabels", "http_route", labels("http_route", "x")),
		wrong("+WithConstLabels", "code", labels("code", "x"), prom.WithClassicNames()),
		wrong(`WithConstLabels["zone"]`, "\xff", labels("zone", "\xff")),
	})
}

func TestALaterOptionWins(t *testing.T) {
	for i, opts := range [][]prom.Option{
		{prom.WithBuckets(), prom.WithNativeHistograms(false), prom.WithBuckets(1, 2)},
		{prom.WithNativeHistograms(false), prom.WithNativeHistograms(true), prom.WithBuckets()},
		{prom.WithConstLabels(prometheus.Labels{"code": "x"})},
		{prom.WithClassicNames(), prom.WithConstLabels(prometheus.Labels{"http_route": "x"})},
		{prom.WithMaxSeries(1), prom.WithMaxSeries(10_000)},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if _, err := prom.New(opts...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatOptionsWereGivenMayChangeAfterwards(t *testing.T) {
	labels, bounds, sizes := prometheus.Labels{"zone": "a"}, []float64{1, 2}, []float64{3, 4}
	opts := []prom.Option{prom.WithConstLabels(labels), prom.WithBuckets(bounds...), prom.WithSizes(sizes...)}
	m := made(t, opts...)
	labels["zone"], bounds[0], sizes[1] = "b", 1.5, 5
	pass(m, answered())
	n := 0
	for id, x := range gathered(t, registered(t, m)) {
		if !strings.Contains(id, `zone="a"`) {
			t.Errorf("the label changed: %s", id)
		}
		if h := x.Histogram; h != nil {
			n++
			if a, b := h.Bucket[0].GetUpperBound(), h.Bucket[1].GetUpperBound(); (a != 1 || b != 2) && (a != 3 || b != 4) {
				t.Errorf("the bounds of %s are %v and %v", id, a, b)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d histograms", n)
	}
	labels["__no"] = "x"
	if _, err := prom.New(opts...); err != nil {
		t.Error(err)
	}
}
