package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// command is what makes the page.
const command = "go -C bench run . -write ../docs/performance.md"

// page is all that was measured, as docs/performance.md shows it.
type page struct {
	began       time.Time
	took        time.Duration
	effort      effort
	machine     machine
	whole       bool
	comparisons []comparison
	loopback    *loopback
	curves      []curve
}

func (p *page) print(w io.Writer) {
	p.head(w)
	p.summary(w)
	for _, c := range p.comparisons {
		c.print(w)
	}
	if p.loopback != nil {
		p.loopback.print(w)
	}
	printCurves(w, p.curves)
}

func (p *page) head(w io.Writer) {
	fmt.Fprintf(w, "# Performance\n\n")
	fmt.Fprintf(w, "Written by `%s` on %s, in %s. Don't edit it: every figure is measured, and the verdicts follow from the figures. What is said in brackets of where time goes comes from profiles of other runs.\n\n", command, p.began.UTC().Format("2 January 2006"), p.took.Round(time.Second))
	if !p.whole {
		fmt.Fprintf(w, "**This is a part, or measured in a hurry: good to see that everything works, and for nothing else.**\n\n")
	}
	m := p.machine
	fmt.Fprintf(w, "Machine: %s, %s, %d processors", m.goVersion, m.system, m.processors)
	if m.model != "" {
		fmt.Fprintf(w, " (%s)", m.model)
	}
	fmt.Fprintf(w, ".\n\n")
	fmt.Fprintf(w, "Peers: %s.\n\n", strings.Join(m.peers, ", "))
	fmt.Fprintf(w, "Not measured, because the module proxy does not serve them: %s.\n\n", strings.Join(absent, ", "))
	if len(p.comparisons) == 0 {
		return
	}
	fmt.Fprintf(w, `## How to read the tables

Times are µs of one request over the bare handler, which does nothing unless the
table says otherwise. The rounds are interleaved: in each of the %d, every row is
measured once in each way for about %v, in an order that changes, after a garbage
collection; what is subtracted is the bare handler of the same round. The figure
is the median of the rounds, and in brackets are the quartiles.

- *reused*: one request and one writer, again and again, on one goroutine. The
  budgets are about this.
- *fresh*: a new request, header, context and writer each time, as from a
  server, on one goroutine. Making them is part of the bare handler.
- *parallel*: the same on all processors at once, as time through requests.
- *allocations* and *bytes* are exact, for a reused request, and for a fresh one
  where that differs.
- *ratio* is the cost of a reused request through ours.

The process holds %d MiB, as a service does, so that garbage is collected as seldom
as there, and keeps what was freed (`+"`GODEBUG="+keepMemory+"`"+`), so that no row pays for
the page faults of another.

Nobody's row is left out because it is cheap. Where a row does less, the table
says what it leaves out.

`, p.effort.rounds, p.effort.sample, held)
	var noise []float64
	for _, c := range p.comparisons {
		noise = append(noise, c.noise[reused].median)
	}
	n := spreadOf(noise)
	fmt.Fprintf(w, "Noise: the bare handler is measured twice in each round. Over the tables below, the two rows of a reused request were %s µs apart in the middle, at most %s µs. What differs by less says nothing.\n\n", figure(n.median), figure(slices.Max(noise)))
}

// summary is the verdict of the whole page.
func (p *page) summary(w io.Writer) {
	if len(p.comparisons) == 0 {
		return
	}
	fmt.Fprintf(w, "## In short\n\n| what | ours µs | nearest that does as much | ratio | allocations | budgets | cheaper ones |\n|---|---:|---|---:|---:|---|---|\n")
	for _, c := range p.comparisons {
		v := c.verdict()
		first := c.results[0]
		nearest, ratio := "–", "–"
		for _, r := range sorted(c.results[1:]) {
			if !isOurs(r.name) && !r.less {
				nearest, ratio = fmt.Sprintf("%s %s", r.name, figure(r.over[reused].median)), times(r, first)
				break
			}
		}
		budgets := "met"
		if len(v.missed) > 0 {
			budgets = "**not met**"
		} else if len(c.budgets) == 0 {
			budgets = "–"
		}
		cheaper := "none"
		if len(v.beaten) > 0 {
			cheaper = fmt.Sprintf("**%d**", len(v.beaten))
		}
		if n := len(v.smaller); n > 0 {
			cheaper += fmt.Sprintf(", and %d that do less", n)
		}
		fmt.Fprintf(w, "| [%s](#%s) | %s | %s | %s | %s | %s | %s |\n", c.title, anchor(c.title), figure(first.over[reused].median), nearest, ratio, count(first.allocs[0]), budgets, cheaper)
	}
	fmt.Fprintln(w)
}

func (c comparison) print(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n%s\n\n", c.title, c.about)
	v := c.verdict()
	fmt.Fprintf(w, "**Verdict.** %s\n\n", v)
	fmt.Fprintf(w, "| | reused | fresh | parallel reused | parallel fresh | ratio | allocations | bytes | leaves out |\n|---|---:|---:|---:|---:|---:|---:|---:|---|\n")
	first := c.results[0]
	rows := append([]result{first}, sorted(c.results[1:])...)
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |", r.name)
		for _, s := range r.over {
			fmt.Fprintf(w, " %s (%s–%s) |", figure(s.median), figure(s.low), figure(s.high))
		}
		fmt.Fprintf(w, " %s | %s | %s | %s |\n", times(r, first), both(r.allocs), both(r.bytes), r.without)
	}
	fmt.Fprintf(w, "\nThe bare handler takes %s, %s, %s and %s µs; its two rows were %s, %s, %s and %s µs apart.\n\n",
		figure(c.bare[0].median), figure(c.bare[1].median), figure(c.bare[2].median), figure(c.bare[3].median),
		figure(c.noise[0].median), figure(c.noise[1].median), figure(c.noise[2].median), figure(c.noise[3].median))
}

// sorted has our rows first, then the cheapest.
func sorted(results []result) []result {
	s := slices.Clone(results)
	slices.SortStableFunc(s, func(a, b result) int {
		if isOurs(a.name) != isOurs(b.name) {
			if isOurs(a.name) {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.over[reused].median, b.over[reused].median)
	})
	return s
}

func times(r, first result) string {
	if first.over[reused].median <= 0 || r.over[reused].median <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", r.over[reused].median/first.over[reused].median)
}

func both(n [2]float64) string {
	if n[0] == n[1] {
		return count(n[0])
	}
	return count(n[0]) + ", " + count(n[1])
}

func (v verdict) String() string {
	var s []string
	if len(v.missed) > 0 {
		s = append(s, "Not within budget: "+strings.Join(v.missed, "; ")+".")
	}
	if len(v.met) > 0 {
		s = append(s, "Within budget: "+strings.Join(v.met, "; ")+".")
	}
	if len(v.beaten) > 0 {
		s = append(s, "Cheaper than ours: "+strings.Join(v.beaten, "; ")+".")
	} else {
		s = append(s, "No peer that does as much is cheaper.")
	}
	if len(v.smaller) > 0 {
		s = append(s, "Cheaper because they do less: "+strings.Join(v.smaller, "; ")+".")
	}
	return strings.Join(s, " ")
}

// anchor is the name that a heading has in the page.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r == ' ':
			return '-'
		}
		return -1
	}, title)
}
