package observe

import (
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// What is appended here is what [slog.JSONHandler] writes, byte for byte, each
// value followed by a comma. What that does with a value that is none of these
// kinds only it knows.

// key is the name of an attribute, and its JSON with the colon.
type key struct{ name, json string }

func named(name string) key {
	return key{name, string(append(appendString(nil, name), ':'))}
}

// appendAttrs appends attributes, and reports whether all of them are of kinds
// that are known here.
func appendAttrs(b []byte, attrs []slog.Attr) (_ []byte, ok bool) {
	for _, a := range attrs {
		if b, ok = appendAttr(b, a); !ok {
			return b, false
		}
	}
	return b, true
}

func appendAttr(b []byte, a slog.Attr) (_ []byte, ok bool) {
	v := a.Value
	if v.Kind() == slog.KindGroup {
		return appendGroup(b, a.Key, v.Group())
	}
	b = append(appendString(b, a.Key), ':')
	switch v.Kind() {
	case slog.KindString:
		b = appendString(b, v.String())
	case slog.KindInt64:
		b = strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		b = strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindBool:
		b = strconv.AppendBool(b, v.Bool())
	case slog.KindDuration:
		b = strconv.AppendInt(b, v.Duration().Nanoseconds(), 10)
	case slog.KindFloat64:
		f := v.Float64()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return b, false
		}
		b = appendFloat(b, f)
	case slog.KindTime:
		t := v.Time()
		if y := t.Year(); y < 0 || y > 9999 {
			return b, false
		}
		b = append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	default:
		return b, false
	}
	return append(b, ','), true
}

// appendGroup appends a group that is not empty, without a name only its
// attributes.
func appendGroup(b []byte, name string, attrs []slog.Attr) (_ []byte, ok bool) {
	if len(attrs) == 0 {
		return b, false
	}
	if name == "" {
		return appendAttrs(b, attrs)
	}
	b, ok = appendAttrs(append(appendString(b, name), ':', '{'), attrs)
	if !ok {
		return b, false
	}
	b[len(b)-1] = '}' // for the comma
	return append(b, ','), true
}

// escaped are the bytes that cannot stand as they are in a JSON string, and
// those that begin a character of more than one byte.
var escaped = func() (yes [256]bool) {
	for c := range yes {
		yes[c] = c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf
	}
	return yes
}()

// appendString appends a JSON string. What is no UTF-8 becomes U+FFFD, and the
// line separators of JavaScript are escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if n := plainPrefix(s); n < len(s) {
		return append(appendEscaped(append(b, s[:n]...), s[n:]), '"')
	}
	return append(append(b, s...), '"')
}

// plainPrefix is how many bytes at the beginning of s stand as they are, or up
// to seven less. It looks at eight at a time: with bytes below 128 a subtraction
// carries into the top bit of the lowest one that is too small, and of none
// before it.
func plainPrefix(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		quote, slash := x^ones*'"', x^ones*'\\'
		if (x|(x-ones*' ')|(quote-ones)|(slash-ones))&tops != 0 {
			return i
		}
	}
	for ; i < len(s); i++ {
		if escaped[s[i]] {
			return i
		}
	}
	return i
}

func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if !escaped[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(append(b, s[from:i]...), '\\')
			switch c {
			case '"', '\\':
				b = append(b, c)
			case '\n':
				b = append(b, 'n')
			case '\r':
				b = append(b, 'r')
			case '\t':
				b = append(b, 't')
			default:
				b = append(b, 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[from:i]...), `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[from:i]...), `\u202`...)
			b = append(b, hex[r&15])
		default:
			i += size
			continue
		}
		i += size
		from = i
	}
	return append(b, s[from:]...)
}

// appendFloat appends a finite number as encoding/json does: like ECMAScript.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if n := len(b); format == 'e' && b[n-4] == 'e' && b[n-2] == '0' {
		b = append(b[:n-2], b[n-1]) // e-09 is e-9
	}
	return b
}

// appendThousandth appends float64(n)/1000. Up to 15 digits there is but one
// decimal of that length for each float, so that this one is the shortest.
func appendThousandth(b []byte, n int64) []byte {
	if n < 0 || n >= 1e15 {
		return appendFloat(b, float64(n)/1000)
	}
	b = strconv.AppendInt(b, n/1000, 10)
	rest := n % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.', byte('0'+rest/100))
	if rest %= 100; rest > 0 {
		b = append(b, byte('0'+rest/10))
		if rest %= 10; rest > 0 {
			b = append(b, byte('0'+rest))
		}
	}
	return b
}

func appendHex(b []byte, id []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range id {
		b = append(b, hex[c>>4], hex[c&15])
	}
	return b
}

// clock appends times as RFC 3339 has them. It remembers the last second, of
// which there are many times.
type clock struct{ last atomic.Pointer[second] }

type second struct {
	unix int64
	in   *time.Location
	// date is as far as the seconds, zone what follows the fraction.
	date, zone string
}

const dateLen = len("2006-01-02T15:04:05")

// append reports false for a time before year 0 or after 9999.
func (c *clock) append(b []byte, t time.Time) (_ []byte, ok bool) {
	unix, in := t.Unix(), t.Location()
	s := c.last.Load()
	if s == nil || s.unix != unix || s.in != in {
		if y := t.Year(); y < 0 || y > 9999 {
			return b, false
		}
		text := t.Add(-time.Duration(t.Nanosecond())).Format(time.RFC3339Nano)
		s = &second{unix, in, text[:dateLen], text[dateLen:]}
		c.last.Store(s)
	}
	b = append(append(b, '"'), s.date...)
	if n := t.Nanosecond(); n > 0 {
		digits := [10]byte{0: '.'}
		last := 0
		for i := 9; i > 0; i-- {
			d := byte(n % 10)
			n /= 10
			digits[i] = '0' + d
			if last == 0 && d > 0 {
				last = i
			}
		}
		b = append(b, digits[:last+1]...)
	}
	return append(append(b, s.zone...), '"'), true
}
