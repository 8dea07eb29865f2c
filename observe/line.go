package observe

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// lineAttrs is how many attributes a line has at most without headers.
const lineAttrs = 28

// line is a line of the access log before it is written. It is reused.
type line struct {
	at      time.Time
	level   slog.Level
	message string
	attrs   []slog.Attr
	ctx     context.Context
	next    *line // in the queue
}

// text adds an attribute, unless its name or value is empty.
func (ln *line) text(key, value string) {
	if key != "" && value != "" {
		ln.attrs = append(ln.attrs, slog.String(key, value))
	}
}

func (ln *line) cause(c Cause) {
	ln.text("handrail.policy", c.Policy)
	ln.text("handrail.reason", c.Reason)
}

// fill makes the attributes of an exchange.
func (ln *line) fill(l *AccessLog, x *Exchange, suppressed uint64) {
	key, n, most := &l.name, &x.note, l.set.maxValue
	ln.attrs = append(ln.attrs, slog.String(key.method, x.Method))
	ln.text(key.route, x.Route)
	ln.text(key.path, limit(n.path, most))
	if l.set.query && n.query != "" {
		ln.text(key.query, l.set.redacted.query(n.query, most))
	}
	if x.Status != 0 {
		ln.attrs = append(ln.attrs, slog.Int(key.status, x.Status))
	}
	if x.RequestBytes >= 0 {
		ln.attrs = append(ln.attrs, slog.Int64(key.requestSize, x.RequestBytes))
	}
	ln.attrs = append(ln.attrs, slog.Int64(key.responseSize, x.ResponseBytes))
	if l.set.schema == ECS {
		ln.attrs = append(ln.attrs, slog.Int64("event.duration", x.Duration.Nanoseconds()))
	} else {
		ln.attrs = append(ln.attrs, slog.Float64("duration_ms", float64(x.Duration.Microseconds())/1000))
	}
	if l.set.client == nil {
		ln.text(key.client, limit(n.client, most))
	}
	ln.text(key.agent, limit(n.agent, most))
	if l.set.host {
		ln.text(key.host, limit(n.host, most))
	}
	ln.text(key.version, version(x.Request))
	ln.text(key.requestID, x.RequestID)
	if x.Trace.Valid() {
		trace, span := x.Trace.text()
		ln.text(key.traceID, trace)
		ln.text(key.spanID, span)
		ln.text(key.flags, flagsText[x.Trace.Flags])
	}
	ln.text("error.type", x.ErrorType)
	ln.cause(x.Cause)
	if x.Panic != nil {
		ln.text(key.panicType, limit(fmt.Sprintf("%T", x.Panic), most))
		ln.text(key.panicMessage, limit(fmt.Sprint(x.Panic), most))
		ln.text(key.panicStack, string(x.Stack))
	}
	if x.LongLived {
		ln.attrs = append(ln.attrs, slog.Bool("long_lived", true))
	}
	if suppressed > 0 {
		ln.attrs = append(ln.attrs, slog.Uint64("suppressed", suppressed))
	}
	for _, h := range n.own {
		if h.log == l {
			ln.text(h.key, h.value)
		}
	}
	if len(x.Attrs) > 0 {
		if attrs := l.set.tidy(x.Attrs, 0); len(attrs) > 0 {
			ln.attrs = append(ln.attrs, slog.Attr{Key: l.set.group, Value: slog.GroupValue(attrs...)})
		}
	}
}

// reserved says whether a line may have an attribute of that name already.
func (s *logSettings) reserved(key string) bool {
	switch key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "error.type", "handrail.policy",
		"handrail.reason", "duration_ms", "event.duration", "suppressed", "long_lived", "count":
		return true
	}
	k := schemaNames[s.schema]
	return slices.Contains([]string{k.method, k.route, k.path, k.query, k.status, k.requestSize, k.responseSize,
		k.client, k.agent, k.host, k.version, k.requestID, k.traceID, k.spanID, k.flags,
		k.panicType, k.panicMessage, k.panicStack}, key) || slices.Contains(s.headerKeys, key)
}

// maxDepth bounds groups in groups.
const maxDepth = 8

// tidy returns attributes of handlers as they may be logged: without secrets,
// cut, and of those with the same name the last one only.
func (s *logSettings) tidy(attrs []slog.Attr, depth int) []slog.Attr {
	return s.tidyInto(make([]slog.Attr, 0, len(attrs)), attrs, depth)
}

func (s *logSettings) tidyInto(out, attrs []slog.Attr, depth int) []slog.Attr {
	for _, a := range attrs {
		if s.redacted.has(a.Key) {
			out = put(out, slog.String(a.Key, Redacted))
			continue
		}
		a.Value = a.Value.Resolve()
		switch a.Value.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(limit(a.Value.String(), s.maxValue))
		case slog.KindGroup:
			if depth == maxDepth {
				a.Value = slog.StringValue("too deep")
				break
			}
			if a.Key == "" {
				out = s.tidyInto(out, a.Value.Group(), depth+1)
				continue
			}
			a.Value = slog.GroupValue(s.tidy(a.Value.Group(), depth+1)...)
		case slog.KindAny:
			if err, ok := a.Value.Any().(error); ok {
				a.Value = slog.StringValue(limit(fmt.Sprint(err), s.maxValue))
			}
		}
		out = put(out, a)
	}
	return out
}

// put adds an attribute in the place of the one of the same name.
func put(attrs []slog.Attr, a slog.Attr) []slog.Attr {
	if a.Equal(slog.Attr{}) {
		return attrs
	}
	for i := range attrs {
		if attrs[i].Key == a.Key {
			attrs[i] = a
			return attrs
		}
	}
	return append(attrs, a)
}

// version is the protocol's, as the semantic conventions write it.
func version(r *http.Request) string {
	switch {
	case r.ProtoMajor == 2:
		return "2"
	case r.ProtoMajor == 1 && r.ProtoMinor == 1:
		return "1.1"
	case r.ProtoMajor == 1:
		return "1.0"
	case r.ProtoMajor == 3:
		return "3"
	}
	return ""
}

// text are both ids in hexadecimal.
func (t TraceIDs) text() (trace, span string) {
	var buf [48]byte
	hex.Encode(buf[:32], t.TraceID[:])
	hex.Encode(buf[32:], t.SpanID[:])
	all := string(buf[:])
	return all[:32], all[32:]
}

// flagsText are all flags in hexadecimal.
var flagsText = func() (text [256]string) {
	for i := range text {
		text[i] = hex.EncodeToString([]byte{byte(i)})
	}
	return text
}()
