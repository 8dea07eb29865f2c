package trace

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail/observe"
)

const scope = "github.com/handrail-go/handrail/observe/trace"

// Tracer begins a span for every exchange that an [observe.Observer] shows it,
// and for every request that its [Tracer.Transport] sends. It may be used by
// several observers and concurrently, and holds nothing that must be closed.
type Tracer struct {
	set    settings
	tracer trace.Tracer
	counts counts

	// Made once, so that no request has to.
	serving, sending []trace.SpanStartOption
	server           []attribute.KeyValue
	// stale are the fields of the propagators that a request must not keep from
	// another trace. X-Ray's is not among them: it is always replaced, and its
	// Lineage stays.
	stale []string
}

var _ observe.Starter = (*Tracer)(nil)

// New makes a Tracer. It reports all faults of the options at once, each a
// *[handrail.OptionError].
func New(opts ...Option) (*Tracer, error) {
	t := new(Tracer)
	if err := t.set.apply(opts); err != nil {
		return nil, err
	}
	t.tracer = t.set.provider.Tracer(scope, trace.WithSchemaURL(schemaURL))
	t.serving = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	t.sending = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	if t.set.server != "" {
		t.server = append(t.server, serverAddress.String(bounded(t.set.server, maxValue)))
		if t.set.port != 0 {
			t.server = append(t.server, serverPort.Int(t.set.port))
		}
	}
	for _, field := range t.set.propagators.Fields() {
		if field = spelt(field); field != xrayHeader {
			t.stale = append(t.stale, field)
		}
	}
	return t, nil
}

// served is the context of a served request. It remembers which of the spans in
// it is the Tracer's own: sinks and handlers may begin further ones.
type served struct {
	context.Context
	t    *Tracer
	span trace.Span
	// attrs are those of the begin; behind them is room for those of the end.
	// What a span has been given it may keep.
	attrs []attribute.KeyValue
}

// usual is how many attributes a span has, with one or two to spare.
const usual = 11

// Value returns the served itself to the Tracer that made it.
func (s *served) Value(key any) any {
	if t, ok := key.(*Tracer); ok && t == s.t {
		return s
	}
	return s.Context.Value(key)
}

// Start begins the span of a request. Its parent is the span that the context
// has already, and otherwise the one that the header names.
func (t *Tracer) Start(x *observe.Exchange) {
	r, ctx := x.Request, x.Context()
	if ctx.Value(t) != nil {
		// Another observer further out has this Tracer too. Its span is not the
		// one to end where there is none for this exchange.
		x.SetContext(&served{Context: ctx, t: t})
	}
	if t.set.filter != nil && !t.set.filter(r) {
		t.counts.filtered.Add(1)
		return
	}
	parent := trace.SpanContextFromContext(ctx)
	if !parent.HasTraceID() {
		found := t.set.propagators.Extract(ctx, carrier(r.Header))
		parent = trace.SpanContextFromContext(found)
		if !t.set.public {
			ctx = found
		} else if p, ok := dropped(found, parent); ok {
			parent = p
		}
	}
	opts := t.serving
	if parent.IsRemote() && parent.HasTraceID() {
		t.counts.continued.Add(1)
		switch {
		case t.set.public:
			opts = append(opts[:len(opts):len(opts)], trace.WithNewRoot())
			if parent.IsValid() {
				opts = append(opts, trace.WithLinks(trace.Link{SpanContext: parent}))
			}
		case !parent.HasSpanID():
			if p, ok := dropped(ctx, parent); ok {
				opts = append(opts[:len(opts):len(opts)], trace.WithLinks(trace.Link{SpanContext: p}))
			}
		}
	}
	if t.set.sampler {
		opts = append(opts[:len(opts):len(opts)], trace.WithAttributes(t.ofServed(x)...))
	}

	ctx, span := t.tracer.Start(ctx, nameOf(x.Method), opts...)
	s := &served{Context: ctx, t: t, span: span}
	x.SetContext(s)
	if sc := span.SpanContext(); sc.IsValid() {
		x.Trace = observe.TraceIDs{TraceID: sc.TraceID(), SpanID: sc.SpanID(), Flags: byte(sc.TraceFlags())}
	}
	t.counts.served.Add(1)
	if !span.IsRecording() {
		return
	}
	t.counts.recorded.Add(1)
	if !t.set.sampler {
		s.attrs = t.ofServed(x)
		span.SetAttributes(s.attrs...)
	}
}

// ofServed are the attributes of a request that comes.
func (t *Tracer) ofServed(x *observe.Exchange) []attribute.KeyValue {
	r := x.Request
	attrs := make([]attribute.KeyValue, 0, usual)
	attrs = append(attrs, requestMethod.String(x.Method), urlPath.String(pathOf(r)), urlScheme.String(x.Scheme))
	if x.Method != r.Method {
		attrs = append(attrs, methodOriginal.String(original(r.Method)))
	}
	host, port, ok := peer(r.RemoteAddr)
	host = bounded(host, maxValue)
	if t.set.client != nil {
		if c := copied(t.set.client(r), maxValue); c != "" {
			if ok && c != host {
				attrs = append(attrs, peerAddress.String(host), peerPort.Int(port))
			}
			host, ok = c, true
		}
	}
	if ok {
		attrs = append(attrs, clientAddress.String(host))
	}
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		attrs = append(attrs, userAgent.String(bounded(agent[0], maxValue)))
	}
	if v := version(r.ProtoMajor, r.ProtoMinor); v != "" {
		attrs = append(attrs, protocolVersion.String(v))
	}
	attrs = append(attrs, t.server...)
	if t.set.attributes != nil {
		attrs = extra(attrs, t.set.attributes(r))
	}
	return attrs
}

// Observe ends the span of a request.
func (t *Tracer) Observe(x *observe.Exchange) {
	s, _ := x.Context().Value(t).(*served)
	if s == nil || s.span == nil {
		return // filtered
	}
	// Not End itself: where it is deferred, the SDK's recovers.
	defer func() { s.span.End() }()
	if !s.span.IsRecording() {
		return
	}
	attrs := s.attrs[len(s.attrs):]
	if x.Route != "" && x.Route != observe.OtherRoute {
		name := bounded(x.Route, maxValue)
		s.span.SetName(named(x.Method, name, x.Request.Pattern))
		attrs = append(attrs, route.String(name))
	}
	if x.Status != 0 {
		attrs = append(attrs, responseStatus.Int(x.Status))
	}
	if x.RequestID != "" {
		attrs = append(attrs, requestID.String(x.RequestID))
	}
	if x.LongLived {
		attrs = append(attrs, longLived.Bool(true))
	}
	if c := x.Cause; c.Outcome != "" {
		attrs = append(attrs, outcome.String(c.Outcome))
		if c.Policy != "" {
			attrs = append(attrs, policy.String(bounded(c.Policy, maxValue)))
		}
		if c.Reason != "" {
			attrs = append(attrs, reason.String(bounded(c.Reason, maxValue)))
		}
	}
	if bad, why := failed(x); bad {
		attrs = append(attrs, errorType.String(x.ErrorType))
		s.span.SetStatus(codes.Error, why)
	}
	s.span.SetAttributes(attrs...)
	if x.Panic != nil && x.Panic != any(http.ErrAbortHandler) {
		exception(s.span, x)
	}
}

// failed says whether the span's status is an error, by the section on the
// status of the conventions for HTTP spans, and describes one that
// http.response.status_code does not explain.
func failed(x *observe.Exchange) (bool, string) {
	switch x.Cause.Outcome {
	case "panic", "timeout":
		return true, x.Cause.Outcome
	case "canceled":
		// It is how most event streams end.
		return !x.LongLived, x.Cause.Outcome
	}
	return x.Status >= 500, ""
}

// exception tells what a handler panicked with, by the conventions for
// exceptions on spans.
func exception(span trace.Span, x *observe.Exchange) {
	attrs := []attribute.KeyValue{
		exceptionType.String(bounded(fmt.Sprintf("%T", x.Panic), maxValue)),
		exceptionMessage.String(bounded(fmt.Sprint(x.Panic), maxMessage)),
	}
	if len(x.Stack) > 0 {
		attrs = append(attrs, exceptionStacktrace.String(bounded(string(x.Stack), maxStack)))
	}
	span.AddEvent("exception", trace.WithAttributes(attrs...))
}

// original is a method that is none of the known ones. It is a part of the
// request line, so it is copied.
func original(method string) string {
	return strings.Clone(bounded(method, maxMethod))
}
