package main

import "fmt"

// The variables that every dashboard has: where the figures are, and whose.
// anchor is a metric that every instance has.
func variables(anchor string, further ...object) []object {
	return append([]object{
		{
			"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
			"refresh": 1, "regex": "", "hide": 0, "includeAll": false, "multi": false, "options": []object{},
		},
		labelValues("job", "Job", anchor, "job"),
		labelValues("instance", "Instance", fmt.Sprintf(`%s{job=~"$job"}`, anchor), "instance"),
	}, further...)
}

// labelValues is a variable that lists a label of the series of a selector.
func labelValues(name, label, selector, of string) object {
	expr := fmt.Sprintf("label_values(%s, %s)", selector, of)
	return object{
		"name": name, "label": label, "type": "query", "datasource": prometheus,
		"query":      object{"query": expr, "refId": "StandardVariableQuery"},
		"definition": expr,
		"refresh":    2, "sort": 1, "regex": "", "hide": 0,
		"includeAll": true, "multi": true, "allValue": ".*",
		"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
		"options": []object{},
	}
}

// chosen is the part of a selector that the variables make.
const chosen = `job=~"$job",instance=~"$instance"`

// series selects those of a metric that are chosen, and further matchers.
func series(metric, matchers string) string {
	if matchers != "" {
		matchers = "," + matchers
	}
	return fmt.Sprintf("%s{%s%s}", metric, chosen, matchers)
}

// rate is how much a counter grows in a second.
func rate(metric, matchers string) string {
	return fmt.Sprintf("rate(%s[$__rate_interval])", series(metric, matchers))
}

// sum adds up over what by does not name.
func sum(by, of string) string {
	if by == "" {
		return fmt.Sprintf("sum(%s)", of)
	}
	return fmt.Sprintf("sum by (%s) (%s)", by, of)
}

// most is the highest over what by does not name.
func most(by, of string) string {
	if by == "" {
		return fmt.Sprintf("max(%s)", of)
	}
	return fmt.Sprintf("max by (%s) (%s)", by, of)
}

// share is part ÷ whole: 0 where there is no part, and nothing where there is no
// whole.
func share(part, whole string) string {
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", part, whole, whole)
}
