package cloudwatch

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"
)

const (
	deepest  = 8       // groups within each other
	longAttr = 8 << 10 // bytes of one value
)

// appendAttrs appends the members of an object, without its braces, as
// slog.JSONHandler would: a duration is its nanoseconds. It never fails or
// panics, whatever the values do.
func appendAttrs(b []byte, attrs []slog.Attr, depth int) []byte {
	begin := len(b)
	b = appendMembers(b, attrs, depth)
	if len(b) > begin {
		b = b[:len(b)-1] // the comma
	}
	return b
}

func appendMembers(b []byte, attrs []slog.Attr, depth int) []byte {
	for _, a := range attrs {
		v := a.Value.Resolve()
		if a.Key == "" && v.Kind() == slog.KindAny && v.Any() == nil {
			continue
		}
		if v.Kind() == slog.KindGroup {
			switch group := v.Group(); {
			case depth > deepest || len(group) == 0:
			case a.Key == "":
				b = appendMembers(b, group, depth+1)
			default:
				begin := len(b)
				b = append(appendString(b, cut(a.Key, longText)), ':', '{')
				inner := len(b)
				if b = appendAttrs(b, group, depth+1); len(b) == inner {
					b = b[:begin]
					continue
				}
				b = append(b, '}', ',')
			}
			continue
		}
		b = append(appendString(b, cut(a.Key, longText)), ':')
		b = append(appendValue(b, v), ',')
	}
	return b
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
	return encoded, ""
}
