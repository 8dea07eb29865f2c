package httpwrap

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// What a [Barrier] needs that gives its handler a header map of its own, because
// the response may yet be another one.

// Informational says whether status announces a final one, see RFC 9110,
// section 15.2. 101 does so over HTTP/2 only, which has no protocol switch.
func Informational(status int, r *http.Request) bool {
	return status >= 100 && status < 200 && (status != http.StatusSwitchingProtocols || r.ProtoMajor == 2)
}

// DeclaredLength is the Content-Length of a header, -1 if there is none that is
// one.
func DeclaredLength(header http.Header) int64 {
	if v := header["Content-Length"]; len(v) > 0 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// Inform sends an informational response with header in the place of w's own,
// which stays as it was. A nil header means w's own.
func Inform(w http.ResponseWriter, status int, header http.Header) {
	if header == nil {
		w.WriteHeader(status)
		return
	}
	outside := w.Header()
	before := maps.Clone(outside)
	defer func() {
		clear(outside)
		maps.Copy(outside, before)
	}()
	clear(outside)
	maps.Copy(outside, header)
	w.WriteHeader(status)
}

// Trailers hands on to w what became of header after it was sent: the trailers
// (see [http.ResponseWriter] and [http.TrailerPrefix]).
func Trailers(w http.ResponseWriter, header http.Header) {
	var outside http.Header
	announced := len(header["Trailer"]) > 0
	for name, values := range header {
		if announced || strings.HasPrefix(name, http.TrailerPrefix) {
			if outside == nil {
				outside = w.Header()
			}
			outside[name] = values
		}
	}
}
