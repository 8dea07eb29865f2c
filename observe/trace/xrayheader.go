package trace

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

const (
	maxHeader  = 1024 // bytes of one header
	maxHeaders = 8    // of one request
	maxLineage = 128
)

// header is what an X-Amzn-Trace-Id says.
type header struct {
	root     trace.TraceID
	parent   trace.SpanID // zero without one
	decision decision
}

// decision is what the caller says about sampling.
type decision uint8

const (
	open decision = iota
	no
	yes
)

// parse reads the first of the values in s, which a proxy may have joined, that
// has a valid Root.
func parse(s string) (h header, ok bool) {
	if len(s) > maxHeader {
		return header{}, false
	}
	for more := s != ""; more; {
		var one string
		one, s, more = strings.Cut(s, ",")
		if h, ok := parseOne(one); ok {
			return h, true
		}
	}
	return header{}, false
}

// parseOne reads a list of fields. Of a field that comes twice the first counts.
func parseOne(s string) (h header, ok bool) {
	var parent, sampled bool
	for more := true; more; {
		var field string
		field, s, more = strings.Cut(s, ";")
		key, value, found := strings.Cut(field, "=")
		if !found {
			continue
		}
		key, value = trim(key), trim(value)
		switch {
		case len(key) == 4 && strings.EqualFold(key, "root") && !ok:
			if h.root, ok = parseRoot(value); !ok {
				return header{}, false
			}
		case len(key) == 6 && strings.EqualFold(key, "parent") && !parent:
			parent = true
			if len(value) != 2*len(h.parent) || !unhex(h.parent[:], value) {
				h.parent = trace.SpanID{}
			}
		case len(key) == 7 && strings.EqualFold(key, "sampled") && !sampled:
			sampled = true
			switch value {
			case "1":
				h.decision = yes
			case "0":
				h.decision = no
			}
		}
	}
	return h, ok
}

// parseRoot reads a version, eight digits that X-Ray takes for the seconds of
// the trace's begin, and 24 more.
func parseRoot(s string) (id trace.TraceID, ok bool) {
	if len(s) != len("1-5759e988-bd862e3fe1be46a994272793") || s[0] != '1' || s[1] != '-' || s[10] != '-' {
		return id, false
	}
	ok = unhex(id[:4], s[2:10]) && unhex(id[4:], s[11:])
	return id, ok && id.IsValid()
}

// unhex decodes digits in either case.
func unhex(to []byte, s string) bool {
	for i := range to {
		a, b := digit(s[2*i]), digit(s[2*i+1])
		if a > 15 || b > 15 {
			return false
		}
		to[i] = a<<4 | b
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func trim(s string) string { return strings.Trim(s, " \t") }

// lineage is the field of that name, "" where there is none or it is not made
// of what AWS makes it of.
func lineage(s string) string {
	if len(s) > maxHeader {
		return ""
	}
	for more := s != ""; more; {
		var field string
		field, s, more = strings.Cut(s, ";")
		key, value, _ := strings.Cut(field, "=")
		if strings.EqualFold(trim(key), "lineage") {
			if value = trim(value); len(value) <= maxLineage && strings.Trim(value, "0123456789abcdefABCDEF:|") == "" {
				return value
			}
			return ""
		}
	}
	return ""
}

// format is the header in the form that AWS documents.
func (h header) format(lineage string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 96)
	hex := func(id []byte) {
		for _, c := range id {
			b = append(b, digits[c>>4], digits[c&15])
		}
	}
	b = append(b, "Root=1-"...)
	hex(h.root[:4])
	b = append(b, '-')
	hex(h.root[4:])
	if h.parent.IsValid() {
		b = append(b, ";Parent="...)
		hex(h.parent[:])
	}
	switch {
	case h.decision == yes:
		b = append(b, ";Sampled=1"...)
	case h.decision == no:
		b = append(b, ";Sampled=0"...)
	case h.parent.IsValid():
		b = append(b, ";Sampled=?"...)
	}
	if lineage != "" {
		b = append(b, ";Lineage="...)
		b = append(b, lineage...)
	}
	return string(b)
}
