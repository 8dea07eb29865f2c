package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/handrail-go/handrail"
)

// titled is one run with the name that a reader sees.
type titled struct {
	Title   string
	figures *figures
}

func (r results) list() []titled {
	var runs []titled
	if r.Bare != nil {
		runs = append(runs, titled{"bare", r.Bare})
	}
	if r.Shed != nil {
		runs = append(runs, titled{"with shed", r.Shed})
	}
	return runs
}

// rows are the figures side by side.
func rows(runs []titled) []viewRow {
	var all []viewRow
	add := func(part bool, label string, cell func(*figures) string) {
		row := viewRow{Label: label, Part: part}
		for _, run := range runs {
			row.Cells = append(row.Cells, cell(run.figures))
		}
		all = append(all, row)
	}
	empty := func(*figures) string { return "" }
	add(false, "capacity", func(f *figures) string { return fmt.Sprintf("%.0f/s", f.CapacityRPS) })
	add(false, "offered in the overload", func(f *figures) string { return times(f.OfferedRatio) })
	add(false, "goodput, as share of capacity", func(f *figures) string { return percent(f.GoodputRatio) })
	add(false, "p50 of answered requests", func(f *figures) string { return milliseconds(f.P50) })
	add(false, "p99 of answered requests", func(f *figures) string { return milliseconds(f.P99) })
	add(false, "success by class", empty)
	for i := range handrail.Priorities {
		add(true, className(i), func(f *figures) string { return percent(*f.ClassSuccess.rank(i)) })
	}
	add(false, "success by tenant", empty)
	for i, name := range tenants {
		add(true, fmt.Sprintf("%s, sends %d %%", name, tenantShare(i)), func(f *figures) string { return percent(f.TenantSuccess[name]) })
	}
	add(false, "back to normal after", func(f *figures) string { return recovered(f) })
	add(false, "shed while below capacity", func(f *figures) string { return percent(f.FalseShedRatio) })
	return all
}

// stepHead and stepRows are the figures of every step of one run.
func stepHead() []string {
	head := []string{"load", "goodput", "p50", "p99", "shed"}
	for i := range handrail.Priorities {
		head = append(head, className(i))
	}
	return head
}

func stepRows(f *figures) [][]string {
	var all [][]string
	for _, p := range f.Phases {
		row := []string{fmt.Sprintf("%g× for %g s", p.Ratio, p.Seconds), percent(p.GoodputRatio), milliseconds(p.P50), milliseconds(p.P99), percent(p.ShedRatio)}
		for i := range handrail.Priorities {
			row = append(row, percent(*p.ClassSuccess.rank(i)))
		}
		all = append(all, row)
	}
	return all
}

// writeTable prints the figures for a reader.
func writeTable(w io.Writer, set *settings, r results) {
	runs := r.list()
	if len(runs) == 0 {
		fmt.Fprintln(w, "Nothing was measured.")
		return
	}
	fmt.Fprintf(w, "%s\n\n", set.describe())
	head := []string{""}
	for _, run := range runs {
		head = append(head, run.Title)
	}
	table := [][]string{head}
	for _, row := range rows(runs) {
		label := row.Label
		if row.Part {
			label = "  " + label
		}
		table = append(table, append([]string{label}, row.Cells...))
	}
	align(w, table)
	for _, run := range runs {
		if len(run.figures.Phases) > 3 {
			fmt.Fprintf(w, "\n%s, step by step\n", run.Title)
			align(w, append([][]string{stepHead()}, stepRows(run.figures)...))
		}
	}
	for _, run := range runs {
		if run.figures.Interrupted {
			fmt.Fprintf(w, "\nThe %s run was interrupted; its figures are of the time before.\n", run.figures.run.name)
		}
	}
}

// align prints the first column to the left and the others to the right.
func align(w io.Writer, table [][]string) {
	var wide []int
	for _, row := range table {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range table {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(cell + pad)
			} else {
				b.WriteString("   " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// absent stands for a figure that nothing was measured for.
const absent = "–"

func percent(v *float64) string {
	if v == nil {
		return absent
	}
	return fmt.Sprintf("%.1f %%", 100**v)
}

func milliseconds(v *float64) string {
	if v == nil {
		return absent
	}
	return fmt.Sprintf("%.0f ms", *v)
}

func times(v *float64) string {
	if v == nil {
		return absent
	}
	return fmt.Sprintf("%.2f×", *v)
}

func recovered(f *figures) string {
	switch {
	case f.RecoverSeconds != nil:
		return fmt.Sprintf("%.2f s", *f.RecoverSeconds)
	case f.observed > 0:
		return fmt.Sprintf("not in %.1f s", f.observed.Seconds())
	default:
		return absent
	}
}
