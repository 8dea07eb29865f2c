package live

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// What follows is what the page of statsviz 0.8 reads: one message that says
// what there is to draw, then one for each moment.

type configMessage struct {
	Event string     `json:"event"` // "config"
	Data  configData `json:"data"`
}

type configData struct {
	Series []plotData `json:"series"`
	Events []string   `json:"events"`
}

type plotData struct {
	Name       string     `json:"name"`
	Tags       []tag      `json:"tags"`
	Title      string     `json:"title"`
	Type       string     `json:"type"`
	UpdateFreq int        `json:"updateFreq"`
	InfoText   string     `json:"infoText"`
	Events     string     `json:"events"`
	Layout     layoutData `json:"layout"`
	Subplots   []lineData `json:"subplots"`
	Metrics    []string   `json:"metrics"` // what the search looks through
}

type layoutData struct {
	Yaxis   axisData `json:"yaxis"`
	BarMode string   `json:"barmode,omitempty"`
}

type axisData struct {
	Title      string `json:"title"`
	TickSuffix string `json:"ticksuffix"`
}

type lineData struct {
	Name    string `json:"name"`
	Unitfmt string `json:"unitfmt"`
	HoverOn string `json:"hoveron"`
	Color   string `json:"color"`
}

type pointsMessage struct {
	Event string     `json:"event"` // "metrics"
	Data  pointsData `json:"data"`
}

type pointsData struct {
	Series    map[string][]point `json:"series"`
	Timestamp int64              `json:"timestamp"` // milliseconds
}

// point is a number, or a gap. JSON has no NaN and the page puts what it gets
// into an array of numbers: there the text becomes one, and null would be 0.
type point float64

// MarshalJSON implements [json.Marshaler].
func (p point) MarshalJSON() ([]byte, error) {
	if v := float64(p); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', 6, 64), nil
	}
	return []byte(`"NaN"`), nil
}

// config tells a viewer what there is to draw.
func (b *board) config() []byte {
	m := configMessage{Event: "config", Data: configData{Series: []plotData{}, Events: []string{}}}
	for _, d := range b.plots {
		if len(d.curves) == 0 {
			continue
		}
		p := plotData{
			Name: d.name, Tags: []tag{d.tag}, Title: d.title, Type: "scatter", InfoText: d.info,
			Layout: layoutData{Yaxis: axisData{d.unit, d.suffix}},
		}
		if d.stacked {
			// Stacked lines would draw those that are 0 over the topmost.
			p.Type, p.Layout.BarMode = "bar", "stack"
		}
		for _, r := range d.rules {
			p.Metrics = append(p.Metrics, r.metric)
		}
		p.Metrics = append(p.Metrics, d.title)
		for i, name := range d.names() {
			p.Subplots = append(p.Subplots, lineData{
				Name: name, Unitfmt: "%{y:.3s}" + d.suffix, HoverOn: "points+fills", Color: d.color(i),
			})
		}
		m.Data.Series = append(m.Data.Series, p)
	}
	return encode(m)
}

// color is that of the i-th curve: what its text means, where no other curve of
// the plot has that.
func (d *drawing) color(i int) string {
	c := d.curves[i]
	for _, before := range d.curves[:i] {
		if before.text == c.text {
			return palette[i%len(palette)]
		}
	}
	if color := colors[c.text]; color != "" {
		return color
	}
	return palette[i%len(palette)]
}

// points are those of this moment for a viewer that was told of the curves in
// shape: the page fails on a value that it has no curve for.
func (b *board) points(now time.Time, known *shape) []byte {
	m := pointsMessage{Event: "metrics", Data: pointsData{Series: map[string][]point{}, Timestamp: now.UnixMilli()}}
	for i, d := range b.plots {
		if known[i] == 0 {
			continue
		}
		values := make([]point, known[i])
		for j := range values {
			values[j] = point(d.curves[j].value)
		}
		m.Data.Series[d.name] = values
	}
	return encode(m)
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing in these messages can fail
	}
	return text
}
