package observe

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/handrail-go/handrail/internal/text"
)

// lineAttrs is how many attributes a line has at most without headers.
const lineAttrs = 28

// lineBytes is what a line has room for at first, mostBytes what is kept of a
// larger one.
const (
	lineBytes = 1 << 10
	mostBytes = 16 << 10
)

// line is a line of the access log before it is written. It is reused.
type line struct {
	at      time.Time
	level   slog.Level
	message string
	// to is the handler that the line is for where it is written already, in
	// json. Else it is nil, and the attributes are in attrs.
	to    *jsonHandler
	json  []byte
	attrs []slog.Attr
	app   []slog.Attr // what handlers added
	ctx   context.Context
	next  *line // in the queue
}

// begin begins a line, as JSON if h is not nil and can do that.
func (ln *line) begin(h *jsonHandler, at time.Time, level slog.Level, message string) {
	ln.at, ln.level, ln.message = at, level, message
	if h == nil {
		return
	}
	var ok bool
	if ln.json, ok = h.begin(ln.json[:0], ln); ok {
		ln.to = h
	}
}

// text adds an attribute, unless its name or value is empty.
func (ln *line) text(k key, value string) {
	if k.name != "" && value != "" {
		ln.string(k, value)
	}
}

func (ln *line) string(k key, value string) {
	if ln.to != nil {
		ln.json = append(appendString(append(ln.json, k.json...), value), ',')
	} else {
		ln.attrs = append(ln.attrs, slog.String(k.name, value))
	}
}

func (ln *line) int(k key, n int64) {
	if ln.to != nil {
		ln.json = append(strconv.AppendInt(append(ln.json, k.json...), n, 10), ',')
	} else {
		ln.attrs = append(ln.attrs, slog.Int64(k.name, n))
	}
}

func (ln *line) uint(k key, n uint64) {
	if ln.to != nil {
		ln.json = append(strconv.AppendUint(append(ln.json, k.json...), n, 10), ',')
	} else {
		ln.attrs = append(ln.attrs, slog.Uint64(k.name, n))
	}
}

// milliseconds adds a duration as a float, to the microsecond.
func (ln *line) milliseconds(k key, d time.Duration) {
	if ln.to != nil {
		ln.json = append(appendThousandth(append(ln.json, k.json...), d.Microseconds()), ',')
	} else {
		ln.attrs = append(ln.attrs, slog.Float64(k.name, float64(d.Microseconds())/1000))
	}
}

func (ln *line) yes(k key) {
	if ln.to != nil {
		ln.json = append(append(ln.json, k.json...), "true,"...)
	} else {
		ln.attrs = append(ln.attrs, slog.Bool(k.name, true))
	}
}

// trace adds the ids of a trace.
func (ln *line) trace(key *names, t *TraceIDs) {
	if ln.to != nil {
		ln.json = append(ln.json, key.traceID.json...)
		ln.json = append(appendHex(append(ln.json, '"'), t.TraceID[:]), '"', ',')
		ln.json = append(ln.json, key.spanID.json...)
		ln.json = append(appendHex(append(ln.json, '"'), t.SpanID[:]), '"', ',')
	} else {
		trace, span := t.text()
		ln.text(key.traceID, trace)
		ln.text(key.spanID, span)
	}
	ln.text(key.flags, flagsText[t.Flags])
}

// group adds what handlers added. It reports false where the line cannot be
// written here because of that.
func (ln *line) group(name string) (ok bool) {
	if ln.to != nil {
		ln.json, ok = appendGroup(ln.json, name, ln.app)
		return ok
	}
	ln.attrs = append(ln.attrs, slog.Attr{Key: name, Value: slog.GroupValue(ln.app...)})
	return true
}

func (ln *line) cause(c Cause) {
	ln.text(policyKey, c.Policy)
	ln.text(reasonKey, c.Reason)
}

// fill makes the line of an exchange.
func (ln *line) fill(l *AccessLog, x *Exchange, level slog.Level, suppressed uint64) {
	if len(x.Attrs) > 0 {
		ln.app = l.set.tidyInto(slices.Grow(ln.app, len(x.Attrs)), x.Attrs, 0)
	}
	ln.begin(l.json, x.Began.Add(x.Duration), level, MessageRequest)
	ln.exchange(l, x, suppressed)
	if len(ln.app) > 0 && !ln.group(l.set.group) {
		ln.to = nil
		ln.exchange(l, x, suppressed)
		ln.group(l.set.group)
	}
}

// exchange adds the attributes of an exchange.
func (ln *line) exchange(l *AccessLog, x *Exchange, suppressed uint64) {
	key, n, most := &l.name, &x.note, l.set.maxValue
	ln.string(key.method, x.Method)
	ln.text(key.route, x.Route)
	ln.text(key.path, text.Cut(n.path, most))
	if l.set.query && n.query != "" {
		ln.text(key.query, l.set.redacted.query(n.query, most))
	}
	if x.Status != 0 {
		ln.int(key.status, int64(x.Status))
	}
	if x.RequestBytes >= 0 {
		ln.int(key.requestSize, x.RequestBytes)
	}
	ln.int(key.responseSize, x.ResponseBytes)
	if l.set.schema == ECS {
		ln.int(eventDurationKey, x.Duration.Nanoseconds())
	} else {
		ln.milliseconds(durationKey, x.Duration)
	}
	if l.set.client == nil {
		ln.text(key.client, text.Cut(n.client, most))
	}
	ln.text(key.agent, text.Cut(n.agent, most))
	if l.set.host {
		ln.text(key.host, text.Cut(n.host, most))
	}
	ln.text(key.version, version(x.Request))
	ln.text(key.requestID, x.RequestID)
	if x.Trace.Valid() {
		ln.trace(key, &x.Trace)
	}
	ln.text(errorTypeKey, x.ErrorType)
	ln.cause(x.Cause)
	if x.Panic != nil {
		ln.text(key.panicType, text.Cut(fmt.Sprintf("%T", x.Panic), most))
		ln.text(key.panicMessage, text.Cut(fmt.Sprint(x.Panic), most))
		ln.text(key.panicStack, string(x.Stack))
	}
	if x.LongLived {
		ln.yes(longLivedKey)
	}
	if suppressed > 0 {
		ln.uint(suppressedKey, suppressed)
	}
	for _, h := range n.own {
		if h.log == l {
			ln.text(h.key, h.value)
		}
	}
}

// reserved says whether a line may have an attribute of that name already.
func (s *logSettings) reserved(name string) bool {
	switch name {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "error.type", "handrail.policy",
		"handrail.reason", "duration_ms", "event.duration", "suppressed", "long_lived", "count":
		return true
	}
	k := schemaNames[s.schema]
	all := []key{k.method, k.route, k.path, k.query, k.status, k.requestSize, k.responseSize,
		k.client, k.agent, k.host, k.version, k.requestID, k.traceID, k.spanID, k.flags,
		k.panicType, k.panicMessage, k.panicStack}
	return slices.ContainsFunc(append(all, s.headerKeys...), func(k key) bool { return k.name == name })
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
			a.Value = slog.StringValue(text.Cut(a.Value.String(), s.maxValue))
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
				a.Value = slog.StringValue(text.Cut(fmt.Sprint(err), s.maxValue))
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
