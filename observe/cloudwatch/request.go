package cloudwatch

import (
	"strconv"
	"time"

	"github.com/handrail-go/handrail/observe"
)

// The fields of a line about one request, beside its dimensions and metrics.
const (
	fieldLevel         = "level"
	fieldMessage       = "msg"
	fieldPath          = "url.path"
	fieldRequestBytes  = "http.request.body.size"
	fieldResponseBytes = "http.response.body.size"
	fieldRequestID     = "request_id"
	fieldTraceID       = "trace_id"
	fieldSpanID        = "span_id"
	fieldPolicy        = "handrail.policy"
	fieldReason        = "handrail.reason"
	fieldApp           = "app"
)

var requestFields = []string{fieldMessage, fieldPath, fieldRequestBytes, fieldResponseBytes, fieldRequestID,
	fieldTraceID, fieldSpanID, fieldPolicy, fieldReason, fieldApp}

// longText is how long a value may be that came from outside, in bytes before
// it is escaped.
const longText = 1024

// request writes the line of one request.
func (m *Metrics) request(s *series, x *observe.Exchange) {
	buf := getBuffer()
	defer putBuffer(buf)
	p := &m.layout.parts
	b := appendTimestamp(*buf, time.Now())
	if x.LongLived {
		b = append(b, m.layout.counts...)
	} else {
		b = append(b, m.layout.everything...)
	}
	b = append(b, s.fields...)
	b = append(b, `"http.server.requests":1,"http.server.errors":`...)
	if failed(x) {
		b = append(b, '1')
	} else {
		b = append(b, '0')
	}
	// Where the duration is no latency it is a field all the same.
	b = appendSeconds(append(b, `,"http.server.request.duration":`...), x.Duration)
	b = append(b, `,"msg":"http request",`...)
	if !p.method {
		b = appendText(b, Method, x.Method)
	}
	if !p.route {
		b = appendText(b, Route, x.Route)
	}
	if !p.status && x.Status != 0 {
		b = strconv.AppendInt(append(b, `"http.response.status_code":`...), int64(x.Status), 10)
		b = append(b, ',')
	}
	if !p.fault {
		b = appendText(b, ErrorType, x.ErrorType)
	}
	if !p.scheme {
		b = appendText(b, Scheme, x.Scheme)
	}
	if x.Request != nil && x.Request.URL != nil {
		b = appendText(b, fieldPath, x.Request.URL.Path)
	}
	if x.RequestBytes >= 0 {
		b = strconv.AppendInt(append(b, `"http.request.body.size":`...), x.RequestBytes, 10)
		b = append(b, ',')
	}
	b = strconv.AppendInt(append(b, `"http.response.body.size":`...), x.ResponseBytes, 10)
	b = append(b, ',')
	b = appendText(b, fieldRequestID, x.RequestID)
	if x.Trace.Valid() {
		b = appendHex(append(b, `"trace_id":"`...), x.Trace.TraceID[:])
		b = appendHex(append(b, `","span_id":"`...), x.Trace.SpanID[:])
		b = append(b, `",`...)
	}
	b = appendText(b, fieldPolicy, x.Cause.Policy)
	b = appendText(b, fieldReason, x.Cause.Reason)
	b[len(b)-1] = '}'
	if len(x.Attrs) > 0 {
		bare := len(b)
		b[bare-1] = ','
		b = appendAttrs(append(b, `"app":{`...), x.Attrs, 1)
		if b = append(b, '}', '}'); len(b) > MaxLine {
			b = b[:bare] // the figures matter more than what was added to them
			b[bare-1] = '}'
		}
	}
	b = append(b, '\n')
	*buf = b
	if len(b)-1 > MaxLine {
		m.dropped.add(DropSize)
		return
	}
	m.out.write(b)
}

// appendText appends a field, unless it is empty.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendField(b, name, cut(value, longText))
}
