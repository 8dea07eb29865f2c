package trace

import (
	"context"
	"io"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// body ends the span of its response. It may be closed from another goroutine
// than that which reads.
type body struct {
	io.ReadCloser
	span   trace.Span
	ctx    context.Context // the caller's
	stream bool
	over   atomic.Bool
}

// Read reads the body.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.over.CompareAndSwap(false, true) {
		// How an event stream is left is not a fault of anybody's.
		if err != io.EOF && !(b.stream && b.ctx.Err() == context.Canceled) {
			fail(b.span, b.ctx, err)
		}
		b.span.End()
	}
	return n, err
}

// Close closes the body. What the caller does not want to read is no error.
//
// The span ends before that, which fails a Read that is under way.
func (b *body) Close() error {
	if b.over.CompareAndSwap(false, true) {
		b.span.End()
	}
	return b.ReadCloser.Close()
}
