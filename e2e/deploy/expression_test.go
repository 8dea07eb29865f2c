package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func trim(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// nameLabel is where a selector keeps the name of the metric.
const nameLabel = "__name__"

var promql = parser.NewParser(parser.Options{})

// enumerated are labels whose values are few and all seen under load, so that a
// value in a matcher must be one of them.
var enumerated = []string{"state", "mode", "reason", "priority", "verdict", "answer", "outcome", "percentile", "quantile", "error_type", "status"}

// check parses an expression and finds every name in it that nothing writes. It
// returns the labels that its result has.
func (v vocabulary) check(expr string) ([]string, error) {
	e, err := promql.ParseExpr(expr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var faults []error
	out := v.result(e, func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", expr, fmt.Sprintf(format, args...)))
	})
	return out, errors.Join(faults...)
}

// result is the labels that the result of e has, for certain.
func (v vocabulary) result(e parser.Expr, fault func(string, ...any)) []string {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return v.selected(e, fault)
	case *parser.MatrixSelector:
		return v.result(e.VectorSelector, fault)
	case *parser.SubqueryExpr:
		return v.result(e.Expr, fault)
	case *parser.ParenExpr:
		return v.result(e.Expr, fault)
	case *parser.UnaryExpr:
		return v.result(e.Expr, fault)
	case *parser.StepInvariantExpr:
		return v.result(e.Expr, fault)
	case *parser.AggregateExpr:
		inner := v.result(e.Expr, fault)
		for _, l := range e.Grouping {
			if !slices.Contains(inner, l) {
				fault("aggregates by %q, but %s has only %q", l, e.Expr, inner)
			}
		}
		if e.Without {
			return slices.DeleteFunc(slices.Clone(inner), func(l string) bool { return slices.Contains(e.Grouping, l) })
		}
		return e.Grouping
	case *parser.Call:
		return v.called(e, fault)
	case *parser.BinaryExpr:
		return v.combined(e, fault)
	default: // numbers and strings
		return nil
	}
}

func (v vocabulary) selected(e *parser.VectorSelector, fault func(string, ...any)) []string {
	names := []string{e.Name}
	for _, m := range e.LabelMatchers {
		if m.Name == nameLabel && m.Type == labels.MatchRegexp {
			if names = m.SetMatches(); len(names) == 0 {
				fault("the pattern %s does not list the names it means", m)
			}
		}
	}
	var common []string
	for i, name := range names {
		if v[name] == nil {
			fault("nothing writes %q; there are %q", name, v.nearest(name))
			continue
		}
		has := v.labels(name)
		for _, m := range e.LabelMatchers {
			if m.Name == nameLabel {
				continue
			}
			if !slices.Contains(has, m.Name) {
				fault("%s has no label %q, only %q", name, m.Name, has)
				continue
			}
			v.valued(name, m, fault)
		}
		if i == 0 {
			common = has
		}
		common = slices.DeleteFunc(common, func(l string) bool { return !slices.Contains(has, l) })
	}
	return common
}

// valued checks the values that a matcher spells out.
func (v vocabulary) valued(name string, m *labels.Matcher, fault func(string, ...any)) {
	if !slices.Contains(enumerated, m.Name) {
		return
	}
	values := m.SetMatches()
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		values = []string{m.Value}
	}
	for _, value := range values {
		if value != "" && !v[name][m.Name][value] {
			fault("%s never has %s=%q, but %v", name, m.Name, value, v[name][m.Name])
		}
	}
}

func (v vocabulary) called(e *parser.Call, fault func(string, ...any)) []string {
	var of []string
	for _, arg := range e.Args {
		got := v.result(arg, fault)
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			of = got
		}
	}
	switch e.Func.Name {
	case "histogram_quantile":
		return slices.DeleteFunc(slices.Clone(of), func(l string) bool { return l == "le" })
	case "absent", "absent_over_time", "scalar", "vector", "time":
		return nil
	case "label_replace", "label_join":
		fault("%s makes labels that this test does not follow", e.Func.Name)
	}
	return of
}

func (v vocabulary) combined(e *parser.BinaryExpr, fault func(string, ...any)) []string {
	left, right := v.result(e.LHS, fault), v.result(e.RHS, fault)
	if e.VectorMatching == nil || e.LHS.Type() == parser.ValueTypeScalar || e.RHS.Type() == parser.ValueTypeScalar {
		return append(left, right...) // one of them is a number and has none
	}
	if e.VectorMatching.On {
		for _, l := range e.VectorMatching.MatchingLabels {
			if !slices.Contains(left, l) || !slices.Contains(right, l) {
				fault("matches on %q, which is in %q and in %q", l, left, right)
			}
		}
	}
	both := slices.DeleteFunc(slices.Clone(left), func(l string) bool { return !slices.Contains(right, l) })
	switch {
	case e.Op == parser.LAND, e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LOR:
		return both
	case e.VectorMatching.On && e.VectorMatching.Card == parser.CardOneToOne:
		return e.VectorMatching.MatchingLabels
	case e.VectorMatching.Card == parser.CardManyToOne:
		return left
	case e.VectorMatching.Card == parser.CardOneToMany:
		return right
	}
	if !e.VectorMatching.On && len(e.VectorMatching.MatchingLabels) == 0 && len(both) != max(len(left), len(right)) {
		fault("%s can match nothing: %q is not %q", e, left, right)
	}
	return both
}
