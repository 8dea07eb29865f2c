package cloudwatch

import (
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// plain are the bytes that a JSON string may hold as they are.
var plain = func() (ok [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		ok[c] = c != '"' && c != '\\' && c != 0x7f
	}
	return ok
}()

// appendString appends s as a JSON string (RFC 8259, section 7) on one line
// whoever reads it: also the line separators of Unicode are escaped. What is no
// UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[from:i]...), `\ufffd`...)
		case r == '\u2028' || r == '\u2029' || r == '\u0085':
			b = append(b, s[from:i]...)
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			i += size
			continue
		}
		i += size
		from = i
	}
	return append(append(b, s[from:]...), '"')
}

// appendNumber appends a finite number.
func appendNumber(b []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(b, int64(v), 10)
	}
	format := byte('f')
	if a := math.Abs(v); a < 1e-6 || a >= 1e21 {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// appendSeconds appends a duration in seconds, exactly, as a decimal.
func appendSeconds(b []byte, d time.Duration) []byte {
	if d <= 0 {
		return append(b, '0')
	}
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	rest := uint64(d % time.Second)
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(time.Second) / 10; rest > 0; unit /= 10 {
		b = append(b, byte('0'+rest/unit))
		rest %= unit
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(appendString(b, name), ':')
	return append(appendString(b, value), ',')
}

func appendHex(b, id []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range id {
		b = append(b, hex[c>>4], hex[c&15])
	}
	return b
}

// buffers hold one line each. The first byte is a line feed that is written
// only behind a line that was torn.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func getBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = append((*b)[:0], '\n')
	return b
}

func putBuffer(b *[]byte) {
	if cap(*b) <= 64<<10 { // one huge line must not be kept for ever
		buffers.Put(b)
	}
}
