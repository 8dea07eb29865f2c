package cloudwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	deepest  = 8       // groups within each other
	longAttr = 8 << 10 // bytes of one value
)

// appendAttrs appends the members of an object, without its braces, as
// slog.JSONHandler would: a duration is its nanoseconds. Of those with the same
// name only the last one is there. It never fails or panics, whatever the values
// do.
func appendAttrs(b []byte, attrs []slog.Attr, depth int) []byte {
	var few [16]slog.Attr
	begin := len(b)
	for _, a := range members(few[:0], attrs, depth) {
		from := len(b)
		b = append(appendString(b, a.Key), ':')
		if a.Value.Kind() != slog.KindGroup {
			b = append(appendValue(b, a.Value), ',')
			continue
		}
		b = append(b, '{')
		inner := len(b)
		if b = appendAttrs(b, a.Value.Group(), depth+1); len(b) == inner {
			b = b[:from]
			continue
		}
		b = append(b, '}', ',')
	}
	if len(b) > begin {
		b = b[:len(b)-1] // the comma
	}
	return b
}

// members adds resolved attributes, those of groups without a name among them,
// with names as they are written, each once.
func members(out, attrs []slog.Attr, depth int) []slog.Attr {
	for _, a := range attrs {
		a.Value = a.Value.Resolve()
		if a.Value.Kind() == slog.KindGroup {
			group := a.Value.Group()
			if depth > deepest || len(group) == 0 {
				continue
			}
			if a.Key == "" {
				out = members(out, group, depth+1)
				continue
			}
		} else if a.Key == "" && a.Value.Kind() == slog.KindAny && a.Value.Any() == nil {
			continue
		}
		if a.Key = cut(a.Key, longText); !utf8.ValidString(a.Key) {
			a.Key = strings.ToValidUTF8(a.Key, "\ufffd")
		}
		if i := slices.IndexFunc(out, func(o slog.Attr) bool { return o.Key == a.Key }); i >= 0 {
			out[i].Value = a.Value
			continue
		}
		out = append(out, a)
	}
	return out
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendString(b, cut(v.String(), longAttr))
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindFloat64:
		if f := v.Float64(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return appendNumber(b, f)
		}
		return appendString(b, v.String())
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindDuration:
		return strconv.AppendInt(b, int64(v.Duration()), 10)
	case slog.KindTime:
		return appendString(b, v.Time().Format(time.RFC3339Nano))
	}
	encoded, text := render(v.Any())
	if encoded != nil {
		return append(b, encoded...)
	}
	return appendString(b, cut(text, longAttr))
}

// render returns a value as JSON, or as text where it cannot be or is too long.
func render(v any) (encoded []byte, text string) {
	defer func() {
		if p := recover(); p != nil {
			encoded, text = nil, "!PANIC"
		}
	}()
	if err, ok := v.(error); ok {
		if _, ok := v.(json.Marshaler); !ok {
			return nil, err.Error()
		}
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, "!ERROR: " + err.Error()
	}
	if len(encoded) > longAttr {
		return nil, fmt.Sprintf("!TOO LONG: %s", encoded)
	}
	// A json.RawMessage may hold anything. Next line is white space to nobody in
	// JSON, so it can only be within a string.
	if !utf8.Valid(encoded) {
		encoded = bytes.ToValidUTF8(encoded, []byte("\ufffd"))
	}
	return bytes.ReplaceAll(encoded, []byte("\u0085"), []byte(`\u0085`)), ""
}
