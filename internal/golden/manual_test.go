package golden

import (
	"slices"
	"testing"

	"github.com/handrail-go/handrail"
)

type figures []handrail.Metric

func (f figures) Collect(emit func(handrail.Metric)) {
	for _, m := range f {
		emit(m)
	}
}

func TestWhatAManualDoesNotSayOrSaysWrongIsFound(t *testing.T) {
	source := figures{
		{Name: "x_slots", Labels: []handrail.Label{{Name: "name"}}},
		{Name: "x_refused_total", Kind: handrail.Counter, Labels: []handrail.Label{{Name: "name"}, {Name: "reason", Value: "a"}}},
		{Name: "x_refused_total", Kind: handrail.Counter, Labels: []handrail.Label{{Name: "name"}, {Name: "reason", Value: "b"}}},
	}
	const before, after = "// Package x.\n//\n//\tx_before gauge name\n//\n// # Metrics\n//\n// Text with x_slots.\n//\n", "//\n// # Next\n//\n//\tx_after gauge name\npackage x\n"
	for name, c := range map[string]struct {
		list string
		want []string
	}{
		"all": {"//\tx_slots          gauge    name\n//\tx_refused_total  counter  name, reason\n", nil},
		"one is missing": {"//\tx_slots gauge name\n",
			[]string{`x_refused_total is a counter name, reason, in doc.go ""`}},
		"one is too much": {"//\tx_slots gauge name\n//\tx_refused_total counter name, reason\n//\tx_gone gauge name\n",
			[]string{"doc.go lists x_gone, which nobody tells"}},
		"wrong kind and labels": {"//\tx_slots counter name\n//\tx_refused_total counter name\n",
			[]string{`x_refused_total is a counter name, reason, in doc.go "counter name"`, `x_slots is a gauge name, in doc.go "counter name"`}},
		"twice": {"//\tx_slots gauge name\n//\tx_refused_total counter name, reason\n//\tx_slots gauge name\n",
			[]string{"doc.go lists x_slots twice"}},
	} {
		if got := undocumented(before+c.list+after, source); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := undocumented("// Package x.\npackage x\n", source); len(got) != 1 {
		t.Errorf("without the section: %q", got)
	}
}
