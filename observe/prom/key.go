package prom

import (
	"strconv"

	"github.com/handrail-go/handrail/observe"
)

// key is all that tells the series of a route apart, packed, so that finding one
// costs as little as it can:
//
//	bits 0-3 method, 4 scheme, 5-14 status, 15-18 error type, 19 long-lived,
//	20 that the status is only its class
type key uint32

const (
	keyMethod    key = 1<<4 - 1
	keyScheme    key = 1 << 4
	keyStatus    key = (1<<10 - 1) << statusAt
	keyError     key = (1<<4 - 1) << errorAt
	keyLongLived key = 1 << 19
	keyClass     key = 1 << 20

	statusAt = 5
	errorAt  = 15
)

// gauges is how many combinations of method and scheme there are, which are the
// low bits of a key.
const gauges = int(keyMethod|keyScheme) + 1

const otherMethod = "_OTHER"

// methods are those of RFC 9110, section 9.1, and PATCH (RFC 5789).
var methods = [...]string{
	otherMethod, "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
}

// errorTypes are the values of error.type that name what happened. Beside them
// it may be the status itself, or another one: errorStatus and errorOther.
var errorTypes = [...]string{
	"", "shed", "timeout", "breaker_open", "bulkhead_full", "canceled", "panic", "aborted",
}

const (
	errorStatus = key(len(errorTypes)) + iota
	errorOther
)

// methodAndScheme are the part of a key that is known before the handler runs.
func methodAndScheme(x *observe.Exchange) key {
	var k key
	switch x.Method {
	case "GET":
		k = 1
	case "HEAD":
		k = 2
	case "POST":
		k = 3
	case "PUT":
		k = 4
	case "DELETE":
		k = 5
	case "CONNECT":
		k = 6
	case "OPTIONS":
		k = 7
	case "TRACE":
		k = 8
	case "PATCH":
		k = 9
	}
	if x.Scheme == "https" {
		k |= keyScheme
	}
	return k
}

// keyOf is the key of an exchange that is over.
func keyOf(x *observe.Exchange) key {
	k := methodAndScheme(x)
	if x.Status >= 100 && x.Status <= 599 {
		k |= key(x.Status) << statusAt
	}
	if x.ErrorType != "" {
		k |= errorOf(x) << errorAt
	}
	if x.LongLived {
		k |= keyLongLived
	}
	return k
}

func errorOf(x *observe.Exchange) key {
	for i, e := range errorTypes {
		if e == x.ErrorType {
			return key(i)
		}
	}
	if e := x.ErrorType; len(e) == 3 && int(e[0]-'0')*100+int(e[1]-'0')*10+int(e[2]-'0') == x.Status {
		return errorStatus
	}
	return errorOther
}

// coarse is the key of those that have no series of their own: no method, the
// class of the status, and of the errors those that have a name.
func (k key) coarse() key {
	c := k&(keyScheme|keyLongLived) | keyClass | (k & keyStatus >> statusAt / 100 << statusAt)
	switch e := k & keyError >> errorAt; {
	case e >= errorStatus:
		c |= errorOther << errorAt
	default:
		c |= e << errorAt
	}
	return c
}

func (k key) method() string {
	if m := int(k & keyMethod); m < len(methods) {
		return methods[m]
	}
	return otherMethod
}

func (k key) scheme() string {
	if k&keyScheme != 0 {
		return "https"
	}
	return "http"
}

func (k key) status() string {
	n := int(k & keyStatus >> statusAt)
	switch {
	case n == 0:
		return "unknown"
	case k&keyClass != 0:
		return strconv.Itoa(n) + "xx"
	}
	return strconv.Itoa(n)
}

func (k key) errorType() string {
	switch e := k & keyError >> errorAt; e {
	case errorStatus:
		return k.status()
	case errorOther:
		return "_OTHER"
	default:
		return errorTypes[e]
	}
}

func (k key) longLived() bool { return k&keyLongLived != 0 }
