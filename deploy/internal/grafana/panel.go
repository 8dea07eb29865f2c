package main

import "fmt"

// Units, as Grafana names them.
const (
	perSecond = "reqps"
	events    = "cps"
	seconds   = "s"
	ratio     = "percentunit"
	count     = "short"
	amount    = "bytes"
	plain     = "none"
)

// row begins a section.
func row(title string) panel {
	open, none := false, []panel{}
	return panel{Type: "row", Title: title, GridPos: gridPos{H: 1, W: columns}, Collapsed: &open, Panels: &none}
}

// q is one line of a panel, with its legend.
func q(expr, legend string) query {
	return query{Expr: expr, Legend: legend, Datasource: prometheus, Format: "time_series", Range: true, EditorMode: "code"}
}

func (p panel) of(qs ...query) panel {
	for i := range qs {
		qs[i].RefID = string(rune('A' + i))
	}
	p.Datasource, p.Targets = prometheus, qs
	return p
}

// graph is a third of a row wide, or half of it by wide.
func graph(title, description, unit string, qs ...query) panel {
	return panel{
		Type: "timeseries", Title: title, Description: description, GridPos: gridPos{H: 8, W: 8},
		FieldConfig: object{
			"defaults": object{
				"unit": unit, "min": 0,
				"color":      object{"mode": "palette-classic"},
				"custom":     object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false},
				"thresholds": steps(nil),
			},
			"overrides": []object{},
		},
		Options: object{
			"legend":  object{"displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}, "showLegend": true},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}.of(qs...)
}

func (p panel) wide() panel { p.GridPos.W = 12; return p }

// stacked is for parts of a whole.
func (p panel) stacked() panel {
	custom := p.FieldConfig["defaults"].(object)["custom"].(object)
	custom["stacking"], custom["fillOpacity"] = object{"mode": "normal", "group": "A"}, 40
	return p
}

// lines draws the limits at which alerts fire.
func (p panel) lines(limits ...float64) panel {
	d := p.FieldConfig["defaults"].(object)
	d["thresholds"] = steps(limits)
	d["custom"].(object)["thresholdsStyle"] = object{"mode": "dashed"}
	return p
}

// exemplars shows the sampled traces as dots.
func (p panel) exemplars() panel {
	for i := range p.Targets {
		p.Targets[i].Exemplar = true
	}
	return p
}

// stat is one figure, green below the first limit, orange from it, red from the
// second.
func stat(title, description, unit, expr string, limits ...float64) panel {
	p := panel{
		Type: "stat", Title: title, Description: description, GridPos: gridPos{H: 4, W: 4},
		FieldConfig: object{
			"defaults":  object{"unit": unit, "thresholds": steps(limits), "color": object{"mode": "thresholds"}},
			"overrides": []object{},
		},
		Options: object{
			"colorMode": "value", "graphMode": "area", "textMode": "value",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
	return p.of(q(expr, ""))
}

func steps(limits []float64) object {
	list := []object{{"color": "green", "value": nil}}
	for i, limit := range limits {
		color := "orange"
		if i == len(limits)-1 {
			color = "red"
		}
		list = append(list, object{"color": color, "value": limit})
	}
	return object{"mode": "absolute", "steps": list}
}

// column is one query of a table.
type column struct{ title, unit, expr string }

// table has a line for each set of labels, and a column for each of these and
// each query, the largest values of the first query on top.
func table(title, description string, labels []object, columns ...column) panel {
	p := panel{Type: "table", Title: title, Description: description, GridPos: gridPos{H: 9, W: 24}}
	rename, overrides := object{}, []object{}
	var qs []query
	for i, c := range columns {
		one := q(c.expr, "")
		one.Format, one.Instant, one.Range = "table", true, false
		qs = append(qs, one)
		rename[fmt.Sprintf("Value #%c", 'A'+i)] = c.title
		overrides = append(overrides, object{
			"matcher":    object{"id": "byName", "options": c.title},
			"properties": []object{{"id": "unit", "value": c.unit}},
		})
	}
	for _, l := range labels {
		rename[l["label"].(string)] = l["title"]
	}
	p.FieldConfig = object{"defaults": object{"custom": object{"align": "auto", "filterable": true}}, "overrides": overrides}
	p.Options = object{"showHeader": true, "sortBy": []object{{"displayName": columns[0].title, "desc": true}}}
	p.Transforms = []object{
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "renameByName": rename, "indexByName": object{}}},
	}
	return p.of(qs...)
}

// heatmap shows a distribution over time.
func heatmap(title, description, unit, expr string) panel {
	p := panel{
		Type: "heatmap", Title: title, Description: description, GridPos: gridPos{H: 8, W: 8},
		FieldConfig: object{"defaults": object{"custom": object{"scaleDistribution": object{"type": "linear"}}}, "overrides": []object{}},
		Options: object{
			"calculate": false, "yAxis": object{"unit": unit}, "cellGap": 1,
			"color":     object{"mode": "scheme", "scheme": "Spectral", "steps": 64, "reverse": true},
			"legend":    object{"show": true},
			"tooltip":   object{"mode": "single", "yHistogram": true},
			"rowsFrame": object{"layout": "auto"}, "filterValues": object{"le": 1e-9},
		},
	}
	one := q(expr, "{{le}}")
	one.Format = "heatmap"
	return p.of(one)
}

// timeline shows which of several states held when.
func timeline(title, description, expr, legend string, states ...object) panel {
	p := panel{
		Type: "state-timeline", Title: title, Description: description, GridPos: gridPos{H: 8, W: 12},
		FieldConfig: object{
			"defaults": object{
				"color":    object{"mode": "thresholds"},
				"custom":   object{"fillOpacity": 70, "lineWidth": 0},
				"mappings": []object{{"type": "value", "options": mapped(states)}},
			},
			"overrides": []object{},
		},
		Options: object{"showValue": "never", "mergeValues": true, "rowHeight": 0.9,
			"legend": object{"showLegend": true, "displayMode": "list", "placement": "bottom"}},
	}
	return p.of(q(expr, legend))
}

func state(value int, text, color string) object {
	return object{"value": value, "text": text, "color": color}
}

func mapped(states []object) object {
	out := object{}
	for i, s := range states {
		out[fmt.Sprint(s["value"])] = object{"index": i, "text": s["text"], "color": s["color"]}
	}
	return out
}
