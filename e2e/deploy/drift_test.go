package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A metric or label that was renamed would leave a panel empty and an alert
// silent, and nobody would notice: so everything that is named must be there.
func TestEverythingThatIsNamedIsWritten(t *testing.T) {
	s := newStack(t)
	s.settled(t)
	v := s.spoken(t)

	var exprs []string
	use := func(where, expr string, further ...string) []string {
		t.Helper()
		exprs = append(exprs, expr)
		has, err := v.check(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return nil
		}
		for _, l := range further {
			if !slices.Contains(has, l) {
				t.Errorf("%s: shows the label %q, but %s has only %q", where, l, expr, has)
			}
		}
		return has
	}
	for _, r := range rules(t, "prometheus/rules.yml") {
		has := use(r.Record, r.Expr)
		v[r.Record] = map[string]map[string]bool{}
		for _, l := range has {
			v[r.Record][l] = map[string]bool{}
		}
	}
	for _, r := range rules(t, "prometheus/alerts.yml") {
		shown := templated(r.Annotations["summary"] + r.Annotations["description"])
		use(r.Alert, r.Expr, shown...)
	}
	for _, d := range dashboards(t) {
		for _, a := range d.asked() {
			use(a.where, filled(a.expr, ".*", ".*", "1m"), legends(a.legend)...)
		}
		for _, variable := range d.Templating.List {
			if selector, label, ok := variable.listed(); ok {
				use(d.File+": $"+variable.Name, filled(selector, ".*", ".*", "1m"), label)
			}
		}
	}
	if t.Failed() {
		return
	}

	// The check is worth something only if it fails: for each name in turn.
	mutants := 0
	for _, expr := range exprs {
		for _, changed := range renamed(t, expr) {
			mutants++
			if _, err := v.check(changed); err == nil {
				t.Errorf("after a name was changed nobody minded:\n%s\n%s", expr, changed)
			}
		}
	}
	if mutants < 3*len(exprs) {
		t.Errorf("%d changed names in %d expressions: that cannot be all", mutants, len(exprs))
	}
	t.Logf("%d expressions; each of %d changed names was found", len(exprs), mutants)
}

var (
	legendLabel   = regexp.MustCompile(`\{\{\s*([^}\s]+)\s*\}\}`)
	templateLabel = regexp.MustCompile(`\$labels\.([a-z_]+)`)
)

func legends(legend string) []string {
	var out []string
	for _, m := range legendLabel.FindAllStringSubmatch(legend, -1) {
		if m[1] != "le" { // a native histogram has its bounds elsewhere
			out = append(out, m[1])
		}
	}
	return out
}

func templated(text string) []string {
	var out []string
	for _, m := range templateLabel.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// renamed are variants of an expression, each with one metric, matcher, matched
// value or aggregation label changed.
func renamed(t *testing.T, expr string) (all []string) {
	t.Helper()
	// Each variant is made from a tree of its own.
	for i := 0; ; i++ {
		e, err := promql.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		n, done := 0, false
		turn := func() bool { n++; done = done || n == i+1; return n == i+1 }
		parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
			switch node := node.(type) {
			case *parser.VectorSelector:
				byName := node.Name != ""
				if byName && turn() {
					node.Name += "_gone"
				}
				for j, m := range node.LabelMatchers {
					if m.Name == nameLabel {
						if !byName && turn() {
							node.LabelMatchers[j] = labels.MustNewMatcher(m.Type, m.Name, strings.ReplaceAll(m.Value, "http_", "web_"))
						} else if byName {
							node.LabelMatchers[j] = labels.MustNewMatcher(m.Type, m.Name, node.Name)
						}
						continue
					}
					if turn() {
						node.LabelMatchers[j] = labels.MustNewMatcher(m.Type, m.Name+"_gone", m.Value)
					}
				}
			case *parser.AggregateExpr:
				for j := range node.Grouping {
					if turn() {
						node.Grouping[j] += "_gone"
					}
				}
			}
			return nil
		})
		if !done {
			return all
		}
		all = append(all, e.String())
	}
}

func TestWhatNobodyWritesIsFound(t *testing.T) {
	v := vocabulary{}
	v.add("a_total", map[string]string{"name": "x", "state": "open"})
	v.add("b_seconds_bucket", map[string]string{"le": "", "route": "/"})
	for expr, want := range map[string]string{
		`rate(a_totals[5m])`:                                           `nothing writes "a_totals"`,
		`a_total{nome="x"}`:                                            `no label "nome"`,
		`a_total{state="opened"}`:                                      `never has state="opened"`,
		`a_total{state=~"open|closed"}`:                                `never has state="closed"`,
		`sum by (tenant) (rate(a_total[5m]))`:                          `aggregates by "tenant"`,
		`sum by (state) (sum by (name) (a_total))`:                     `aggregates by "state"`,
		`sum by (le) (histogram_quantile(0.9, b_seconds_bucket))`:      `aggregates by "le"`,
		`sum by (name) (a_total) / sum(a_total)`:                       `can match nothing`,
		`sum by (name) (a_total) * on (state) sum by (name) (a_total)`: `matches on "state"`,
		`{__name__=~"a_total|c_total"}`:                                `nothing writes "c_total"`,
		`{__name__=~"a_.*"}`:                                           `does not list the names`,
		`sum(`:                                                         `parse error`,
	} {
		if _, err := v.check(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expr, err, want)
		}
	}
	for expr, want := range map[string][]string{
		`sum by (name) (rate(a_total[5m]))`:                              {"name"},
		`histogram_quantile(0.9, sum by (le, route) (b_seconds_bucket))`: {"route"},
		`sum by (name, state) (a_total) or sum by (name) (a_total)`:      {"name"},
		`sum by (name) (a_total) > 1 and sum by (name, state) (a_total)`: {"name"},
		`absent(a_total)`: nil,
	} {
		if got, err := v.check(expr); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, %v, want %q", expr, got, err, want)
		}
	}
}
