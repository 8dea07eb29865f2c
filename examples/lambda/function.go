package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/breaker"
	"github.com/handrail-go/handrail/bulkhead"
	"github.com/handrail-go/handrail/load"
	"github.com/handrail-go/handrail/observe"
	"github.com/handrail-go/handrail/observe/cloudwatch"
	"github.com/handrail-go/handrail/observe/trace"
	"github.com/handrail-go/handrail/retry"
	"github.com/handrail-go/handrail/shed"
	"github.com/handrail-go/handrail/timeout"
)

// margin is how long before the end of an invocation its request is answered:
// time to send spans and the answer.
const margin = 250 * time.Millisecond

// function is the service and all that stands around it, for as long as the
// process lives.
type function struct {
	handler  http.Handler
	sampler  *load.Sampler
	timeouts *timeout.Timeout
	metrics  *cloudwatch.Metrics
	traces   *traces
}

// newFunction makes a function whose log and metrics go to out.
func newFunction(ctx context.Context, out io.Writer, ratesURL string) (f *function, err error) {
	f = &function{traces: &traces{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if f.traces, err = newTraces(ctx); err != nil {
		return f, err
	}
	tracer, err := trace.New(trace.WithLambda())
	if err != nil {
		return f, err
	}
	service := newService(ratesURL, &http.Client{Transport: tracer.Transport(nil)})
	route := handrail.ByMux(service.ServeMux)

	if f.sampler, err = load.New(); err != nil {
		return f, err
	}
	shedder, err := shed.New(shed.WithName("convert"), shed.WithSampler(f.sampler))
	if err != nil {
		return f, err
	}
	// The deadline of the invocation, less the margin, if that comes first.
	if f.timeouts, err = timeout.New(timeout.WithName("convert"), timeout.Basic(10*time.Second)); err != nil {
		return f, err
	}
	retries, err := retry.New(retry.WithName("convert"), retry.WithExponential(50*time.Millisecond, time.Second, 2))
	if err != nil {
		return f, err
	}
	circuits, err := breaker.New(breaker.WithName("convert"), breaker.WithKey(route), breaker.WithOpenFor(10*time.Second))
	if err != nil {
		return f, err
	}
	slots, err := bulkhead.New(bulkhead.WithName("convert"), bulkhead.WithLimit(64))
	if err != nil {
		return f, err
	}
	if f.metrics, err = cloudwatch.NewMetrics(out,
		cloudwatch.WithMode(cloudwatch.PerRequest),
		cloudwatch.WithService(name()),
		cloudwatch.WithLineLevel("INFO"), // or they vanish where only WARN and above is kept
		cloudwatch.WithSources(retries, circuits),
	); err != nil {
		return f, err
	}
	observer, err := observe.New(
		observe.WithTrustedRequestID(), // the invocation's, which event.request sets
		observe.WithSink(tracer, f.metrics),
	)
	if err != nil {
		return f, err
	}
	f.handler = handrail.Chain(
		observer.Wrap,
		shedder.Wrap,
		f.timeouts.Wrap,
		retries.Wrap,
		circuits.Wrap,
		slots.Wrap,
	)(service)
	return f, nil
}

// name is that of the function.
func name() string {
	if name := os.Getenv("AWS_LAMBDA_FUNCTION_NAME"); name != "" {
		return name
	}
	return "convert"
}

// invoke serves one event. An error is the function's, and not an answer: it
// says that this was no request.
func (f *function) invoke(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	inner, cancel := withMargin(ctx)
	defer cancel()
	r, err := newRequest(inner, &e)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	answer := answerOf(f.handler, r)
	// The process stands still once the answer is there. What cannot be sent
	// until the deadline is sent with the next invocation.
	f.traces.flush(ctx)
	return answer, nil
}

// withMargin returns a context that ends before ctx does.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-margin))
}

// close sends what is left.
func (f *function) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
	defer cancel()
	err := f.traces.close(ctx)
	if f.metrics != nil {
		err = errors.Join(err, f.metrics.Close(ctx))
	}
	if f.sampler != nil {
		err = errors.Join(err, f.sampler.Close())
	}
	return err
}
