package health

import (
	"strconv"
	"strings"
)

// format is how an answer is written.
type format uint8

const (
	plain format = iota
	healthJSON
	bareJSON // the same, under the name application/json

	formats
)

// maxAccept is how much of an Accept field is read.
const maxAccept = 1 << 10

// accepted says which format the Accept fields of a request prefer (RFC 9110,
// section 12.5.1). Plain text is what a probe without preference gets, and what
// the most specific range that it is in says of it counts; JSON has to be named,
// and is then preferred where the weights are equal.
func accepted(fields []string) format {
	var q [formats]float64
	var text float64
	specific := 0 // the parts of a range that text was weighed by
	for _, field := range fields {
		if len(field) > maxAccept {
			field = field[:maxAccept]
		}
		for field != "" {
			var part string
			part, field, _ = strings.Cut(field, ",")
			kind, parameters, _ := strings.Cut(part, ";")
			kind = strings.TrimSpace(kind)
			switch {
			case strings.EqualFold(kind, "application/health+json"):
				q[healthJSON] = max(q[healthJSON], weight(parameters))
			case strings.EqualFold(kind, "application/json"):
				q[bareJSON] = max(q[bareJSON], weight(parameters))
			case strings.EqualFold(kind, "text/plain"):
				text, specific = weight(parameters), 2
			case specific < 2 && strings.EqualFold(kind, "text/*"):
				text, specific = weight(parameters), 1
			case specific < 1 && kind == "*/*":
				text = weight(parameters)
			}
		}
	}
	switch {
	case q[healthJSON] > 0 && q[healthJSON] >= max(text, q[bareJSON]):
		return healthJSON
	case q[bareJSON] > 0 && q[bareJSON] >= text:
		return bareJSON
	}
	return plain
}

// weight is the q of a media range, 1 where it has none, 0 where that is wrong.
func weight(parameters string) float64 {
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
