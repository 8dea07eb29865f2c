package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// written is what CloudWatch makes of lines in the embedded metric format:
// namespaces, metrics in them, sets of dimensions with the values seen.
type written struct {
	namespaces map[string]map[string]map[string]map[string]map[string]bool
	// told are the values that the sources tell: a counter that did not grow is
	// not written, and so its labels are not.
	told vocabulary
}

// ofAWS are metrics that CloudWatch writes itself: of the page "Monitoring usage
// with CloudWatch metrics" of the user guide of CloudWatch Logs.
var ofAWS = map[string]map[string][]string{
	"AWS/Logs": {"EMFValidationErrors": {"LogGroupName"}, "EMFParsingErrors": {"LogGroupName"}},
}

func setOf(dims []string) string { return strings.Join(slices.Sorted(slices.Values(dims)), ",") }

// spokenToCloudWatch reads lines as CloudWatch does.
func spokenToCloudWatch(t *testing.T, lines [][]byte, told vocabulary) written {
	t.Helper()
	w := map[string]map[string]map[string]map[string]map[string]bool{}
	for ns, metrics := range ofAWS {
		w[ns] = map[string]map[string]map[string]map[string]bool{}
		for name, dims := range metrics {
			w[ns][name] = map[string]map[string]map[string]bool{setOf(dims): {}}
		}
	}
	for _, line := range lines {
		var root map[string]any
		var meta struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name, Unit string }
				}
			} `json:"_aws"`
		}
		if err := json.Unmarshal(line, &meta); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if err := json.Unmarshal(line, &root); err != nil {
			t.Fatal(err)
		}
		for _, d := range meta.AWS.CloudWatchMetrics {
			if w[d.Namespace] == nil {
				w[d.Namespace] = map[string]map[string]map[string]map[string]bool{}
			}
			for _, m := range d.Metrics {
				if root[m.Name] == nil {
					t.Fatalf("no value of %s in %s", m.Name, line)
				}
				if w[d.Namespace][m.Name] == nil {
					w[d.Namespace][m.Name] = map[string]map[string]map[string]bool{}
				}
				for _, dims := range d.Dimensions {
					set := w[d.Namespace][m.Name][setOf(dims)]
					if set == nil {
						set = map[string]map[string]bool{}
						w[d.Namespace][m.Name][setOf(dims)] = set
					}
					for _, name := range dims {
						if set[name] == nil {
							set[name] = map[string]bool{}
						}
						set[name][fmt.Sprint(root[name])] = true
					}
				}
			}
		}
	}
	return written{w, told}
}

// ask is one use of a metric. Where whole is false, dims are some of a set.
type ask struct {
	namespace, name string
	dims            []string
	whole           bool
	values          map[string][]string // that must have been seen
}

func (w written) check(a ask) error {
	metrics := w.namespaces[a.namespace]
	if metrics == nil {
		return fmt.Errorf("nothing writes to the namespace %q", a.namespace)
	}
	sets := metrics[a.name]
	if sets == nil {
		return fmt.Errorf("nothing writes %q", a.name)
	}
	for set, values := range sets {
		has := strings.Split(set, ",")
		if a.whole && set != setOf(a.dims) || slices.ContainsFunc(a.dims, func(d string) bool { return !slices.Contains(has, d) }) {
			continue
		}
		for d, all := range a.values {
			for _, v := range all {
				if !values[d][v] && !w.told[a.name][d][v] {
					return fmt.Errorf("%s never has %s=%q, but %q", a.name, d, v, slices.Sorted(maps.Keys(values[d])))
				}
			}
		}
		return nil
	}
	return fmt.Errorf("%s has the dimensions %q, and not %q", a.name, slices.Sorted(maps.Keys(sets)), a.dims)
}

// Placeholders of the dashboard and of the template.
func isPlaceholder(v string) bool { return strings.HasPrefix(v, "MY_") || strings.HasPrefix(v, "${") }

func (a *ask) value(dim, v string) {
	if isPlaceholder(v) {
		return
	}
	if a.values == nil {
		a.values = map[string][]string{}
	}
	a.values[dim] = append(a.values[dim], v)
}

var (
	searching = regexp.MustCompile(`SEARCH\('\{([^}]*)\}([^']*)', *'([A-Za-z0-9.]+)', *(\d+)\)`)
	term      = regexp.MustCompile(`("[^"]+"|[A-Za-z]+)=(\([^)]*\)|"[^"]*")`)
	selecting = regexp.MustCompile(`^SELECT (SUM|MAX|MIN|AVG|COUNT)\("([^"]+)"\) FROM "([^"]+)" WHERE (.+)$`)
	condition = regexp.MustCompile(`^"([^"]+)" (!?=) '([^']*)'$`)
	quotedAny = regexp.MustCompile(`"([^"]*)"`)
)

func unquote(s string) string { return strings.Trim(s, `"`) }

// asksOf are the metrics that an expression names.
func asksOf(expr string) (all []ask, err error) {
	for _, m := range searching.FindAllStringSubmatch(expr, -1) {
		schema := strings.Split(m[1], ",")
		a := ask{namespace: unquote(schema[0]), whole: true}
		for _, d := range schema[1:] {
			a.dims = append(a.dims, unquote(d))
		}
		for _, t := range term.FindAllStringSubmatch(m[2], -1) {
			name := unquote(t[1])
			for _, v := range quotedAny.FindAllStringSubmatch(t[2], -1) {
				switch {
				case name == "MetricName":
					a.name = v[1]
				case !slices.Contains(a.dims, name):
					return nil, fmt.Errorf("%s searches by %s, which is not in its schema", expr, name)
				default:
					a.value(name, v[1])
				}
			}
		}
		all = append(all, a)
	}
	if m := selecting.FindStringSubmatch(expr); m != nil {
		a := ask{namespace: m[3], name: m[2]}
		for _, c := range strings.Split(m[4], " AND ") {
			part := condition.FindStringSubmatch(c)
			if part == nil {
				return nil, fmt.Errorf("%s: the condition %q is none", expr, c)
			}
			a.dims = append(a.dims, part[1])
			a.value(part[1], part[3])
		}
		all = append(all, a)
	}
	if len(all) == 0 && (strings.Contains(expr, "SEARCH") || strings.Contains(expr, "SELECT")) {
		return nil, fmt.Errorf("%s cannot be read", expr)
	}
	return all, nil
}

type cloudwatchDashboard struct {
	Start, PeriodOverride string
	Variables             []struct {
		Type, Pattern, Property, InputType, ID, Label, DefaultValue string
	}
	Widgets []struct {
		Type                string
		X, Y, Width, Height *int
		Properties          struct {
			Title, Region, View, Stat, Query, Markdown string
			Period                                     int
			Metrics                                    [][]any
		}
	}
}

type metricOptions struct {
	expression, id, stat, label string
	visible                     bool
}

// taken takes an entry of a widget's metrics apart.
func takenApart(entry []any) (names []string, o metricOptions, err error) {
	o.visible = true
	for i, part := range entry {
		switch part := part.(type) {
		case string:
			if part == "." || part == "..." {
				return nil, o, fmt.Errorf("%v repeats the entry before it, which this test does not follow", entry)
			}
			names = append(names, part)
		case map[string]any:
			if i != len(entry)-1 {
				return nil, o, fmt.Errorf("%v has something behind its options", entry)
			}
			text := func(key string) string { s, _ := part[key].(string); return s }
			o.expression, o.id, o.stat, o.label = text("expression"), text("id"), text("stat"), text("label")
			if v, ok := part["visible"].(bool); ok {
				o.visible = v
			}
		default:
			return nil, o, fmt.Errorf("%v has a part that is neither text nor options", entry)
		}
	}
	if o.expression == "" && (len(names) < 2 || len(names)%2 != 0) || o.expression != "" && len(names) > 0 {
		return nil, o, fmt.Errorf("%v is neither a metric with pairs of dimensions nor an expression", entry)
	}
	return names, o, nil
}

// askedFor are all metrics that a dashboard names.
func (d *cloudwatchDashboard) askedFor() (all []ask, err error) {
	for _, w := range d.Widgets {
		for _, entry := range w.Properties.Metrics {
			names, o, err := takenApart(entry)
			if err != nil {
				return nil, err
			}
			if o.expression != "" {
				more, err := asksOf(o.expression)
				if err != nil {
					return nil, err
				}
				all = append(all, more...)
				continue
			}
			a := ask{namespace: names[0], name: names[1], whole: true}
			for i := 2; i < len(names); i += 2 {
				a.dims = append(a.dims, names[i])
				a.value(names[i], names[i+1])
			}
			all = append(all, a)
		}
	}
	return all, nil
}

func readCloudwatchDashboard(t *testing.T) cloudwatchDashboard {
	t.Helper()
	var d cloudwatchDashboard
	if err := json.Unmarshal(read(t, "cloudwatch/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

type alarm struct {
	AlarmName, AlarmDescription, Namespace, MetricName, Statistic, ExtendedStatistic string
	ComparisonOperator, TreatMissingData                                             string
	Threshold                                                                        any
	Period, EvaluationPeriods, DatapointsToAlarm                                     int
	Dimensions                                                                       []dimension
	AlarmActions                                                                     []string
	Metrics                                                                          []alarmMetric
}

type dimension struct{ Name, Value string }

type alarmMetric struct {
	ID, Expression string
	Period         int
	ReturnData     *bool
	MetricStat     *struct {
		Stat   string
		Period int
		Metric struct {
			Namespace, MetricName string
			Dimensions            []dimension
		}
	}
}

// template is the CloudFormation template, with references as ${Name}.
type template struct {
	Parameters map[string]any
	used       []string
}

func readAlarms(t *testing.T) (template, map[string]alarm) {
	t.Helper()
	var root yaml.Node
	unmarshal(t, read(t, "cloudwatch/alarms.yaml"), &root)
	var file struct {
		Parameters map[string]any `yaml:"Parameters"`
		Resources  map[string]struct {
			Type       string         `yaml:"Type"`
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	var used []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		switch n.Tag {
		case "!Ref":
			used = append(used, n.Value)
			n.Tag, n.Value = "!!str", "${"+n.Value+"}"
		case "!Sub":
			for _, m := range regexp.MustCompile(`\$\{([^}]+)\}`).FindAllStringSubmatch(n.Value, -1) {
				used = append(used, m[1])
			}
			n.Tag = "!!str"
		default:
			if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
				t.Errorf("line %d: the function %s is not followed", n.Line, n.Tag)
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&root)
	if err := root.Decode(&file); err != nil {
		t.Fatal(err)
	}
	alarms := map[string]alarm{}
	for name, r := range file.Resources {
		if r.Type != "AWS::CloudWatch::Alarm" {
			t.Errorf("%s is a %s", name, r.Type)
			continue
		}
		body, err := json.Marshal(r.Properties) // whose names have capitals, as fields do
		if err != nil {
			t.Fatal(err)
		}
		var a alarm
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		alarms[name] = a
	}
	return template{file.Parameters, used}, alarms
}

func (a alarm) askedFor() (all []ask, err error) {
	add := func(namespace, name string, dims []dimension) {
		one := ask{namespace: namespace, name: name, whole: true}
		for _, d := range dims {
			one.dims = append(one.dims, d.Name)
			one.value(d.Name, d.Value)
		}
		all = append(all, one)
	}
	if a.MetricName != "" {
		add(a.Namespace, a.MetricName, a.Dimensions)
	}
	for _, m := range a.Metrics {
		if m.MetricStat != nil {
			add(m.MetricStat.Metric.Namespace, m.MetricStat.Metric.MetricName, m.MetricStat.Metric.Dimensions)
		}
		more, err := asksOf(m.Expression)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

func TestEverythingThatCloudWatchIsAskedForIsWritten(t *testing.T) {
	s := newStack(t)
	s.settled(t)
	if err := s.emf.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := spokenToCloudWatch(t, s.emfLines.read(), s.spoken(t))

	asks := map[string][]ask{}
	d := readCloudwatchDashboard(t)
	var err error
	if asks["dashboard"], err = d.askedFor(); err != nil {
		t.Fatal(err)
	}
	_, alarms := readAlarms(t)
	for name, a := range alarms {
		if asks[name], err = a.askedFor(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(asks[name]) == 0 {
			t.Errorf("the alarm %s is of nothing", name)
		}
	}
	n := 0
	for where, all := range asks {
		for _, a := range all {
			n++
			if err := w.check(a); err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
			// And it fails for each name that is another.
			mutants := []ask{{a.namespace + "x", a.name, a.dims, a.whole, a.values}, {a.namespace, a.name + "x", a.dims, a.whole, a.values}}
			for i := range a.dims {
				dims := slices.Clone(a.dims)
				dims[i] += "x"
				mutants = append(mutants, ask{a.namespace, a.name, dims, a.whole, nil})
			}
			for dim := range a.values {
				mutants = append(mutants, ask{a.namespace, a.name, a.dims, a.whole, map[string][]string{dim: {"none of them"}}})
			}
			if a.whole && len(a.dims) > 1 {
				mutants = append(mutants, ask{a.namespace, a.name, a.dims[1:], true, nil})
			}
			for _, m := range mutants {
				if w.check(m) == nil && !(m.whole && w.namespaces[m.namespace][m.name][setOf(m.dims)] != nil) {
					t.Errorf("%s: after a name was changed nobody minded: %v", where, m)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d metrics are asked for", n)
	}
}

var cloudwatchID = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// The rules of the page "Dashboard body structure and syntax" of the reference of
// CloudWatch's API.
func TestCloudWatchDashboardBody(t *testing.T) {
	d := readCloudwatchDashboard(t)
	if !regexp.MustCompile(`^-P(T\d+[MH]|\d+[DWM])$`).MatchString(d.Start) {
		t.Errorf("start is %q", d.Start)
	}
	if d.PeriodOverride != "auto" && d.PeriodOverride != "inherit" {
		t.Errorf("periodOverride is %q", d.PeriodOverride)
	}
	body := string(read(t, "cloudwatch/dashboard.json"))
	if len(d.Variables) > 25 {
		t.Errorf("%d variables", len(d.Variables))
	}
	for _, v := range d.Variables {
		if !cloudwatchID.MatchString(v.ID) || len(v.Label) > 30 || v.Type != "pattern" || v.InputType != "input" || v.DefaultValue == "" {
			t.Errorf("variable %+v", v)
		}
		if strings.Count(body, v.Pattern) < 3 { // its own and more than one use
			t.Errorf("variable %s: %q is hardly anywhere", v.ID, v.Pattern)
		}
	}
	if len(d.Widgets) == 0 || len(d.Widgets) > 500 {
		t.Fatalf("%d widgets", len(d.Widgets))
	}
	for i, w := range d.Widgets {
		p := w.Properties
		where := fmt.Sprintf("widget %d %q", i, p.Title)
		if w.X == nil || w.Y == nil || w.Width == nil || w.Height == nil {
			t.Fatalf("%s has no place", where)
		}
		if *w.X < 0 || *w.X > 23 || *w.Y < 0 || *w.Width < 1 || *w.Width > 24 || *w.X+*w.Width > 24 || *w.Height < 1 || *w.Height > 1000 {
			t.Errorf("%s: is at %d, %d, %d wide and %d high", where, *w.X, *w.Y, *w.Width, *w.Height)
		}
		for _, o := range d.Widgets[:i] {
			if *w.X < *o.X+*o.Width && *o.X < *w.X+*w.Width && *w.Y < *o.Y+*o.Height && *o.Y < *w.Y+*w.Height {
				t.Errorf("%s: overlaps %q", where, o.Properties.Title)
			}
		}
		switch w.Type {
		case "text":
			if p.Markdown == "" {
				t.Errorf("%s: no text", where)
			}
		case "log":
			if p.Title == "" || p.Region == "" || !strings.HasPrefix(p.Query, "SOURCE '") {
				t.Errorf("%s: %q of %q", where, p.Query, p.Region)
			}
		case "metric":
			if p.Title == "" || p.Region == "" || len(p.Metrics) == 0 || p.Period%60 != 0 || p.View != "timeSeries" {
				t.Errorf("%s: %+v", where, p)
			}
			ids, shown := map[string]bool{}, false
			var formulas []string
			for _, entry := range p.Metrics {
				_, o, err := takenApart(entry)
				if err != nil {
					t.Errorf("%s: %v", where, err)
				}
				if o.id != "" {
					if ids[o.id] || !regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`).MatchString(o.id) {
						t.Errorf("%s: the id %q", where, o.id)
					}
					ids[o.id] = true
				}
				shown = shown || o.visible
				if o.expression != "" {
					formulas = append(formulas, o.expression)
				}
			}
			for _, f := range formulas {
				for _, id := range variablesOf(f) {
					if !ids[id] {
						t.Errorf("%s: %s is of %q, which there is not", where, f, id)
					}
				}
			}
			if !shown {
				t.Errorf("%s: shows nothing", where)
			}
		default:
			t.Errorf("%s: type %q", where, w.Type)
		}
	}
}

var identifier = regexp.MustCompile(`\b[a-z][a-zA-Z0-9_]*\b`)

// variablesOf are the ids that metric math refers to.
func variablesOf(expr string) []string {
	if strings.Contains(expr, "SEARCH(") || strings.HasPrefix(expr, "SELECT ") {
		return nil
	}
	return identifier.FindAllString(strings.NewReplacer("${MinRequests}", "1").Replace(expr), -1)
}

func TestCloudWatchAlarms(t *testing.T) {
	tpl, alarms := readAlarms(t)
	for _, name := range tpl.used {
		if tpl.Parameters[name] == nil && !strings.HasPrefix(name, "AWS::") {
			t.Errorf("there is no parameter %s", name)
		}
	}
	for name := range tpl.Parameters {
		if !slices.Contains(tpl.used, name) {
			t.Errorf("the parameter %s is not used", name)
		}
	}
	var anchors []string
	for _, m := range heading.FindAllStringSubmatch(string(read(t, "README.md")), -1) {
		anchors = append(anchors, anchor(m[1]))
	}
	for name, a := range alarms {
		if a.AlarmName != "${Service}-"+name || len(a.AlarmActions) == 0 {
			t.Errorf("%s is called %q and tells %q", name, a.AlarmName, a.AlarmActions)
		}
		if _, section, _ := strings.Cut(a.AlarmDescription, "#"); !slices.Contains(anchors, section) {
			t.Errorf("%s: the runbook %q is not there", name, a.AlarmDescription)
		}
		if !slices.Contains([]string{"GreaterThanThreshold", "LessThanThreshold"}, a.ComparisonOperator) || a.Threshold == nil {
			t.Errorf("%s: %s %v", name, a.ComparisonOperator, a.Threshold)
		}
		if !slices.Contains([]string{"breaching", "notBreaching"}, a.TreatMissingData) {
			t.Errorf("%s: missing data is %q", name, a.TreatMissingData)
		}
		if a.EvaluationPeriods < 1 || a.DatapointsToAlarm > a.EvaluationPeriods {
			t.Errorf("%s: %d of %d", name, a.DatapointsToAlarm, a.EvaluationPeriods)
		}
		if (a.MetricName != "") == (len(a.Metrics) > 0) {
			t.Errorf("%s is of one metric or of several", name)
			continue
		}
		if a.MetricName != "" {
			if (a.Statistic != "") == (a.ExtendedStatistic != "") || a.Period%60 != 0 || a.Period == 0 {
				t.Errorf("%s: statistic %q %q over %d s", name, a.Statistic, a.ExtendedStatistic, a.Period)
			}
			continue
		}
		ids, returned := map[string]bool{}, 0
		for _, m := range a.Metrics {
			if ids[m.ID] || !regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`).MatchString(m.ID) {
				t.Errorf("%s: the id %q", name, m.ID)
			}
			ids[m.ID] = true
			if m.ReturnData == nil || *m.ReturnData {
				returned++
			}
			if (m.Expression != "") == (m.MetricStat != nil) {
				t.Errorf("%s: %s is a metric or an expression", name, m.ID)
			}
			if strings.HasPrefix(m.Expression, "SELECT") && m.Period != 60 {
				t.Errorf("%s: the query %s is over %d s", name, m.ID, m.Period)
			}
			if strings.Contains(m.Expression, "SEARCH(") {
				t.Errorf("%s: an alarm cannot search", name)
			}
		}
		if returned != 1 || len(a.Metrics) > 10 {
			t.Errorf("%s: %d of %d metrics are what it is of", name, returned, len(a.Metrics))
		}
		for _, m := range a.Metrics {
			for _, id := range variablesOf(m.Expression) {
				if !ids[id] {
					t.Errorf("%s: %s is of %q, which there is not", name, m.Expression, id)
				}
			}
		}
	}
}

// keywords are the words of the query language that the queries use.
var keywords = []string{"filter", "fields", "stats", "sort", "limit", "by", "as", "asc", "desc", "and", "or",
	"count", "sum", "max", "pct", "bin", "ispresent", "strcontains"}

var (
	fenced    = regexp.MustCompile("(?s)```\n(.*?)```")
	quotedLog = regexp.MustCompile(`"([^"]*)"`)
	named     = regexp.MustCompile(`@?[a-zA-Z_][a-zA-Z0-9_.]*`)
	alias     = regexp.MustCompile(`\bas ([a-z0-9]+)`)
)

// unknownTo finds the fields of a query that no line has.
func unknownTo(query string, keys map[string]bool) (unknown []string) {
	known := maps.Clone(keys)
	query = regexp.MustCompile(`bin\(\d+[smhd]\)`).ReplaceAllString(query, "bin(0)")
	for _, m := range alias.FindAllStringSubmatch(query, -1) {
		known[m[1]] = true
	}
	for _, k := range keywords {
		known[k] = known[k] || regexp.MustCompile(`(^|[^.a-z_])`+k+`([^.a-z_]|$)`).MatchString(query)
	}
	for _, name := range named.FindAllString(quotedLog.ReplaceAllString(query, ""), -1) {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func TestLogQueriesNameWhatTheAccessLogWrites(t *testing.T) {
	s := newStack(t)
	s.settled(t)
	keys := map[string]bool{"@timestamp": true, "@message": true}
	messages := map[string]bool{}
	// "count" is a word of the language as well: it must be a key of the log.
	for until := time.Now().Add(5 * time.Second); !keys["count"] && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		for _, line := range s.logLines.read() {
			var attrs map[string]any
			if err := json.Unmarshal(line, &attrs); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			for k := range attrs {
				keys[k] = true
			}
			messages[fmt.Sprint(attrs["msg"])] = true
		}
	}
	if !keys["count"] {
		t.Errorf("no line sums up refused requests, but there are %v", messages)
	}

	var queries []string
	for _, m := range fenced.FindAllStringSubmatch(string(read(t, "cloudwatch/logs-insights.md")), -1) {
		queries = append(queries, m[1])
	}
	if len(queries) < 8 {
		t.Fatalf("%d queries", len(queries))
	}
	for _, w := range readCloudwatchDashboard(t).Widgets {
		if w.Type == "log" {
			_, query, _ := strings.Cut(w.Properties.Query, "|")
			queries = append(queries, query)
		}
	}
	for _, query := range queries {
		if unknown := unknownTo(query, keys); len(unknown) > 0 {
			t.Errorf("no line has %q, asked for by\n%s", unknown, query)
		}
		for _, m := range regexp.MustCompile(`msg = "([^"]*)"`).FindAllStringSubmatch(query, -1) {
			if !messages[m[1]] {
				t.Errorf("no line says %q, but %v", m[1], messages)
			}
		}
		for name := range keys {
			if strings.Contains(name, ".") && strings.Contains(query, name+" ") {
				if unknown := unknownTo(strings.ReplaceAll(query, name+" ", name+"x "), keys); len(unknown) == 0 {
					t.Errorf("after %s was changed nobody minded:\n%s", name, query)
				}
			}
		}
	}
}
