package roundtrip

import "net/http"

// Base is the transport that does the work. A policy's own embeds it, overrides
// RoundTrip, and so passes on what [http.Client] asks of a transport beside.
type Base struct{ http.RoundTripper }

// Over returns the Base that is base, or [http.DefaultTransport] for nil.
func Over(base http.RoundTripper) Base {
	if base == nil {
		base = http.DefaultTransport
	}
	return Base{base}
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] looks for. It
// does nothing where the base has none.
func (b Base) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
