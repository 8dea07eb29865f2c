package main

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"
)

// point is a value at a time; nil is a gap in the curve.
type point struct {
	at time.Duration
	y  *float64
}

// curve is one line of a chart. Its style is a CSS class of the page.
type curve struct {
	style, label string
	points       []point
}

// chart is a time series drawn as an inline SVG that takes its colours from
// the page.
type chart struct {
	wide, high float64
	long       time.Duration // of the x axis
	top        float64       // of the y axis, which begins at 0
	ticks      []float64     // of the y axis
	unit       func(float64) string
	shade      [][2]time.Duration // where the service is overloaded
	line       *float64           // a dashed level, with its name
	lineName   string
	steps      []phase // drawn as an area
	curves     []curve
	name       string // for those who cannot see it
}

const (
	marginLeft, marginRight = 52, 14
	marginTop, marginBottom = 10, 26
)

func (c *chart) x(t time.Duration) float64 {
	return marginLeft + (c.wide-marginLeft-marginRight)*t.Seconds()/c.long.Seconds()
}

func (c *chart) y(v float64) float64 {
	v = math.Max(0, math.Min(v, c.top))
	return marginTop + (c.high-marginTop-marginBottom)*(1-v/c.top)
}

func (c *chart) svg() template.HTML {
	var b strings.Builder
	left, right, top, bottom := c.x(0), c.x(c.long), c.y(c.top), c.y(0)
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, c.wide, c.high, html.EscapeString(c.name))
	for _, s := range c.shade {
		fmt.Fprintf(&b, `<rect class="shade" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, c.x(s[0]), top, c.x(s[1])-c.x(s[0]), bottom-top)
	}
	for _, v := range c.ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left, right, c.y(v), c.y(v))
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, left-7, c.y(v)+4, html.EscapeString(c.unit(v)))
	}
	every := tickEvery(c.long, (right-left)/60)
	for t := time.Duration(0); t <= c.long; t += every {
		fmt.Fprintf(&b, `<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, c.x(t), c.x(t), bottom, bottom+4)
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%g s</text>`, c.x(t), bottom+18, t.Seconds())
	}
	fmt.Fprintf(&b, `<line class="axis" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left, right, bottom, bottom)
	if len(c.steps) > 0 {
		fmt.Fprintf(&b, `<path class="load" d="M%.1f %.1f`, left, bottom)
		var t time.Duration
		for _, p := range c.steps {
			fmt.Fprintf(&b, `L%.1f %.1fL%.1f %.1f`, c.x(t), c.y(p.ratio), c.x(t+p.long), c.y(p.ratio))
			t += p.long
		}
		fmt.Fprintf(&b, `L%.1f %.1fZ"/>`, c.x(t), bottom)
		t = 0
		for _, p := range c.steps {
			if c.x(p.long)-left > 26 {
				fmt.Fprintf(&b, `<text class="mark" x="%.1f" y="%.1f" text-anchor="middle">%g×</text>`, c.x(t+p.long/2), math.Max(c.y(p.ratio)-5, top+12), p.ratio)
			}
			t += p.long
		}
	}
	if c.line != nil {
		fmt.Fprintf(&b, `<line class="level" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left, right, c.y(*c.line), c.y(*c.line))
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, right, c.y(*c.line)-5, html.EscapeString(c.lineName))
	}
	for _, v := range c.curves {
		fmt.Fprintf(&b, `<path class="curve %s" d="%s"/>`, v.style, c.path(v.points))
	}
	c.tips(&b, top, bottom)
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// path joins neighbours and leaves gaps open; a point between two gaps is a
// dot, which a round cap draws for a line without length.
func (c *chart) path(points []point) string {
	var b strings.Builder
	up := true
	for i, p := range points {
		if p.y == nil {
			up = true
			continue
		}
		x, y := c.x(p.at), c.y(*p.y)
		if up {
			fmt.Fprintf(&b, "M%.1f %.1f", x, y)
			if i+1 == len(points) || points[i+1].y == nil {
				b.WriteString("h0")
			}
		} else {
			fmt.Fprintf(&b, "L%.1f %.1f", x, y)
		}
		up = false
	}
	return b.String()
}

// tips are what hovering shows: the values of all curves at that time.
func (c *chart) tips(b *strings.Builder, top, bottom float64) {
	var longest []point
	for _, v := range c.curves {
		if len(v.points) > len(longest) {
			longest = v.points
		}
	}
	if len(longest) < 2 {
		return
	}
	step := longest[1].at - longest[0].at
	for i, p := range longest {
		fmt.Fprintf(b, `<rect class="tip" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%.1f s`, c.x(p.at-step/2), top, c.x(step)-c.x(0), bottom-top, p.at.Seconds())
		for _, v := range c.curves {
			if i < len(v.points) {
				value := absent
				if y := v.points[i].y; y != nil {
					value = c.unit(*y)
				}
				fmt.Fprintf(b, "\n%s: %s", html.EscapeString(v.label), html.EscapeString(value))
			}
		}
		b.WriteString(`</title></rect>`)
	}
}

// tickEvery is a round distance that leaves at most so many ticks.
func tickEvery(long time.Duration, most float64) time.Duration {
	for unit := 100 * time.Millisecond; ; unit *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			if long.Seconds()/(n*unit).Seconds() <= most {
				return n * unit
			}
		}
	}
}
