package main

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/handrail-go/handrail"
)

// saveHTML writes the page with the curves. A page of an earlier run stays
// whole until the new one is.
func saveHTML(path string, set *settings, r results) error {
	var b strings.Builder
	if err := writeHTML(&b, set, r); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// writeHTML writes one page that needs nothing else: no network, no script.
func writeHTML(w io.Writer, set *settings, r results) error {
	return page.Execute(w, newView(set, r))
}

// view is what the page shows.
type view struct {
	Setup    string
	Runs     []titled
	Rows     []viewRow
	StepHead []string
	Steps    []viewSteps
	Load     template.HTML
	Goodput  template.HTML
	Latency  template.HTML
	Classes  []viewChart
	Tenants  []viewChart
	ClassKey []key
	TenKey   []key
	RunKey   []key
	Notes    []string
}

type viewRow struct {
	Label string
	Cells []string
	Part  bool // of the row above
}

type viewChart struct {
	Title string
	SVG   template.HTML
}

type viewSteps struct {
	Title string
	Rows  [][]string
}

// key is one entry of a legend.
type key struct{ Style, Label string }

func newView(set *settings, r results) *view {
	runs := r.list()
	v := &view{Setup: set.describe(), Runs: runs, Rows: rows(runs), StepHead: stepHead()}
	total := set.shape.total()
	var overloads [][2]time.Duration
	for i, p := range set.shape {
		if p.ratio > 1 {
			overloads = append(overloads, [2]time.Duration{set.shape.start(i), set.shape.start(i) + p.long})
		}
	}
	base := chart{wide: 920, high: 250, long: total, shade: overloads}

	load := base
	load.high, load.shade, load.steps, load.name = 120, nil, set.shape, "offered load"
	load.top = set.shape[set.shape.overload()].ratio * 1.3
	load.ticks, load.unit = []float64{0, 1}, func(v float64) string { return fmt.Sprintf("%g×", v) }
	v.Load = load.svg()

	goodput := base
	goodput.name = "goodput as share of capacity over time"
	goodput.top, goodput.ticks, goodput.unit = 1.15, []float64{0, .25, .5, .75, 1}, share100
	one := 1.0
	goodput.line, goodput.lineName = &one, "capacity"
	latency := base
	latency.name = "99th percentile of the latency of answered requests over time"
	deadline := float64(set.deadline) / float64(time.Millisecond)
	latency.top, latency.line, latency.lineName = deadline*1.12, &deadline, "deadline"
	latency.ticks = niceTicks(deadline)
	latency.unit = func(v float64) string { return fmt.Sprintf("%.0f ms", v) }

	for _, run := range runs {
		m := run.figures.run
		moments := m.timeline()
		g := curve{style: m.name, label: run.Title}
		l := curve{style: m.name, label: run.Title}
		classes, byTenant := base, base
		classes.wide, classes.high, classes.top = 450, 220, 1.06
		classes.ticks, classes.unit = []float64{0, .5, 1}, share100
		byTenant.wide, byTenant.high, byTenant.top = classes.wide, classes.high, classes.top
		byTenant.ticks, byTenant.unit = classes.ticks, share100
		classes.name, byTenant.name = "success by class over time, "+run.Title, "success by tenant over time, "+run.Title
		// The most important curve is drawn last, above the others.
		for i := handrail.Priorities - 1; i >= 0; i-- {
			c := curve{style: className(i), label: className(i)}
			for _, t := range moments {
				c.points = append(c.points, point{t.at, t.byClass[i]})
			}
			classes.curves = append(classes.curves, c)
		}
		for i, name := range tenants {
			c := curve{style: tenantStyle(i), label: name}
			for _, t := range moments {
				c.points = append(c.points, point{t.at, t.byTenant[i]})
			}
			byTenant.curves = append(byTenant.curves, c)
		}
		for _, t := range moments {
			g.points = append(g.points, point{t.at, &t.goodput})
			goodput.top = max(goodput.top, min(1.5, 1.05*t.goodput))
			l.points = append(l.points, point{t.at, t.p99})
		}
		goodput.curves = append(goodput.curves, g)
		latency.curves = append(latency.curves, l)
		v.RunKey = append(v.RunKey, key{m.name, run.Title})
		v.Classes = append(v.Classes, viewChart{run.Title, classes.svg()})
		v.Tenants = append(v.Tenants, viewChart{run.Title, byTenant.svg()})
		if len(run.figures.Phases) > 3 {
			v.Steps = append(v.Steps, viewSteps{run.Title, stepRows(run.figures)})
		}
	}
	v.Goodput, v.Latency = goodput.svg(), latency.svg()
	for i := range handrail.Priorities {
		v.ClassKey = append(v.ClassKey, key{className(i), className(i)})
	}
	v.TenKey = []key{{tenantStyle(0), fmt.Sprintf("noisy, sends %d %%", tenantShare(0))}, {tenantStyle(1), fmt.Sprintf("quiet, %d of them, %d %% each", len(tenants)-1, tenantShare(1))}}
	var notes strings.Builder
	r.warn(&notes)
	for line := range strings.Lines(notes.String()) {
		v.Notes = append(v.Notes, strings.TrimPrefix(strings.TrimSpace(line), "overload: "))
	}
	for _, run := range runs {
		if run.figures.Interrupted {
			v.Notes = append(v.Notes, fmt.Sprintf("the %s run was interrupted; its figures are of the time before.", run.figures.run.name))
		}
	}
	return v
}

func tenantStyle(i int) string {
	if i == 0 {
		return "noisy"
	}
	return "quiet"
}

func share100(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }

// niceTicks are up to five round values below top, and 0.
func niceTicks(top float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for _, f := range []float64{.1, .2, .25, .5, 1} {
		if top/(step*f) <= 5 {
			step *= f
			break
		}
	}
	var all []float64
	for v := 0.0; v <= top*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// describe says in a sentence what was tried.
func (set *settings) describe() string {
	var service string
	arrivals := "random"
	if set.even {
		arrivals = "even"
	}
	switch set.service {
	case "cpu":
		service = fmt.Sprintf("A handler that burns %v of CPU, GOMAXPROCS %d", set.work, set.procs)
	case "target":
		service = "The service at " + set.target
	default:
		service = fmt.Sprintf("A pool of %d workers with a mean service time of %v", set.workers, set.work)
	}
	protocol := "over HTTP/1.1"
	if set.http2 {
		protocol = "over HTTP/2"
	}
	if set.sim {
		protocol = "simulated in virtual time"
	}
	return fmt.Sprintf("%s, %s, %s arrivals; clients wait %v. Offered: %s.", service, protocol, arrivals, set.deadline, set.shape.describe())
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Overload, bare and with shed</title>
<style>
:root {
  --paper: #fdfdfc; --ink: #1d2126; --faint: #626a73; --grid: #e3e5e8; --axis: #8b929a; --shade: #f4efe4; --load: #c9ced5;
  --bare: #c2410c; --shed: #0b5cad;
  --critical: #7a1fa2; --high: #0b5cad; --normal: #0f8a7e; --low: #b07d00; --background: #8b929a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e8eaed; --faint: #a0a7af; --grid: #2b3036; --axis: #6c747d; --shade: #221f18; --load: #4a525b;
    --bare: #fb8a4c; --shed: #66b2ff;
    --critical: #d79bf0; --high: #66b2ff; --normal: #4fd1c1; --low: #e6b93c; --background: #8b929a;
  }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 32px 0 2px; }
h3 { font-size: 14px; margin: 0; font-weight: 600; color: var(--faint); }
p { margin: 0 0 8px; color: var(--faint); }
.note { color: var(--bare); }
svg { display: block; width: 100%; height: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 12px 20px; margin-top: 8px; }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); } .shade { fill: var(--shade); }
.tick { fill: var(--faint); font-size: 12px; } .mark { fill: var(--ink); font-size: 12px; font-weight: 600; }
.level { stroke: var(--axis); stroke-dasharray: 5 4; } .load { fill: var(--load); }
.curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.tip { fill: transparent; } .tip:hover { fill: var(--axis); fill-opacity: .25; }
.bare { stroke: var(--bare); } .shed { stroke: var(--shed); }
.critical { stroke: var(--critical); } .high { stroke: var(--high); } .normal { stroke: var(--normal); } .low { stroke: var(--low); } .background { stroke: var(--background); }
.noisy { stroke: var(--bare); } .quiet { stroke: var(--shed); stroke-width: 1.5; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 4px 0; padding: 0; list-style: none; font-size: 14px; }
.keys svg { display: inline-block; width: 22px; height: 10px; margin-right: 6px; vertical-align: middle; }
.wide { overflow-x: auto; } .wide svg { min-width: 640px; }
table { border-collapse: collapse; margin: 14px 0 0; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 0 3px 18px; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; font-weight: 400; }
th:first-child { padding-left: 0; text-align: left; } thead th { font-weight: 600; } .part th:first-child { padding-left: 18px; color: var(--faint); }
</style>
</head>
<body>
<main>
<h1>What an overload does to a service</h1>
<p>{{.Setup}}</p>
{{range .Notes}}<p class="note">{{.}}</p>
{{end}}
<div class="wide"><table>
<thead><tr><th></th>{{range .Runs}}<th>{{.Title}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr{{if .Part}} class="part"{{end}}><th>{{.Label}}</th>{{range .Cells}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table></div>

<h2>Load offered</h2>
<p>As a multiple of what the service can serve. Where it is above that, the curves below are shaded.</p>
<div class="wide">{{.Load}}</div>
<h2>Goodput</h2>
<p>Requests answered within their deadline, as a share of capacity, at the time when they were due.</p>
{{template "keys" .RunKey}}<div class="wide">{{.Goodput}}</div>
<h2>Latency</h2>
<p>99th percentile of the requests that were answered within their deadline. Where a curve is missing, none was.</p>
{{template "keys" .RunKey}}<div class="wide">{{.Latency}}</div>
<h2>Success by class</h2>
<p>Share of the requests of each class that were answered within their deadline.</p>
{{template "keys" .ClassKey}}<div class="pair">{{range .Classes}}<div><h3>{{.Title}}</h3>{{.SVG}}</div>{{end}}</div>
<h2>Success by tenant</h2>
<p>All tenants send the same mix of classes.</p>
{{template "keys" .TenKey}}<div class="pair">{{range .Tenants}}<div><h3>{{.Title}}</h3>{{.SVG}}</div>{{end}}</div>
{{range .Steps}}
<h2>Step by step, {{.Title}}</h2>
<div class="wide"><table>
<thead><tr>{{range $.StepHead}}<th>{{.}}</th>{{end}}</tr></thead>
<tbody>{{range .Rows}}<tr>{{range $i, $c := .}}{{if $i}}<td>{{$c}}</td>{{else}}<th>{{$c}}</th>{{end}}{{end}}</tr>
{{end}}</tbody>
</table></div>
{{end}}
</main>
</body>
</html>
{{define "keys"}}<ul class="keys">{{range .}}<li><svg viewBox="0 0 22 10" aria-hidden="true"><path class="curve {{.Style}}" d="M1 5h20"/></svg>{{.Label}}</li>{{end}}</ul>
{{end}}`))
