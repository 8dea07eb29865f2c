package handrail

import (
	"net/http"
	"net/netip"
)

// KeyFunc names what a request belongs to: a tenant, a route, a host, a
// client. The empty string is a key like any other, shared by the requests
// that have none. It runs on the serving goroutine: it must be quick, must not
// read the body, and must be safe for concurrent use. Every package bounds
// how many keys it remembers, so a key may come from outside; whoever can
// choose it freely can pretend to be many, so prefer one your
// authentication has verified.
type KeyFunc func(*http.Request) string

// MaxKeyLen is the length in bytes that the key functions of this package cut
// a key to. Keys that agree that far are one key.
const MaxKeyLen = 128

// ByRoute is the pattern that [http.ServeMux] matched, and empty before it
// did. It is never the raw path, which a client can vary without end.
func ByRoute(r *http.Request) string { return r.Pattern }

// ByMux is the pattern that mux is going to match, for a middleware that
// stands outside of it, where [ByRoute] does not know the route yet. It costs
// matching twice, and no more than that: mux is asked, not run. nil stands for
// [http.DefaultServeMux].
func ByMux(mux *http.ServeMux) KeyFunc {
	if mux == nil {
		mux = http.DefaultServeMux
	}
	return func(r *http.Request) string {
		_, pattern := mux.Handler(r)
		return pattern
	}
}

// ByHost is the Host the request was sent to, as the client gave it.
func ByHost(r *http.Request) string { return cut(r.Host) }

// ByClient is the address of the peer without its port; an IPv6 address is
// reduced to its /64 network, which is the least that one customer is handed
// (RFC 6177, section 2). Behind a proxy it is the proxy: use a key function
// of your own that reads what your proxy, and nobody else, sets.
func ByClient(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return cut(r.RemoteAddr)
	}
	addr := peer.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}

// ByHeader reads the key from a request header, empty where it is absent or
// repeated. Whoever can set the header chooses the key: use it where a
// gateway of yours sets it, or where all callers are your own.
func ByHeader(header string) KeyFunc {
	header = http.CanonicalHeaderKey(header)
	return func(r *http.Request) string {
		values := r.Header[header]
		if len(values) != 1 {
			return ""
		}
		return cut(values[0])
	}
}

func cut(key string) string {
	if len(key) > MaxKeyLen {
		return key[:MaxKeyLen]
	}
	return key
}
