package roundtrip

import (
	"net/http"
	"strings"
)

// Target is the host and port that a request is sent to, in lower case and
// without a port that is the default of its scheme (RFC 9110, section 4.2);
// empty for a request without a URL, which is never sent. It is as long as the
// URL has it.
func Target(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	host := r.URL.Host
	switch {
	case strings.EqualFold(r.URL.Scheme, "https"):
		host = strings.TrimSuffix(host, ":443")
	case strings.EqualFold(r.URL.Scheme, "http"):
		host = strings.TrimSuffix(host, ":80")
	}
	return strings.ToLower(host)
}
