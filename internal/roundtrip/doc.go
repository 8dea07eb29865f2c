// Package roundtrip is what the client sides of the policies have in common:
// the transport they stand before, the host that a request is sent to, and the
// connection that is left of one that switched protocols.
package roundtrip
