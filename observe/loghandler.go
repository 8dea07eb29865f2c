package observe

import (
	"context"
	"log/slog"
)

// LogHandler adds to each record the ids of the request that its context belongs
// to, request_id, trace_id and span_id, so that a service's own log lines can be
// found together with the access log's:
//
//	logger := slog.New(observe.LogHandler(observe.NewJSONHandler(os.Stdout, nil)))
//	logger.InfoContext(r.Context(), "stored", "rows", n)
//
// They stand at the top, also where the logger has a group. The trace's are
// those of the span that a tracing sink began for the request. It panics where h
// is nil.
func LogHandler(h slog.Handler) slog.Handler {
	if h == nil {
		panic("observe: LogHandler: the handler is nil")
	}
	return &idHandler{next: h}
}

// idHandler adds ids. Once there is a group, root is what stood before it, and
// since is what has been done to that.
type idHandler struct {
	next, root slog.Handler
	since      []func(slog.Handler) slog.Handler
}

// Enabled implements [slog.Handler].
func (h *idHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *idHandler) Handle(ctx context.Context, rec slog.Record) error {
	var space [3]slog.Attr
	attrs := idsOf(ctx, space[:0])
	switch {
	case len(attrs) == 0:
		return h.next.Handle(ctx, rec)
	case len(h.since) == 0:
		rec = rec.Clone()
		rec.AddAttrs(attrs...)
		return h.next.Handle(ctx, rec)
	}
	next := h.root.WithAttrs(append([]slog.Attr(nil), attrs...))
	for _, do := range h.since {
		next = do(next)
	}
	return next.Handle(ctx, rec)
}

// idsOf appends the ids of a context.
func idsOf(ctx context.Context, attrs []slog.Attr) []slog.Attr {
	if id := RequestID(ctx); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	for h := holderOf(ctx); h != nil; h = h.outer() {
		if h.trace.Valid() {
			trace, span := h.trace.text()
			attrs = append(attrs, slog.String("trace_id", trace), slog.String("span_id", span))
			break
		}
	}
	return attrs
}

// WithAttrs implements [slog.Handler].
func (h *idHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.with(false, func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h *idHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(true, func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *idHandler) with(group bool, do func(slog.Handler) slog.Handler) slog.Handler {
	out := &idHandler{next: do(h.next)}
	switch {
	case len(h.since) > 0:
		out.root = h.root
		out.since = append(append(out.since, h.since...), do)
	case group:
		out.root = h.next
		out.since = append(out.since, do)
	}
	return out
}
