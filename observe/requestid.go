package observe

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

// MaxRequestIDLen is the length in bytes of the longest id that is taken over.
const MaxRequestIDLen = 128

// ValidRequestID reports whether an id from outside can be taken over: 1 to 128
// of the characters A-Z a-z 0-9 . _ and -. Nothing of that has a meaning in a
// header, a log line or a URL.
func ValidRequestID(id string) bool {
	if id == "" || len(id) > MaxRequestIDLen {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// RequestID returns the id of the request that ctx belongs to, "" where there is
// none. It is safe for concurrent use, also when the request is over.
func RequestID(ctx context.Context) string {
	for h := holderOf(ctx); h != nil; h = h.outer() {
		if h.id != "" {
			return h.id
		}
	}
	return ""
}

// requestID is the id that r is to have.
func (s *settings) requestID(r *http.Request) string {
	if id := RequestID(r.Context()); id != "" {
		return id
	}
	if s.trusted {
		if values := r.Header[s.idHeader]; len(values) == 1 && ValidRequestID(values[0]) {
			return values[0]
		}
	}
	return newRequestID()
}

// newRequestID makes an id with the generator of the runtime, ChaCha8 with a
// seed from the operating system, which is no system call each time.
func newRequestID() string {
	var bits [16]byte
	var text [32]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		bits[i], bits[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	hex.Encode(text[:], bits[:])
	return string(text[:])
}
