package refuse

import (
	"net/http"
	"strconv"
	"time"
)

// Values shared by all responses. Their capacity is their length, so that
// appending to one makes a copy.
var (
	contentType = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	noSniff     = []string{"nosniff"}
	closing     = []string{"close"}
)

// SetHeader makes header, which holds what was set outside, that of the
// response.
func (p *Response) SetHeader(header http.Header, retryAfter time.Duration) {
	for name := range header {
		if describesAnother(name) {
			delete(header, name)
		}
	}
	header["Content-Type"] = contentType
	header["Content-Length"] = p.length
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	if value := seconds(retryAfter); value != nil {
		header["Retry-After"] = value
	}
}

// describesAnother says whether a header of this name, set before the request
// was refused, is about a response that now does not come: its
// representation (RFC 9110, section 8), its parts (section 14), its digests
// (RFC 9530), its framing, how long it may be stored (RFC 9111, RFC 9213,
// whose fields would overrule Cache-Control) or when to come back.
func describesAnother(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Language", "Content-Location", "Content-Disposition",
		"Etag", "Last-Modified",
		"Content-Range", "Accept-Ranges",
		"Content-Digest", "Repr-Digest", "Digest", "Content-Md5",
		"Transfer-Encoding",
		"Expires", "Cdn-Cache-Control", "Surrogate-Control",
		"Retry-After":
		return true
	}
	return false
}

// prepared is how many values of Retry-After are kept ready: five minutes. A
// longer one costs two allocations.
const prepared = 300

var retryAfters = func() (values [prepared][]string) {
	for i := range values {
		values[i] = []string{strconv.Itoa(i + 1)}
	}
	return values
}()

// seconds returns the value of Retry-After, nil if there is to be none.
func seconds(d time.Duration) []string {
	if d <= 0 {
		return nil
	}
	n := ceil(d)
	if n <= prepared {
		return retryAfters[n-1]
	}
	return []string{strconv.FormatInt(n, 10)}
}

// ceil is d > 0 in seconds, rounded up.
func ceil(d time.Duration) int64 { return int64((d-1)/time.Second) + 1 }
