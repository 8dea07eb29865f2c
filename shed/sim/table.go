package sim

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/handrail-go/handrail"
)

// String is a table: a line for each phase and the total, with the rates a
// second, what became of the requests, latencies of those that reached the
// handler, and the success of each class; and below it the tenants, if there
// are any, over the total.
func (r *Result) String() string {
	var b strings.Builder
	if r.Name != "" {
		fmt.Fprintf(&b, "%s, ", r.Name)
	}
	if math.IsInf(r.Capacity, 1) {
		b.WriteString("unbounded capacity")
	} else {
		fmt.Fprintf(&b, "capacity %.4g/s", r.Capacity)
	}
	fmt.Fprintf(&b, ", seed %d\n", r.Seed)

	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "phase\tfrom\toffered/s\tuseful/s\tgoodput\tshed\twasted\tp50\tp99\t")
	for rank := range handrail.Priorities {
		fmt.Fprintf(w, "%v\t", handrail.PriorityOfRank(rank))
	}
	fmt.Fprintln(w)
	rows := r.Phases
	if len(rows) != 1 || rows[0].From != r.Total.From {
		rows = append(rows[:len(rows):len(rows)], r.Total)
	}
	for _, s := range rows {
		seconds := (s.To - s.From).Seconds()
		fmt.Fprintf(w, "%s\t%v\t%.4g\t%.4g\t%.3f\t%s\t%s\t%s\t%s\t", s.Name, s.From,
			float64(s.Offered)/seconds, float64(s.Useful)/seconds, s.Goodput(),
			percent(s.Shed()), percent(s.Waste()), rough(s.P50), rough(s.P99))
		for _, c := range s.Classes {
			fmt.Fprintf(w, "%s\t", success(c))
		}
		fmt.Fprintln(w)
	}
	w.Flush()

	if len(r.Total.Tenants) > 0 {
		b.WriteByte('\n')
		fair := r.Total.Fair()
		seconds := (r.Total.To - r.Total.From).Seconds()
		fmt.Fprint(w, "tenant\toffered/s\tshed\tp99\tsuccess\tfair\t\n")
		for i, t := range r.Total.Tenants {
			fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%.3f\t\n", t.Name, float64(t.Offered)/seconds,
				percent(t.Shed()), rough(t.P99), success(t.Count), fair[i])
		}
		w.Flush()
	}
	return b.String()
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func success(c Count) string {
	if c.Calls == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", c.Success())
}

// rough keeps three digits.
func rough(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
