package trace

import (
	"context"
	"os"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const xrayHeader = "X-Amzn-Trace-Id"

// Where AWS Lambda says to which trace an invocation belongs: its Go runtime in
// the context, under a plain string, and its environment, where only one
// invocation runs at a time.
const (
	lambdaKey = "x-amzn-trace-id"
	lambdaEnv = "_X_AMZN_TRACE_ID"
)

// XRay is a propagator of AWS X-Ray's header X-Amzn-Trace-Id:
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
//
// The trace goes on in each of the forms that AWS services send:
//
//   - Root alone, as load balancers send it: there is no parent, and the root
//     sampler is asked.
//   - Parent without Sampled or with "Sampled=?": the caller left the decision
//     to us, so the root sampler is asked, which it is not for a span that has
//     a parent. So the span gets none; a [Tracer] links it with the one that
//     was named.
//   - Root with "Sampled=0" and no Parent: nothing is to be recorded. A parent
//     has to stand for that decision, or parent-based samplers would not see
//     it; it is made of the trace's id.
//   - Root with "Sampled=1" and no Parent: the root sampler is asked, and sees
//     the flag in the context's span.
//
// Fields may come in any order and letter case, with spaces around them; those
// it does not know, such as Self, Lineage or an application's own, are passed
// over. Several headers, or several values with commas between them, are tried
// in turn. A value of more than 1024 bytes, or without a valid Root, is none. Of
// what a client sent nothing but 16 and 8 bytes is taken over.
//
// Extract leaves a remote span alone that the context has already: in a
// composite, put it behind the formats that are to win.
//
// The zero value is ready. It may be used concurrently.
type XRay struct {
	// Lambda has Extract look at what the Lambda runtime says before it looks
	// at the header: the value "x-amzn-trace-id" of the context, then the
	// environment variable _X_AMZN_TRACE_ID, which is missing or wrong where
	// several invocations run at once.
	Lambda bool
}

var _ propagation.TextMapPropagator = XRay{}

// Fields returns the name of the header.
func (XRay) Fields() []string { return []string{xrayHeader} }

// Extract returns ctx with the remote span that the header names, or ctx itself.
func (x XRay) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	if sc := trace.SpanContextFromContext(ctx); sc.IsRemote() && sc.HasTraceID() {
		return ctx
	}
	h, ok := x.find(ctx, carrier)
	if !ok {
		return ctx
	}
	c := trace.SpanContextConfig{TraceID: h.root, Remote: true}
	if h.decision == yes {
		c.TraceFlags = trace.FlagsSampled
	}
	switch {
	case h.parent.IsValid() && h.decision != open:
		c.SpanID = h.parent
	case h.parent.IsValid():
		c.SpanID = h.parent
		ctx = context.WithValue(ctx, undecided{}, trace.NewSpanContext(c))
		c.SpanID = trace.SpanID{}
	case h.decision == no:
		c.SpanID = standIn(h.root)
	}
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(c))
}

func (x XRay) find(ctx context.Context, carrier propagation.TextMapCarrier) (h header, ok bool) {
	if x.Lambda {
		if v, is := ctx.Value(lambdaKey).(string); is {
			if h, ok = parse(v); ok {
				return h, true
			}
		}
		if h, ok = parse(os.Getenv(lambdaEnv)); ok {
			return h, true
		}
	}
	if several, is := carrier.(propagation.ValuesGetter); is {
		values := several.Values(xrayHeader)
		for _, v := range values[:min(len(values), maxHeaders)] {
			if h, ok = parse(v); ok {
				return h, true
			}
		}
		return h, false
	}
	return parse(carrier.Get(xrayHeader))
}

// standIn is a parent that nobody named.
func standIn(root trace.TraceID) (id trace.SpanID) {
	copy(id[:], root[8:])
	if !id.IsValid() {
		copy(id[:], root[:8])
	}
	return id
}

// undecided is the key of the parent that was dropped because it had not
// decided.
type undecided struct{}

// dropped is the parent that Extract dropped for a span that has none of its
// own.
func dropped(ctx context.Context, of trace.SpanContext) (parent trace.SpanContext, ok bool) {
	parent, ok = ctx.Value(undecided{}).(trace.SpanContext)
	return parent, ok && parent.TraceID() == of.TraceID()
}

// Inject writes the header for the span of ctx. Without a span of our own, as
// where no SDK is installed, it hands on what Extract found. The Lineage of a
// header that is there already is kept: AWS Lambda stops endless loops by it.
func (XRay) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.HasTraceID() {
		return
	}
	parent, decision := sc.SpanID(), no
	if sc.IsSampled() {
		decision = yes
	}
	if !sc.HasSpanID() {
		if decision == no {
			decision = open
		}
		if p, ok := dropped(ctx, sc); ok {
			parent = p.SpanID()
		}
	}
	h := header{root: sc.TraceID(), parent: parent, decision: decision}
	carrier.Set(xrayHeader, h.format(lineage(carrier.Get(xrayHeader))))
}
