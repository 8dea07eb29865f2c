package option

import (
	"fmt"
	"net/http"
	"strings"
)

// Lengths in bytes of what a program may say.
const (
	MaxName    = 64
	MaxMessage = 1024
)

// Name wants the name of an instance, at most [MaxName] bytes; empty is fine.
func (f *Faults) Name(option, name string) {
	if len(name) > MaxName {
		f.Fault(option, name, fmt.Sprintf("must not be longer than %d bytes", MaxName))
	}
}

// Message wants a sentence for clients, at most [MaxMessage] bytes; empty is
// fine. The fault's value is its length.
func (f *Faults) Message(option, message string) {
	if len(message) > MaxMessage {
		f.Fault(option, len(message), fmt.Sprintf("must not be longer than %d bytes", MaxMessage))
	}
}

// Header wants the name of a header field, which is a token (RFC 9110, sections
// 5.1 and 5.6.2), and returns it in canonical form. Where none is needed, the
// option does not ask for an empty one.
func (f *Faults) Header(option, name string) string {
	switch {
	case name == "":
		f.Fault(option, nil, "needs a header's name")
	case !isToken(name):
		f.Fault(option, name, "must be the name of a header")
	}
	return http.CanonicalHeaderKey(name)
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}
