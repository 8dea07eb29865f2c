// Package observe tells what a service does with its requests: one middleware
// that looks once, and any number of sinks that are told.
//
//	lines := observe.NewJSONHandler(os.Stdout, nil)
//	slog.SetDefault(slog.New(observe.LogHandler(lines))) // the service's own lines
//	log, err := observe.NewAccessLog(lines)
//	o, err := observe.New(
//		observe.WithSink(tracing, metrics, log),
//		observe.WithRequestIDs(),
//		observe.WithAttrs(32),
//	)
//	server.Handler = o.Wrap(mux)
//
// It is the outermost middleware: outside of health, load shedding, timeouts,
// retries, breakers and bulkheads, so that it sees what they answer as well. The
// access log is here; metrics, traces and CloudWatch are in the packages below,
// and a function is a sink too, see [SinkFunc].
//
// # What is recorded
//
// An [Exchange]: the request, when it came and how long it took, the route that
// a [http.ServeMux] further in matched, the status and the sizes, and how it
// ended. That is recorded whatever happens: a return, a panic, which goes on
// with its value and its stack, [http.ErrAbortHandler], runtime.Goexit, a
// connection that is taken over, an event stream, a client that leaves.
//
// Where a policy of this toolkit decided, [Cause] names what it decided, the
// name of the instance (its WithName) and its reason: "shed", "front", "memory".
// It does so by the response writer, through any number of middlewares that
// share or unwrap it. Of several policies the innermost speaks. Of several
// attempts of a retry it is that of the one whose response was sent.
//
// A client that left before anything was sent, or while a response could no
// longer be written, is "canceled", which is neither a failure nor a success.
// An event stream that its client ends has ended as it should.
//
// All strings of an Exchange that do not stand in its Request are bounded in
// number and come from the program, not from clients, but for the request id.
// They may be labels of metrics. The route is "" where nothing matched, and
// methods outside of the standard are "_OTHER", so that nobody can make labels
// by inventing paths, methods or hosts.
//
// # Where the route gets lost
//
// A mux notes the route in the request that it was given. A middleware between
// that hands on a copy of the request, as one that sets a context value does,
// has to copy the Pattern back:
//
//	c := r.WithContext(ctx)
//	defer func() { r.Pattern = c.Pattern }()
//	next.ServeHTTP(w, c)
//
// All of this toolkit do. [http.TimeoutHandler] and other middlewares that do
// not lose it, and [http.StripPrefix] shows the pattern in front of it only.
// There, put the Observer inside, or say by WithRoute what the route is, for
// example with [handrail.ByMux].
//
// # Request ids, and what handlers add
//
// With WithRequestIDs each request has an id, which the handler finds by
// [RequestID], the client in the header X-Request-Id, and the access log in
// request_id. [LogHandler] adds it, and the trace's, to the service's own log
// lines. With WithAttrs handlers say more with [AddAttrs]: a tenant, a number of
// rows. Both hand the handler a context, and for that a copy of the request.
//
// An id that comes with the request is not taken over unless
// WithTrustedRequestID says so: then whoever can set that header chooses under
// which id its requests are found.
//
// # The access log
//
// [AccessLog] writes one line for each request to a [slog.Handler]. The message
// is constant, and the attributes are flat and called as the semantic
// conventions of OpenTelemetry call them (or ECS, see WithSchema):
//
//	http.request.method http.route url.path http.response.status_code
//	http.request.body.size http.response.body.size duration_ms client.address
//	user_agent.original network.protocol.version request_id
//	trace_id span_id trace_flags error.type handrail.policy handrail.reason
//	exception.type exception.message exception.stacktrace
//
// What has no value is left out. duration_ms is a float. What handlers added
// stands in a group, "app", so that no attribute of theirs can pass for one of
// these. There is no query, no header and no Host unless an option asks for
// them, what usually is secret by its name is redacted, be it the name of a
// header, a parameter or an attribute (WithRedacted), and values are cut. slog's
// own handlers escape what is left, and so does [NewJSONHandler]: a value cannot
// end a line or begin another.
//
// [NewJSONHandler] is the way to log to standard output. It is slog's handler for
// JSON, with the same lines and options, for the service as well as for the
// access log, one line at a time; the access log's it writes without making
// records of them.
//
// Levels are ERROR for panics and statuses of 500 and above, and INFO for the
// rest, with error.type where something was wrong. A request that a policy
// refused is no error of the service's.
//
// Writing lines is the dearest thing here, and most needed when there is least
// time for it. So refused requests are counted and told of once a second, one
// line for each policy and reason ("http requests refused", with a count, as
// WARN); of the same error on the same route there are ten lines a second, and
// the next one says how many were suppressed; and WithSampling keeps a share of
// what went well. Errors, panics and slow requests (WithSlow) are not sampled.
//
// A slog.Handler writes while its caller waits: behind a pipe that nobody
// empties, every request stands still. WithAsync puts a bounded queue between,
// which drops and counts lines when it is full. Close the log at the end, in
// order to have what was only counted, and what waits, written.
//
// # Sinks
//
// A [Sink] is told after the handler returned and before the server ends the
// response. One that is a [Starter] is told before the handler as well, and may
// give it a context; one that is a [Follower] is told when an exchange turns out
// to be long-lived. They are told in the order of WithSink: what begins a span
// comes before what is to know its ids. A sink that panics is contained and
// counted. One that blocks is not: what it takes, the client waits for.
//
// # Cost
//
// Without request ids and WithAttrs, and with sinks that set no context, a
// request costs two readings of the clock, some counters, and no allocation. A
// context costs three allocations and half a microsecond. A line of the access
// log costs a third of a microsecond and no allocation with [NewJSONHandler].
// With slog's own handlers it costs what slog needs to write it, and a little
// less, because its attributes are not copied for them. Other handlers get a copy
// and may keep it. The stack of a panic is always taken, up to 16 KiB, which is
// less than net/http does for its own log.
//
// # Mistakes to avoid
//
//   - Not being outermost: what is refused further out is not seen.
//   - Standing inside of a retry, and taking its attempts for requests.
//   - A middleware that recovers panics, inside: then there is no panic to
//     record, only the status it chose.
//   - A path, a tenant or a user as a label: count of them whom you know, and
//     tell of the others in the access log.
//   - Attributes whose keys clients can choose, or pointers to what is changed
//     afterwards.
//   - Handing the logger's handler that has a group open to NewAccessLog: then
//     the attributes are in that group, and flat no longer.
//   - Forgetting Close: the last refusals, and with WithAsync the last lines,
//     are never written.
package observe
