package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// folder is where what is proved is.
const folder = "../../deploy"

func read(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// ruleFile is a file of recording rules or alerts.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// rules are those of a file, in order.
func rules(t *testing.T, name string) (all []rule) {
	t.Helper()
	var f ruleFile
	unmarshal(t, read(t, name), &f)
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", name)
	}
	return all
}

func unmarshal(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := yaml.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}

// grafanaDashboard is as much of a dashboard as the tests look at.
type grafanaDashboard struct {
	File          string `json:"-"`
	UID           string
	Title         string
	SchemaVersion int
	Panels        []grafanaPanel
	Templating    struct{ List []grafanaVariable }
}

type grafanaPanel struct {
	ID              int
	Type, Title     string
	Description     string
	GridPos         struct{ H, W, X, Y int }
	Datasource      map[string]string
	FieldConfig     struct{ Defaults struct{ Unit string } }
	Targets         []grafanaTarget
	Panels          []grafanaPanel
	Transformations []struct{ ID string }
	Options         map[string]any
	Collapsed       bool
}

type grafanaTarget struct {
	RefID, Expr, LegendFormat, Format string
	Instant, Range                    bool
	Datasource                        map[string]string
}

type grafanaVariable struct {
	Name, Type, AllValue string
	Query                any
	Definition           string
	IncludeAll, Multi    bool
	Datasource           map[string]string
}

func dashboards(t *testing.T) (all []grafanaDashboard) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "grafana", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := grafanaDashboard{File: filepath.Base(name)}
		if err := json.Unmarshal(body, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, d)
	}
	return all
}

// asked are the expressions of a dashboard with their panels and legends.
type asked struct{ where, expr, legend string }

func (d grafanaDashboard) asked() (all []asked) {
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all = append(all, asked{d.File + ": " + p.Title + " " + q.RefID, q.Expr, q.LegendFormat})
		}
	}
	return all
}

var labelValues = regexp.MustCompile(`^label_values\((.+), ?([a-z_]+)\)$`)

// listed is the selector and the label of a variable that lists label values.
func (v grafanaVariable) listed() (selector, label string, ok bool) {
	if v.Type != "query" {
		return "", "", false
	}
	m := labelValues.FindStringSubmatch(v.Definition)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// filled is an expression as Grafana sends it.
func filled(expr, job, instance, interval string) string {
	return strings.NewReplacer("$__rate_interval", interval, "$job", job, "$instance", instance, "$route", ".*").Replace(expr)
}
