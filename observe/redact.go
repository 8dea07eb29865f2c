package observe

import (
	"maps"
	"net/url"
	"strings"

	"github.com/handrail-go/handrail/internal/text"
)

// Redacted stands in the place of a value that is not to be logged.
const Redacted = "REDACTED"

// maxNameLen bounds a name that is compared. What is longer is redacted.
const maxNameLen = 128

// secrets are names under which secrets usually travel.
var secrets = []string{
	"authorization", "proxy-authorization", "x-authorization", "cookie", "set-cookie",
	"password", "passwd", "pwd", "passphrase", "secret", "client_secret", "private_key",
	"token", "access_token", "refresh_token", "id_token", "auth_token", "x-auth-token", "bearer", "jwt",
	"api_key", "apikey", "x-api-key", "access_key", "secret_key", "aws_secret_access_key",
	"session", "session_id", "sessionid", "sid", "csrf_token", "x-csrf-token", "x-xsrf-token",
	"signature", "sig", "x-amz-signature", "x-amz-security-token", "x-amz-credential", "x-goog-signature",
	"credential", "credentials", "otp", "pin", "x-forwarded-access-token", "x-vault-token",
}

// redacted are names in lower case, without - and _.
type redacted map[string]struct{}

func newRedacted(names ...string) redacted { return redacted{}.with(names...) }

func (r redacted) with(names ...string) redacted {
	r = maps.Clone(r)
	for _, name := range names {
		r[plain(name)] = struct{}{}
	}
	return r
}

// plain is a name as it is compared.
func plain(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '_' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}

// has says whether the value of that name must not be logged.
func (r redacted) has(name string) bool {
	if len(name) > maxNameLen {
		return true
	}
	var buf [maxNameLen]byte
	n := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-', c == '_':
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c >= 0x80:
			_, found := r[plain(name)]
			return found
		}
		buf[n] = c
		n++
	}
	_, found := r[string(buf[:n])]
	return found
}

// query returns a raw query with redacted values, of at most n bytes.
func (r redacted) query(raw string, n int) string {
	var out strings.Builder
	for i := 0; raw != "" && out.Len() <= n; i++ {
		var part string
		var separator byte
		if at := strings.IndexAny(raw, "&;"); at >= 0 {
			part, separator, raw = raw[:at], raw[at], raw[at+1:]
		} else {
			part, raw = raw, ""
		}
		name, value, valued := strings.Cut(part, "=")
		out.WriteString(name)
		if valued {
			out.WriteByte('=')
			if value != "" && r.hides(name) {
				value = Redacted
			}
			out.WriteString(value)
		}
		if separator != 0 {
			out.WriteByte(separator)
		}
	}
	return text.Cut(out.String(), n)
}

// hides is has for a name as it stands in a query.
func (r redacted) hides(name string) bool {
	name, err := url.QueryUnescape(name)
	if err != nil {
		return true
	}
	name = strings.TrimSpace(name)
	for part := range strings.SplitSeq(name, "[") { // token[], token[0], user[token]
		if r.has(strings.TrimRight(part, "]")) {
			return true
		}
	}
	return false
}
