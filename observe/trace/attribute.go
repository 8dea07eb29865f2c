package trace

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"

	"github.com/handrail-go/handrail/internal/text"
	"github.com/handrail-go/handrail/observe"
)

// The names of the semantic conventions, version 1.43.0.
const (
	schemaURL = "https://opentelemetry.io/schemas/1.43.0"

	clientAddress       attribute.Key = "client.address"
	errorType           attribute.Key = "error.type"
	exceptionMessage    attribute.Key = "exception.message"
	exceptionStacktrace attribute.Key = "exception.stacktrace"
	exceptionType       attribute.Key = "exception.type"
	requestMethod       attribute.Key = "http.request.method"
	methodOriginal      attribute.Key = "http.request.method_original"
	resendCount         attribute.Key = "http.request.resend_count"
	responseStatus      attribute.Key = "http.response.status_code"
	route               attribute.Key = "http.route"
	peerAddress         attribute.Key = "network.peer.address"
	peerPort            attribute.Key = "network.peer.port"
	protocolVersion     attribute.Key = "network.protocol.version"
	serverAddress       attribute.Key = "server.address"
	serverPort          attribute.Key = "server.port"
	urlFull             attribute.Key = "url.full"
	urlPath             attribute.Key = "url.path"
	urlScheme           attribute.Key = "url.scheme"
	userAgent           attribute.Key = "user_agent.original"
)

// What the conventions have no name for.
const (
	outcome   attribute.Key = "handrail.outcome"
	policy    attribute.Key = "handrail.policy"
	reason    attribute.Key = "handrail.reason"
	requestID attribute.Key = "handrail.request_id"
	longLived attribute.Key = "handrail.long_lived"
)

// How long values may be, in bytes.
const (
	maxMethod  = 32
	maxValue   = 256
	maxURL     = 1024
	maxMessage = 1024
	maxStack   = 16 << 10
	maxExtra   = 32 // attributes that a function adds, and elements of one
	maxDepth   = 3  // of lists and maps in each other
)

// bounded cuts s to n bytes, between two characters, and makes it valid UTF-8:
// one value that is not keeps an exporter from delivering all it has gathered.
// What is cut is a copy, so that a span which waits for its export does not keep
// a megabyte alive of which it shows a line.
func bounded(s string, n int) string {
	long := len(s) > n
	s = text.Cut(s, n)
	if !utf8.ValidString(s) {
		return text.Cut(strings.ToValidUTF8(s, "\uFFFD"), n)
	}
	if long {
		return strings.Clone(s)
	}
	return s
}

// pathOf is the path of a request. It is a part of the request's target, which
// the query can make as long as the server allows.
func pathOf(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	path := bounded(r.URL.Path, maxURL)
	if len(r.RequestURI) > 2*maxURL {
		return strings.Clone(path)
	}
	return path
}

// version is the protocol's as the conventions spell it: "1.1" and "2".
func version(major, minor int) string {
	switch {
	case major == 1 && minor == 1:
		return "1.1"
	case major == 2 && minor == 0:
		return "2"
	case major == 1 && minor == 0:
		return "1.0"
	case major == 3 && minor == 0:
		return "3"
	}
	return ""
}

// peer is who is at the other end of the connection. ok is false where that is
// not known, such as on a unix socket.
func peer(remote string) (host string, port int, ok bool) {
	i := strings.LastIndexByte(remote, ':')
	if i < 0 {
		return "", 0, false
	}
	port, err := strconv.Atoi(remote[i+1:])
	if err != nil || port < 0 || port > 65535 {
		return "", 0, false
	}
	host = remote[:i]
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	return host, port, host != ""
}

// known are the methods of RFC 9110, section 9, and PATCH of RFC 5789.
func known(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// nameOf is the name of a span before its route is known, by the conventions
// "HTTP" where the method is none of the known ones.
func nameOf(method string) string {
	if method == observe.OtherMethod {
		return "HTTP"
	}
	return method
}

// named is the name of a span with a route. A pattern that is it already need
// not be built again.
func named(method, route, pattern string) string {
	name := nameOf(method)
	if n := len(name); len(pattern) == n+1+len(route) && pattern[n] == ' ' && pattern[:n] == name && pattern[n+1:] == route {
		return pattern
	}
	return name + " " + route
}

// extra are the attributes that a function of the user's returned, as short as
// the others.
func extra(to, more []attribute.KeyValue) []attribute.KeyValue {
	for _, kv := range more[:min(len(more), maxExtra)] {
		to = append(to, short(kv, maxURL, 0))
	}
	return to
}

// short is an attribute whose key and value are bounded. Its strings are copies:
// they may be small parts of a long header.
func short(kv attribute.KeyValue, n, depth int) attribute.KeyValue {
	kv.Key = attribute.Key(bounded(string(kv.Key), maxValue))
	switch v := kv.Value; v.Type() {
	case attribute.STRING:
		kv.Value = attribute.StringValue(copied(v.AsString(), n))
	case attribute.STRINGSLICE:
		all := v.AsStringSlice() // a copy
		all = all[:min(len(all), maxExtra)]
		for i := range all {
			all[i] = copied(all[i], maxValue)
		}
		kv.Value = attribute.StringSliceValue(all)
	case attribute.BYTESLICE:
		if b := v.AsByteSlice(); len(b) > n {
			kv.Value = attribute.ByteSliceValue(b[:n])
		}
	case attribute.SLICE, attribute.MAP:
		kv.Value = nested(v, depth+1)
	}
	return kv
}

// nested is a list or a map whose elements are short, and none where it is in
// too many others.
func nested(v attribute.Value, depth int) attribute.Value {
	if depth > maxDepth {
		return attribute.Value{}
	}
	if v.Type() == attribute.MAP {
		all := v.AsMap() // a copy, as is that of a list
		all = all[:min(len(all), maxExtra)]
		for i := range all {
			all[i] = short(all[i], maxValue, depth)
		}
		return attribute.MapValue(all...)
	}
	all := v.AsSlice()
	all = all[:min(len(all), maxExtra)]
	for i := range all {
		all[i] = short(attribute.KeyValue{Value: all[i]}, maxValue, depth).Value
	}
	return attribute.SliceValue(all...)
}

// copied is bounded, and shares nothing with s.
func copied(s string, n int) string {
	if len(s) <= n {
		s = strings.Clone(s)
	}
	return bounded(s, n)
}
