package trace

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// maxTraceState is more than W3C Trace Context, section 3.3.1.5, asks for at
// the least, which is 512. It is how much of a request anyone parses.
const maxTraceState = 4096

// carrier is what propagators see of a header. It knows how the usual names are
// spelt in one, which otherwise is found out for every request.
type carrier http.Header

var _ propagation.ValuesGetter = carrier(nil)

func spelt(key string) string {
	switch key {
	case "traceparent":
		return "Traceparent"
	case "tracestate":
		return "Tracestate"
	case "baggage":
		return "Baggage"
	case xrayHeader:
		return xrayHeader
	}
	return http.CanonicalHeaderKey(key)
}

// Get returns one value. A traceparent that comes twice is none: nobody can tell
// which one is right. A tracestate that comes in several lines is one list (W3C
// Trace Context, sections 3.2 and 3.3).
func (c carrier) Get(key string) string {
	values := c[spelt(key)]
	switch {
	case len(values) == 0:
		return ""
	case key == "traceparent" && len(values) > 1:
		return ""
	case key == "tracestate":
		n := 0
		for _, v := range values {
			n += len(v) + 1
		}
		if n > maxTraceState {
			return ""
		}
		if len(values) > 1 {
			return strings.Join(values, ",")
		}
	}
	return values[0]
}

// Values returns all values.
func (c carrier) Values(key string) []string { return c[spelt(key)] }

// Set replaces the values.
func (c carrier) Set(key, value string) { c[spelt(key)] = []string{value} }

// Keys returns the names.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}
