package cloudwatch

import (
	"slices"
	"strconv"
	"time"
)

// aggregates writes the figures of every label set that had requests.
func (m *Metrics) aggregates(at time.Time, last bool, keep func(error)) {
	buf := getBuffer()
	defer putBuffer(buf)
	var scratch []time.Duration
	for _, s := range m.series.all(last) {
		f := s.take(scratch, last)
		scratch = f.durations
		if f.requests == 0 {
			continue
		}
		first := true
		for values := range slices.Chunk(f.durations, MaxValues) {
			keep(m.aggregate(buf, s, at, f, values, first))
			first = false
		}
		if first {
			keep(m.aggregate(buf, s, at, f, nil, true))
		}
	}
}

// aggregate writes one line of a label set. The first one has its counts.
func (m *Metrics) aggregate(buf *[]byte, s *series, at time.Time, f figures, durations []time.Duration, first bool) error {
	b := appendTimestamp((*buf)[:1], at)
	switch {
	case !first:
		b = append(b, m.layout.durations...)
	case len(durations) == 0:
		b = append(b, m.layout.counts...)
	default:
		b = append(b, m.layout.everything...)
	}
	b = append(b, s.fields...)
	if first {
		b = strconv.AppendUint(append(b, `"http.server.requests":`...), f.requests, 10)
		b = strconv.AppendUint(append(b, `,"http.server.errors":`...), f.errors, 10)
		b = append(b, ',')
	}
	if len(durations) > 0 {
		b = append(b, `"http.server.request.duration":[`...)
		for i, d := range durations {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendSeconds(b, d)
		}
		b = append(b, ']', ',')
	}
	b[len(b)-1] = '}'
	b = append(b, '\n')
	*buf = b
	// No option allows of so much, but a line must never be too long.
	if len(b)-1 > MaxLine {
		m.dropped.add(DropSize)
		return nil
	}
	return m.out.write(b)
}
