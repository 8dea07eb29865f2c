package live

import (
	"strings"

	"github.com/handrail-go/handrail"
)

// reading is one metric of one source.
type reading struct {
	source int
	handrail.Metric
}

// maxReadings bounds what one collection may tell, over all sources.
const maxReadings = 20_000

// collect asks all sources. What a source tells before it panics is kept.
func collect(sources []handrail.Source) (all []reading, panics int) {
	for i, s := range sources {
		if !collectOne(i, s, &all) {
			panics++
		}
	}
	return all, panics
}

func collectOne(i int, s handrail.Source, all *[]reading) (returned bool) {
	defer func() {
		if !returned {
			_ = recover()
		}
	}()
	s.Collect(func(m handrail.Metric) {
		if len(*all) < maxReadings {
			*all = append(*all, reading{i, m})
		}
	})
	return true
}

// key tells the metrics of one collection apart.
func (r *reading) key() string {
	var b strings.Builder
	b.WriteByte(byte(r.source))
	b.WriteByte(byte(r.source >> 8))
	b.WriteString(r.Name)
	for _, l := range r.Labels {
		b.WriteByte(0)
		b.WriteString(l.Name)
		b.WriteByte(0)
		b.WriteString(l.Value)
	}
	return b.String()
}

// label is the value of a label, "" where there is none of that name.
func (r *reading) label(name string) string {
	for _, l := range r.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
