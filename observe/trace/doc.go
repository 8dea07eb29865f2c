// Package trace traces requests with OpenTelemetry: a span for every request
// that is served, as a sink of package observe, and one for every request that
// is sent, as a [http.RoundTripper].
//
//	tracer, err := trace.New()
//	…
//	o, err := observe.New(observe.WithSink(tracer, accessLog))
//	…
//	http.ListenAndServe(addr, o.Wrap(mux))
//	client := &http.Client{Transport: tracer.Transport(nil)}
//
// It needs the OpenTelemetry API only. Which spans are recorded and where they
// are sent is up to the SDK that the program sets up; without one nothing is
// recorded, and the context of a trace goes on from the requests that come to
// those that are sent. [Tracer] stands before the sinks that are to know its
// ids: the access log writes them, and metrics may have them as exemplars.
//
// # What a span tells
//
// The attributes of the semantic conventions for HTTP, version 1.43.0. A served
// request has http.request.method, url.path, url.scheme, client.address,
// network.protocol.version, user_agent.original and, where they are known,
// http.route and http.response.status_code; network.peer.address and port only
// where [WithClientAddress] says that the peer is not the client. One that is
// sent has url.full, server.address and server.port. The name of a span is the
// method and the route, never the path: "GET /orders/{id}".
//
// Beside them are handrail.outcome, handrail.policy and handrail.reason where a
// policy further in refused the request or it ended in another unusual way, and
// handrail.request_id and handrail.long_lived.
//
// The status is an error for 500 and above, a panic, a timeout, also one in the
// middle of an answer, and a client that left before it had its answer, which is
// what the conventions say; not for an event stream that was left, and not for
// http.ErrAbortHandler. error.type then is what the log and the metrics say. A
// panic is an event "exception" with type, message and stack.
//
// A query is never told, nor a fragment or a password in a URL, and no header
// but User-Agent. server.address of a served request comes from
// [WithServerAddress], because its Host header is the client's. Values are cut,
// to 256 bytes and 1024 for a path or URL, and made valid UTF-8: one that is not
// keeps OTLP exporters from delivering a whole batch.
//
// # Whose trace it is
//
// The parent of a served request's span is the span in its context, and without
// one what its header says: traceparent and tracestate (W3C Trace Context), else
// X-Amzn-Trace-Id of AWS X-Ray, in all the forms that AWS sends, see [XRay].
// [WithPropagators] says otherwise. A sent request gets both headers. Baggage is
// not read unless you ask for it.
//
// A traceparent lets a client choose the ids, and with a parent-based sampler
// whether it is recorded, which costs money. Where anyone can reach the service,
// use [WithPublicEndpoint]: the trace is then its own, and linked with what the
// client named.
//
// # AWS X-Ray
//
// X-Ray takes spans as OpenTelemetry exports them, and since 2023 also those
// with random ids, so no special generator of ids is needed. There is no
// exporter here; use one of these behind the SDK's OTLP exporter:
//
//   - The CloudWatch agent (1.300030 or later) or the ADOT collector (0.34 or
//     later) beside the service, with otlptracehttp or otlptracegrpc sending to
//     it. It adds credentials and batches.
//   - X-Ray's own endpoint https://xray.REGION.amazonaws.com/v1/traces, over
//     HTTP. It wants requests signed (SigV4), so give otlptracehttp a client
//     that signs, and needs Transaction Search to be on.
//
// In AWS Lambda, use [WithLambda], and flush the provider before each invocation
// ends: what is gathered is frozen with the function.
//
// AWS's own SDK for X-Ray is in maintenance since February 2026, and the
// propagator of OpenTelemetry's contributions is deprecated; it begins a new
// trace at a load balancer's header, which names no parent.
//
// # Clients
//
// [Tracer.Transport] stands innermost, behind retry, breaker and bulkhead, so
// that each attempt has its span ([WithAttemptHeader] numbers them), and what
// was not sent has none. Outside of them there is one span for all attempts,
// with the refusals: error.type is then breaker_open or bulkhead_full.
//
// # Cost
//
// A recorded request costs two allocations here, its context and its attributes;
// the rest is the SDK's and the observer's. One that is not recorded costs the
// context, and none of its attributes is built. That is why a sampler does not
// see them: [WithSamplerAttributes] shows them to it.
//
// # Mistakes to avoid
//
//   - otelhttp around it or within: each request has two spans.
//   - [WithAttributes] with a query, a cookie or Authorization: spans are read
//     by more people than the database is.
//   - A response body that is never closed: its span never ends, and is never
//     exported.
//   - A sampler without sdktrace.ParentBased: each service decides alone, and
//     traces have holes.
//   - A provider that is never shut down: the last batch is lost.
package trace
