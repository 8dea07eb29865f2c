package deploy

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The checks that Grafana makes by showing something wrong.
func TestGrafanaDashboards(t *testing.T) {
	uids := map[string]string{}
	for _, d := range dashboards(t) {
		for _, fault := range d.faults() {
			t.Errorf("%s: %s", d.File, fault)
		}
		if other := uids[d.UID]; other != "" {
			t.Errorf("%s and %s have the uid %s", d.File, other, d.UID)
		}
		uids[d.UID] = d.File
	}
}

var grafanaUID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

// variableUse finds Grafana's variables in expressions.
var variableUse = regexp.MustCompile(`\$\{?([a-zA-Z_]+)\}?`)

func (d grafanaDashboard) faults() (faults []string) {
	fault := func(parts ...string) { faults = append(faults, strings.Join(parts, " ")) }
	if !grafanaUID.MatchString(d.UID) {
		fault("the uid is", d.UID)
	}
	if d.Title == "" {
		fault("no title")
	}
	if d.SchemaVersion < 36 || d.SchemaVersion > 41 {
		fault("this schema version is not one of the classic model of Grafana 9 to 13")
	}

	vars := map[string]grafanaVariable{"__rate_interval": {}}
	for _, v := range d.Templating.List {
		vars[v.Name] = v
		if v.Type == "query" {
			if _, _, ok := v.listed(); !ok {
				fault("variable", v.Name, "lists no label values")
			}
			if v.IncludeAll && v.AllValue != ".*" {
				fault("variable", v.Name, "does not select all of them")
			}
			if v.Datasource["uid"] != "${datasource}" {
				fault("variable", v.Name, "asks a fixed data source")
			}
		}
	}
	if v := vars["datasource"]; v.Type != "datasource" || v.Query != "prometheus" {
		fault("no variable for the data source")
	}
	for _, name := range []string{"job", "instance"} {
		if vars[name].Type != "query" {
			fault("no variable", name)
		}
	}

	ids, titles := map[int]bool{}, map[string]bool{}
	section := ""
	for i, p := range d.Panels {
		where := "panel " + p.Title + ":"
		if p.ID <= 0 || ids[p.ID] {
			fault(where, "its id is not its own")
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			fault(where, "is outside of the 24 columns")
		}
		for _, o := range d.Panels[:i] {
			if h := o.GridPos; g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H {
				fault(where, "overlaps", o.Title)
			}
		}
		if p.Title == "" {
			fault("a panel has no title")
		}
		if p.Type == "row" {
			section = p.Title
			if len(p.Targets) > 0 || p.Collapsed && len(p.Panels) == 0 {
				fault(where, "a row shows nothing itself")
			}
			continue
		}
		if key := section + "/" + p.Title; titles[key] {
			fault(where, "is there twice in", section)
		} else {
			titles[key] = true
		}
		if !slices.Contains([]string{"timeseries", "stat", "table", "heatmap", "state-timeline"}, p.Type) {
			fault(where, "the type", p.Type, "is not of Grafana's own panels")
		}
		if p.Description == "" {
			fault(where, "no description")
		}
		if p.Datasource["uid"] != "${datasource}" || p.Datasource["type"] != "prometheus" {
			fault(where, "asks a fixed data source")
		}
		if p.FieldConfig.Defaults.Unit == "" && !slices.Contains([]string{"table", "heatmap", "state-timeline"}, p.Type) {
			fault(where, "no unit")
		}
		if len(p.Targets) == 0 {
			fault(where, "asks nothing")
		}
		if p.Type == "table" && len(p.Targets) > 1 && !slices.ContainsFunc(p.Transformations, func(x struct{ ID string }) bool { return x.ID == "merge" }) {
			fault(where, "shows one of its queries only")
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.RefID == "" || refs[q.RefID] {
				fault(where, "two queries are called", q.RefID)
			}
			refs[q.RefID] = true
			if q.Datasource["uid"] != "${datasource}" {
				fault(where, q.RefID, "asks a fixed data source")
			}
			if q.Instant == q.Range {
				fault(where, q.RefID, "is for a moment or for a range")
			}
			if len(p.Targets) > 1 && p.Type == "timeseries" && q.LegendFormat == "" {
				fault(where, q.RefID, "has no legend")
			}
			for _, m := range variableUse.FindAllStringSubmatch(q.Expr, -1) {
				if _, ok := vars[m[1]]; !ok {
					fault(where, q.RefID, "there is no variable", m[0])
				}
			}
			if !strings.Contains(q.Expr, `job=~"$job"`) || !strings.Contains(q.Expr, `instance=~"$instance"`) {
				fault(where, q.RefID, "does not mind what is chosen")
			}
			if strings.Contains(q.Expr, "rate(") && !strings.Contains(q.Expr, "$__rate_interval") {
				fault(where, q.RefID, "rates over a fixed time")
			}
		}
	}
	return faults
}

// Each check fails for a dashboard that has the fault.
func TestGrafanaFaultsAreFound(t *testing.T) {
	last := func(d *grafanaDashboard) *grafanaPanel { return &d.Panels[len(d.Panels)-1] }
	for want, spoil := range map[string]func(*grafanaDashboard){
		"the uid is":                      func(d *grafanaDashboard) { d.UID = "a b" },
		"no title":                        func(d *grafanaDashboard) { d.Title = "" },
		"schema version":                  func(d *grafanaDashboard) { d.SchemaVersion = 0 },
		"its id is not its own":           func(d *grafanaDashboard) { last(d).ID = d.Panels[0].ID },
		"outside of the 24 columns":       func(d *grafanaDashboard) { last(d).GridPos.X = 20 },
		"overlaps":                        func(d *grafanaDashboard) { last(d).GridPos = d.Panels[1].GridPos },
		"asks a fixed data source":        func(d *grafanaDashboard) { last(d).Datasource = map[string]string{"uid": "P1"} },
		"asks nothing":                    func(d *grafanaDashboard) { last(d).Targets = nil },
		"no unit":                         func(d *grafanaDashboard) { last(d).FieldConfig.Defaults.Unit = "" },
		"there is no variable $host":      func(d *grafanaDashboard) { last(d).Targets[0].Expr += ` + up{host="$host"}` },
		"does not mind what is chosen":    func(d *grafanaDashboard) { last(d).Targets[0].Expr = "up" },
		"rates over a fixed time":         func(d *grafanaDashboard) { last(d).Targets[0].Expr = "rate(x[5m])" },
		"no variable for the data source": func(d *grafanaDashboard) { d.Templating.List = d.Templating.List[1:] },
		"is there twice in":               func(d *grafanaDashboard) { last(d).Title = d.Panels[len(d.Panels)-2].Title },
	} {
		d := dashboards(t)[0]
		for _, all := range dashboards(t) {
			if all.File == "http.json" {
				d = all
			}
		}
		spoil(&d)
		if found := strings.Join(d.faults(), "; "); !strings.Contains(found, want) {
			t.Errorf("%q was not found, but %q", want, found)
		}
	}
}
