// Package text bounds what comes from outside before it is shown.
package text

import "unicode/utf8"

// Cut returns at most the first n bytes of s, n at least 4, and not half a
// character. Where it would have to look further back than a character is long, s is
// no UTF-8, and it cuts where it is.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}
