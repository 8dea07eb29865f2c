package cloudwatch

import (
	"strconv"
	"strings"

	"github.com/handrail-go/handrail/observe"
)

// The dimensions that an exchange has. Further ones are constants, see
// [WithConstant].
const (
	// Service is what WithService says.
	Service = "service.name"
	// Method is one of the known methods or "_OTHER".
	Method = "http.request.method"
	// Route is the pattern without its method, "unmatched" where none matched,
	// and "_other" beyond the bounds.
	Route = "http.route"
	// StatusClass is "1xx" to "5xx", or "none" where there was no status.
	StatusClass = "http.response.status_class"
	// StatusCode is the status, or "none".
	StatusCode = "http.response.status_code"
	// ErrorType is what went wrong, or "none"; see [observe.Exchange].
	ErrorType = "error.type"
	// Scheme is "http" or "https".
	Scheme = "url.scheme"
)

const (
	none      = "none"
	unmatched = "unmatched"
	other     = "_other"
)

// parts says which of the dimensions tell label sets apart.
type parts struct{ method, route, class, status, fault, scheme bool }

func (p *parts) add(name string) bool {
	switch name {
	case Method:
		p.method = true
	case Route:
		p.route = true
	case StatusClass:
		p.class = true
	case StatusCode:
		p.status = true
	case ErrorType:
		p.fault = true
	case Scheme:
		p.scheme = true
	default:
		return false
	}
	return true
}

// key is a label set. What no dimension tells apart is zero.
type key struct {
	method, route, fault, scheme string
	class, status                int
	overflow                     bool
}

func (p *parts) key(x *observe.Exchange) (k key) {
	if p.method {
		k.method = x.Method
	}
	if p.route {
		k.route = x.Route
	}
	if p.class {
		k.class = class(x.Status)
	}
	if p.status && x.Status >= 100 && x.Status <= 999 {
		k.status = x.Status
	}
	if p.fault {
		k.fault = x.ErrorType
	}
	if p.scheme {
		k.scheme = x.Scheme
	}
	return k
}

func (k key) clone() key {
	k.method, k.route = strings.Clone(k.method), strings.Clone(k.route)
	k.fault, k.scheme = strings.Clone(k.fault), strings.Clone(k.scheme)
	return k
}

// fields appends the dimensions as fields of a line.
func (p *parts) fields(b []byte, k key) []byte {
	add := func(is bool, name, value, empty string) {
		if !is {
			return
		}
		switch {
		case k.overflow:
			value = other
		case value == "":
			value = empty
		}
		b = appendField(b, name, dimensionValue(value))
	}
	add(p.method, Method, k.method, none)
	add(p.route, Route, k.route, unmatched)
	add(p.class, StatusClass, classes[k.class], none)
	status := ""
	if k.status > 0 {
		status = strconv.Itoa(k.status)
	}
	add(p.status, StatusCode, status, none)
	add(p.fault, ErrorType, k.fault, none)
	add(p.scheme, Scheme, k.scheme, none)
	return b
}

var classes = [...]string{none, "1xx", "2xx", "3xx", "4xx", "5xx"}

func class(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status / 100
}

// failed says that the service failed at the exchange: it answered with 500 or
// above, panicked, or cut its answer off at the deadline.
func failed(x *observe.Exchange) bool {
	return x.Status >= 500 || x.Cause.Outcome == "panic" || x.Cause.Outcome == "timeout"
}
