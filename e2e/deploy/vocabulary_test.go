package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// vocabulary is what a Prometheus server knows after a scrape: the names of the
// series, and for each its labels with the values they have had.
type vocabulary map[string]map[string]map[string]bool

// target are the labels that the server itself puts on what it scrapes.
var target = []string{"job", "instance"}

func (v vocabulary) add(name string, labels map[string]string) {
	known := v[name]
	if known == nil {
		known = map[string]map[string]bool{}
		v[name] = known
		for _, l := range target {
			known[l] = map[string]bool{}
		}
	}
	for l, value := range labels {
		if known[l] == nil {
			known[l] = map[string]bool{}
		}
		known[l][value] = true
	}
}

// labels are those of a series, sorted.
func (v vocabulary) labels(name string) []string { return slices.Sorted(maps.Keys(v[name])) }

// spoken is the vocabulary of a registry: classic and native histograms, and
// what the server adds.
func (s *stack) spoken(t *testing.T) vocabulary {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary{}
	v.add("up", nil)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			with := func(name, value string) map[string]string {
				more := maps.Clone(labels)
				more[name] = value
				return more
			}
			name := f.GetName()
			switch f.GetType() {
			case dto.MetricType_HISTOGRAM:
				v.add(name+"_count", labels)
				v.add(name+"_sum", labels)
				for range m.GetHistogram().GetBucket() {
					v.add(name+"_bucket", with("le", ""))
				}
				if m.GetHistogram().Schema != nil {
					v.add(name, labels)
				}
			case dto.MetricType_SUMMARY:
				v.add(name+"_count", labels)
				v.add(name+"_sum", labels)
				for _, q := range m.GetSummary().GetQuantile() {
					text := trim(q.GetQuantile())
					v.add(name, with("quantile", text))
					if !strings.Contains(text, ".") { // as OpenMetrics writes it
						v.add(name, with("quantile", text+".0"))
					}
				}
			default:
				v.add(name, labels)
			}
		}
	}
	return v
}

// nearest helps to find what a name may have become.
func (v vocabulary) nearest(name string) []string {
	head, _, _ := strings.Cut(strings.TrimPrefix(name, "handrail_"), "_")
	var out []string
	for n := range v {
		if strings.Contains(n, head) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
