package observe

import (
	"net/url"
	"strings"
	"testing"

	"github.com/handrail-go/handrail/internal/text"
)

// FuzzQuery reads what became of a query as a server would: under a name that is
// redacted there is nothing but what says so.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"", "a=b", "token=x", "TOKEN=x&a;pass%77ord=y", "%zz=x&%=&=", "token[]=x&token%5b1]=y", "+token+=x;&;", "a=%00&\xff=\xfe"} {
		f.Add(raw, 1024)
		f.Add(raw, 17)
	}
	r := newRedacted(secrets...)
	f.Fuzz(func(t *testing.T, raw string, most int) {
		most = min(max(most, 16), 1<<16)
		out := r.query(raw, most)
		if len(out) > most {
			t.Fatalf("%d bytes, want at most %d", len(out), most)
		}
		if !strings.ContainsAny(raw, "=") && out != text.Cut(raw, most) {
			t.Errorf("%q became %q", raw, out)
		}
		values, _ := url.ParseQuery(strings.ReplaceAll(out, ";", "&"))
		for name, all := range values {
			if !r.has(name) {
				continue
			}
			for _, v := range all {
				if !strings.HasPrefix(Redacted, v) {
					t.Errorf("%q shows %s=%q", out, name, v)
				}
			}
		}
	})
}

func FuzzRoute(f *testing.F) {
	for _, pattern := range []string{"", "GET /a", "/a/{b}", "GET  \texample.com/", "\xff", strings.Repeat("ä", 200)} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		r := newRoutes(2)
		name := r.name(pattern)
		if len(name) > maxRouteLen || (pattern == "") && name != "" || !strings.Contains(strings.ToValidUTF8(pattern, "\uFFFD"), name) {
			t.Errorf("%q became %q", pattern, name)
		}
		for range 2 {
			if again := r.name(pattern); again != name {
				t.Errorf("%q became %q, then %q", pattern, name, again)
			}
		}
	})
}
