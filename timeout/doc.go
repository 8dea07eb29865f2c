// Package timeout ends requests at their deadlines, whatever their handlers do.
//
// A deadline in a context is a request to stop, which a handler can overlook: a
// lock, a query without a context, a loop. Then its client waits for as long as
// it takes, and so does whoever called that client. With this package the
// client has a complete answer at the deadline:
//
//	http.ListenAndServe(addr, timeout.Middleware(timeout.Basic(5*time.Second))(handler))
//
// It belongs inside of observability, health and load shedding, and outside of
// retries, breakers and bulkheads; outside of a bulkhead above all, because a
// handler that outlives its deadline still occupies its place.
//
// # At the deadline
//
// The context of the handler is done: its Err is [context.DeadlineExceeded], its
// [context.Cause] an [*Error] that names this instance. From then on the handler
// is cut off. Whatever it writes returns [http.ErrHandlerTimeout], and nothing of
// it reaches the client or the connection; its reads of the body fail.
//
// If nothing of a response is out, the client gets 503 (WithStatus) with an
// RFC 9457 problem whose code is TIMEOUT, and a Retry-After of a second or two.
// It has the headers that were set outside of this middleware, such as a
// request id or those of CORS, and none of the abandoned response.
//
// Up to 2 KiB of a response that the handler does not flush are held back, which
// is what net/http itself collects, so that they too can be replaced. A response
// that has begun beyond that cannot: it is aborted, so that the client sees a cut
// stream and never half of a response that looks whole. WithStreams has it left
// to finish instead, which is the rule for event streams (Content-Type
// text/event-stream); WithIdleTimeout then ends those that have gone silent. A
// hijacked connection is left alone, and its context does not expire. (A context
// that was derived from it before, with a later deadline of its own, relied on
// this one and has none then.)
//
// A handler that is done in time is never reported as timed out, one that comes
// back later always is. A client that leaves first is neither: it is counted as
// canceled, and noted as 499.
//
// # How much time there is
//
// The first of these that has something to say: a [Calculator]
// (WithCalculator), the tenant's (WithTenants), the operation's
// (WithOperations), the default, 30 s. Operations are routes, not paths, which
// a client could vary without end. A deadline that the request's context has
// already is never exceeded, and neither is one that the client sends, where
// WithDeadlineHeader trusts it to. A request that comes after its deadline is
// answered before any work is done.
//
// [ByComplexity], [ByPriority], [ByLoad], [ShortenUnderLoad] and [ByQuantile]
// calculate, and [Compose] combines them.
//
// # Two ways to run a handler
//
// Over HTTP/1 the handler stays on the serving goroutine, and the deadline comes
// on another. It cancels the context, gives the handler two milliseconds to come
// back, and then sends the answer itself, whole, with Connection: close. So a
// handler that heeds its context keeps its connection, and one that does not
// loses it. This takes a fraction of what http.TimeoutHandler takes, and leaves
// panics and their stacks as they are. What stands outside of the middleware,
// an access log say, sees such a request end when its handler ends.
//
// Over HTTP/2 a stream ends when its handler returns, so there the handler runs
// on a goroutine of its own and the middleware returns at the deadline. The same
// is done over HTTP/1 where a middleware of another kind has wrapped the writer,
// because what is written there may not go out before that middleware returns
// (compression), and for every writer that is not a server's, such as a
// [net/http/httptest.ResponseRecorder]. A panic comes to the serving goroutine
// with its value; the stack of the handler's goroutine is logged first.
//
// # Handlers that outlive their deadline
//
// Go has no way to stop them. They are counted (Stats.Overdue), and
// WithMaxOverdue refuses new requests while there are too many, since work for
// nobody must not pile up. What such a handler may still touch, this package
// never reuses. A panic after the deadline is logged to the server's ErrorLog.
//
// # Clients
//
// [Timeout.Transport] gives outgoing requests the same treatment: a timeout for
// the whole exchange, body included, an [*Error] when it is over, and the time
// left in the header of WithDeadlineHeader, so that nobody further down works on
// what nobody waits for. In a proxy, an Error answers the client by itself.
//
// # The server's own timeouts
//
// [http.Server.WriteTimeout] closes the connection and answers nobody; it has to
// be longer than the timeouts here. [Timeout.ConfigureServer] sets the four of
// them so that they fit.
//
// # Metrics
//
// What [Timeout.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_timeout_requests_total           counter  name
//	handrail_timeout_exceeded_requests_total  counter  name, answer
//	handrail_timeout_canceled_requests_total  counter  name
//	handrail_timeout_refused_requests_total   counter  name, reason
//	handrail_timeout_overdue_requests         gauge    name
//	handrail_timeout_long_lived_requests      gauge    name
//	handrail_timeout_chosen_min_seconds       gauge    name
//	handrail_timeout_chosen_mean_seconds      gauge    name
//	handrail_timeout_chosen_max_seconds       gauge    name
//	handrail_timeout_duration_min_seconds     gauge    name
//	handrail_timeout_duration_mean_seconds    gauge    name
//	handrail_timeout_duration_max_seconds     gauge    name
//	handrail_timeout_dropped_events_total     counter  name
//
// answer is timeout where the client got one, and aborted where the response had
// begun; reason is expired or overdue. What is chosen and how long it took are
// over all requests since the beginning.
//
// # While serving
//
// No setting can be changed. A [Calculator], and the functions of WithOperation,
// WithTenants and WithExempt, are asked for each request, and may go by what has
// changed. Make another Timeout for everything else.
//
// # Mistakes to avoid
//
//   - A bulkhead outside: it hands on the place of a handler that is still
//     running.
//   - Status 408: some clients repeat such a request at once, whatever its
//     method. 503 is for a service, 504 for a gateway.
//   - Exempting requests by what a client sends, such as Accept: text/event-stream.
//     Use WithExempt by route; event streams are known by the response.
//   - Writing a part of the response before the handler is called, without any
//     package of this toolkit outside to tell: the answer is added to it.
//   - A retry within that does not know the deadline: it is in the context.
package timeout
