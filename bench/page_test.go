package main

import (
	"strings"
	"testing"
	"time"
)

// comparing is a comparison of rows with these costs, in ns and allocations.
func comparing(budgets []budget, rows ...result) comparison {
	return comparison{kind: kind{name: "test", title: "A test", budgets: budgets}, results: rows}
}

func costing(name string, ns, allocs float64, less bool) result {
	r := result{row: row{name: name, without: "nothing of note", less: less}}
	for m := range r.over {
		r.over[m] = spread{ns, ns, ns}
	}
	r.allocs = [2]float64{allocs, allocs}
	return r
}

func TestAPeerThatIsCheaperIsNamed(t *testing.T) {
	c := comparing(nil, costing(ours, 200, 0, false), costing(ours+", more", 100, 0, false),
		costing("equal", 150, 0, false), costing("smaller", 50, 0, true), costing("dear", 300, 0, false))
	v := c.verdict()
	if len(v.beaten) != 1 || !strings.HasPrefix(v.beaten[0], "equal by 0.050") {
		t.Errorf("cheaper are %q", v.beaten)
	}
	if len(v.smaller) != 1 || !strings.Contains(v.smaller[0], "nothing of note") {
		t.Errorf("cheaper and smaller are %q", v.smaller)
	}
	if text := v.String(); !strings.Contains(text, "Cheaper than ours: equal") || strings.Contains(text, "No peer") {
		t.Errorf("the verdict is %q", text)
	}
}

func TestABudgetThatIsNotMetIsSaidWithItsReason(t *testing.T) {
	for _, test := range []struct {
		name   string
		budget budget
		missed int
	}{
		{"within", budget{time: 200, allocs: 2}, 0},
		{"too slow", budget{time: 199, allocs: 2, because: "of the light"}, 1},
		{"too many allocations", budget{time: 200, allocs: 1, because: "of the light"}, 1},
		{"both", budget{time: 100, allocs: 0, because: "of the light"}, 2},
		{"share", budget{of: "peer", share: .5, allocs: unlimited}, 0},
		{"too great a share", budget{of: "peer", share: .4, allocs: unlimited, because: "of the light"}, 1},
	} {
		c := comparing([]budget{test.budget}, costing(ours, 200, 2, false), costing("peer", 400, 9, false))
		v := c.verdict()
		if len(v.missed) != test.missed || len(v.met)+len(v.missed) == 0 {
			t.Errorf("%s: missed %q, met %q", test.name, v.missed, v.met)
		}
		var page strings.Builder
		c.print(&page)
		if missed := strings.Contains(page.String(), "Not within budget"); missed != (test.missed > 0) {
			t.Errorf("%s: the page says %s", test.name, page.String())
		} else if missed && !strings.Contains(page.String(), "of the light") {
			t.Errorf("%s: the page gives no reason", test.name)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := spreadOf([]float64{5, 1, 4, 2, 3}); got != (spread{2, 3, 4}) {
		t.Errorf("quartiles are %v", got)
	}
	if got := spreadOf([]float64{7}); got != (spread{7, 7, 7}) {
		t.Errorf("quartiles of one sample are %v", got)
	}
	if got := over([]float64{10, 20}, []float64{1, 2}, []float64{3, 4}); got.median != 12.5 {
		t.Errorf("the median over the bare handler is %v", got)
	}
	if got := apart([]float64{1, 5}, []float64{3, 1}); got.median != 3 {
		t.Errorf("the distance is %v", got)
	}
}

func TestFiguresKeepWhatIsWorthReading(t *testing.T) {
	for ns, want := range map[float64]string{3: "0.003", 123.4: "0.123", 1234: "1.23", 12_345: "12.3", -20: "-0.020"} {
		if got := figure(ns); got != want {
			t.Errorf("%v ns are %s, want %s", ns, got, want)
		}
	}
}

func TestAMeasurementFillsThePage(t *testing.T) {
	k := kind{name: "test", title: "A test", about: "Of rows.", rows: func() []row {
		return []row{{name: ours, wrap: bare}, {name: "peer", without: "nothing", wrap: weighted(1)}}
	}}
	e := effort{rounds: 2, sample: 100 * time.Microsecond}
	p := page{effort: e, machine: thisMachine(), comparisons: []comparison{k.measure(e)}}
	var text strings.Builder
	p.print(&text)
	for _, want := range []string{"| peer |", "**Verdict.**", command, "[A test](#a-test)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in %s", want, text.String())
		}
	}
}
