package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNoCharacterIsHalved(t *testing.T) {
	for _, s := range []string{"", "plain", "\u00e4\u20ac\U0001f600", strings.Repeat("\U0001f600", 10)} {
		for n := utf8.UTFMax; n <= len(s)+1; n++ {
			got := Cut(s, n)
			if len(got) > n || !strings.HasPrefix(s, got) || !utf8.ValidString(got) || len(s) > n && len(got) <= n-utf8.UTFMax {
				t.Errorf("%q cut to %d is %q", s, n, got)
			}
		}
	}
}

func TestWhatIsNoTextIsCutWhereItIs(t *testing.T) {
	if got := Cut(strings.Repeat("\x80", 10), 6); len(got) != 6 {
		t.Errorf("%d bytes are left", len(got))
	}
}
