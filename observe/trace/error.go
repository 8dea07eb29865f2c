package trace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/refuse"
)

// fail makes an error the status of a span.
func fail(span trace.Span, caller context.Context, err error) {
	if !span.IsRecording() {
		return
	}
	class, r := classOf(caller, err)
	span.SetAttributes(errorType.String(class))
	if r.Name != "" {
		span.SetAttributes(policy.String(bounded(r.Name, maxValue)))
	}
	if r.Reason != "" {
		span.SetAttributes(reason.String(bounded(r.Reason, maxValue)))
	}
	// The text of a url.Error has the query.
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	text := class
	if err != nil {
		text = err.Error()
	}
	span.SetStatus(codes.Error, bounded(text, maxMessage))
}

// classOf is an error's error.type: one of a few words, or the name of its type.
func classOf(caller context.Context, err error) (class string, r handrail.Rejection) {
	var refusal refuse.Refusal
	if errors.As(err, &refusal) {
		r = refusal.Rejection()
		switch r.Code {
		case "CIRCUIT_BREAKER_OPEN":
			return "breaker_open", r
		case "BULKHEAD_LIMIT_EXCEEDED":
			return "bulkhead_full", r
		}
		return "rejected", r
	}
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	switch {
	case caller.Err() == context.Canceled || errors.Is(err, context.Canceled):
		return "canceled", r
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return "timeout", r
	case errors.As(err, &dns):
		return "name_resolution", r
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused", r
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return "connection_reset", r
	}
	return bounded(fmt.Sprintf("%T", err), maxValue), r
}
