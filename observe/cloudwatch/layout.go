package cloudwatch

import (
	"slices"
	"strconv"
	"time"
)

// layout is what all lines about requests have in common, encoded once.
type layout struct {
	parts parts
	// After the timestamp, by what the line tells.
	everything, counts, durations []byte
}

func newLayout(set *settings) (l layout) {
	for _, dims := range set.dimensions {
		for _, name := range dims {
			l.parts.add(name)
		}
	}
	requests, errors, duration := definition{Requests, Count}, definition{Errors, Count}, definition{RequestDuration, Seconds}
	l.everything = appendDirective(nil, set, set.dimensions, requests, errors, duration)
	l.counts = appendDirective(nil, set, set.dimensions, requests, errors)
	l.durations = appendDirective(nil, set, set.dimensions, duration)
	for _, line := range []*[]byte{&l.everything, &l.counts, &l.durations} {
		for _, c := range set.all() {
			*line = appendField(*line, c.name, c.value)
		}
	}
	return l
}

// taken are the fields of lines about requests and sources, which constants must
// not have as their names.
var taken = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range slices.Concat([]string{metadata, fieldLevel, Service, Method, Route, StatusClass, StatusCode,
		ErrorType, Scheme, Requests, Errors, RequestDuration}, requestFields) {
		all[name] = true
	}
	return all
}()

// definition is what a directive says of one metric.
type definition struct {
	name string
	unit Unit
}

// appendTimestamp begins a line.
func appendTimestamp(b []byte, at time.Time) []byte {
	return strconv.AppendInt(append(b, `{"_aws":{"Timestamp":`...), at.UnixMilli(), 10)
}

// appendDirective goes on after the timestamp: what the metrics of the line are.
func appendDirective(b []byte, set *settings, dimensions [][]string, metrics ...definition) []byte {
	b = append(b, `,"CloudWatchMetrics":[{"Namespace":`...)
	b = append(appendString(b, set.namespace), `,"Dimensions":[`...)
	for i, dims := range dimensions {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		for j, name := range dims {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendString(b, name)
		}
		b = append(b, ']')
	}
	b = append(b, `],"Metrics":[`...)
	for i, m := range metrics {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"Name":`...), m.name)
		if m.unit != "" && m.unit != None {
			b = appendString(append(b, `,"Unit":`...), string(m.unit))
		}
		if set.highRes {
			b = append(b, `,"StorageResolution":1`...)
		}
		b = append(b, '}')
	}
	b = append(b, `]}]`...)
	if set.logGroup != "" {
		b = appendString(append(b, `,"LogGroupName":`...), set.logGroup)
	}
	b = append(b, `},`...)
	if set.level != "" {
		b = appendField(b, fieldLevel, set.level)
	}
	return b
}
