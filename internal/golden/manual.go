package golden

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/handrail-go/handrail"
)

// Manual fails the test at every metric of the sources that the manual of the
// package, the section "Metrics" of its doc.go, does not list by name, kind and
// labels, and at every one that it lists and they do not tell. So they have to
// be in a state in which they tell all they ever do.
func Manual(t *testing.T, sources ...handrail.Source) {
	t.Helper()
	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range undocumented(string(manual), sources...) {
		t.Error(fault)
	}
}

// undocumented says how the lists differ. A line of the manual is an indented
// one: "handrail_shed_refused_requests_total counter name, priority, reason".
func undocumented(manual string, sources ...handrail.Source) (faults []string) {
	told := map[string]string{}
	for _, s := range sources {
		s.Collect(func(m handrail.Metric) {
			var labels []string
			for _, l := range m.Labels {
				labels = append(labels, l.Name)
			}
			told[m.Name] = fmt.Sprint(m.Kind, " ", strings.Join(labels, ", "))
		})
	}
	listed := map[string]string{}
	_, section, found := strings.Cut(manual, "\n// # Metrics\n")
	if !found {
		return []string{"doc.go has no section Metrics"}
	}
	section, _, _ = strings.Cut(section, "\n// # ")
	for line := range strings.Lines(section) {
		line, indented := strings.CutPrefix(line, "//\t")
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); indented && ok {
			if listed[name] != "" {
				faults = append(faults, fmt.Sprintf("doc.go lists %s twice", name))
			}
			listed[name] = strings.Join(strings.Fields(rest), " ")
		}
	}
	for name, is := range told {
		if listed[name] != is {
			faults = append(faults, fmt.Sprintf("%s is a %s, in doc.go %q", name, is, listed[name]))
		}
	}
	for name := range listed {
		if told[name] == "" {
			faults = append(faults, fmt.Sprintf("doc.go lists %s, which nobody tells", name))
		}
	}
	slices.Sort(faults)
	return faults
}
