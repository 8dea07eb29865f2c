package cloudwatch

import (
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of the embedded metric format ("Specification: Embedded metric
// format" in the Amazon CloudWatch User Guide) and, where they are tighter,
// those of the API type MetricDatum that CloudWatch makes of it.
const (
	// MaxMetrics is how many metrics a line may define.
	MaxMetrics = 100
	// MaxDimensions is how many dimensions a metric may have.
	MaxDimensions = 30
	// MaxValues is how many values a metric may have on a line.
	MaxValues = 100
	// MaxLine is how long a line may be, in bytes with its line feed. The event
	// may have 1 MB, which is read here as the smaller of what that can mean.
	MaxLine = 1_000_000

	maxName           = 255 // of a metric, a field, a namespace
	maxDimensionName  = 250
	maxDimensionValue = 1024

	// An event outside of these makes no metric.
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour

	metadata = "_aws"
)

// largest is 2^360: MetricDatum takes nothing beyond, of either sign.
const largest = 1 << 360

func finite(v float64) bool { return v >= -largest && v <= largest } // false for NaN

// printable says that s is visible ASCII and spaces, and not spaces only.
func printable(s string) bool {
	blank := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
		blank = blank && s[i] == ' '
	}
	return !blank
}

func validName(s string) bool {
	return len(s) <= maxName && s != metadata && printable(s)
}

func validDimensionName(s string) bool {
	return len(s) <= maxDimensionName && s != metadata && printable(s) && s[0] != ':'
}

func validDimensionValue(s string) bool {
	return len(s) <= maxDimensionValue && printable(s)
}

func validNamespace(s string) bool {
	if s == "" || len(s) > maxName || s[0] == ':' || strings.HasPrefix(s, "AWS/") || strings.TrimSpace(s) == "" {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_/#: ") == ""
}

// validLogGroup goes by the pattern of the API's LogGroupName.
func validLogGroup(s string) bool {
	if s == "" || len(s) > 512 {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_/#") == ""
}

func inTime(at, now time.Time) bool {
	return !at.Before(now.Add(-oldest)) && !at.After(now.Add(newest))
}

// dimensionValue makes of any value one that a dimension may have: what is not
// printable ASCII is escaped as in a URL, what is too long is cut, and what is
// empty or blank is "none".
func dimensionValue(s string) string {
	if validDimensionValue(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	blank := true
	for i := 0; i < len(s) && b.Len() <= maxDimensionValue-3; i++ {
		if c := s[i]; c < ' ' || c > '~' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			blank = false
		} else {
			b.WriteByte(c)
			blank = blank && c == ' '
		}
	}
	if blank {
		return none
	}
	return b.String()
}

// cut shortens s to at most n bytes, not within a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
