// Package bulkhead bounds how many requests are served at once, so that what is
// slow or greedy fills its own compartment and not the ship.
//
// Without it, one slow dependency collects requests until they hold all the
// memory, connections and locks there are, and then everything is slow. A limit
// on what is inside keeps the rest of the service alive; a limit for each
// tenant and each operation keeps it alive for everybody else:
//
//	limit, err := bulkhead.New(
//		bulkhead.WithLimit(100),
//		bulkhead.PerTenant(handrail.ByHeader("X-Tenant"), 10),
//		bulkhead.PerOperation(20),
//	)
//	mux.Handle("GET /orders", limit.Wrap(orders))
//
// It is the innermost policy, next to the handler: inside of observability,
// health, load shedding, timeouts, retries and breakers. Inside of a timeout
// above all, because a handler that outlives its timeout still occupies its
// slot, and gives it back when it returns. Where the right limit is not known,
// package shed finds it from the traffic; a bulkhead is for limits that are
// known, such as that of a connection pool, and for dividing them up.
//
// # What a request needs
//
// One slot of the limit for all (100 unless an option says otherwise), and
// where they are told apart, one of its tenant's (10) and one of its
// operation's (20). 0 is a limit, nobody gets in, and [Unlimited] is none. A
// request takes all its slots at once or none: those of a tenant that has
// reached its limit wait without holding anything, however many they are, and
// keep nobody else out.
//
// A slot is given back when the handler returns, also by a panic
// ([http.ErrAbortHandler] included) or runtime.Goexit. An event stream holds its
// slot until it ends, and a hijacked connection until the handler returns, even
// where the connection lives on; give such routes a bulkhead of their own.
//
// # Who waits, and who goes first
//
// Who finds no free slot waits, for at most WithMaxWait (1 s) and never beyond
// the deadline of its context, in a queue of at most WithMaxQueue (1000), of
// which one tenant may fill half (WithTenantQueue). A limit of 0 is not waited
// for. When slots become free, they go to the first in this order who can use
// them:
//
//   - Those of tenants that have fewer slots than they are guaranteed
//     (WithGuarantees). Guaranteed slots are not kept free: while their owner is
//     idle they serve others, and when it comes back, it gets the next ones that
//     are given back.
//   - The higher class, where WithPriority tells classes, with ageing: a request
//     counts as if it had come one interval (WithAgeing, 100 ms) later for each
//     class that it is below critical. So whoever has waited long enough goes
//     before those that come then, and background is not starved by a flood of
//     high requests.
//   - Who came first.
//
// Into a full queue comes only who goes before the last in it, which is refused
// in its place. The request of a client that leaves is dropped; if it is granted
// a slot at that moment, the next in the queue gets that.
//
// # What is told
//
// A rejection is answered with 503, or 429 where the tenant's own limit is the
// cause, an RFC 9457 problem with code BULKHEAD_LIMIT_EXCEEDED and one of the
// reasons global, tenant, operation, queue_full and wait_timeout, and a
// Retry-After: the time in which what waits will have been served, as far as it
// is known, spread so that not all come back at once. A client that left is none
// of that: it is counted as canceled, and noted as 499. Further out, the outcome
// of the response is bulkhead_full, or canceled.
//
// # Clients
//
// [Bulkhead.Transport] does the same for outgoing requests, with a limit for each
// host, and holds the slot until the response body is closed: a download is not
// over when its header is there. What it refuses is a [*FullError], which in a
// proxy answers the client by itself.
//
// # Behind shed
//
// Package shed begins with 32 slots (shed.WithLimits) and learns how many it takes.
// Until it has learnt more, no more than those get here, so a limit above 32, for a
// tenant or for all, does not bind: how the 32 are divided is shed's to say, by
// shed.WithTenant. Whoever tries a limit of a bulkhead looks at shed's first
// (handrail_shed_limit_requests).
//
// # While serving
//
// [Bulkhead.Update] changes every setting but WithMaxKeys: limits and those of
// single tenants, the queue, guarantees. Those inside stay, and count. Of a
// Breaker the modes can be changed, of a Shedder nearly all (shed.Shedder.Update),
// of a Timeout and a Retrier nothing.
//
// # Cost
//
// Where there is one limit and nobody waits, a request costs three atomic
// operations. With tenants and operations it takes a lock twice, for a moment,
// and looks up its accounts, of which WithMaxKeys bounds how many there are.
// Neither depends on how many keys there are or how many requests are inside.
// The queue is kept in heaps: what waits costs nothing until its turn.
//
// # Metrics
//
// What [Bulkhead.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_bulkhead_in_use_slots             gauge      name
//	handrail_bulkhead_limit_slots              gauge      name
//	handrail_bulkhead_utilization_ratio        gauge      name
//	handrail_bulkhead_waiting_requests         gauge      name, priority
//	handrail_bulkhead_exempt_requests          gauge      name
//	handrail_bulkhead_tenants                  gauge      name
//	handrail_bulkhead_operations               gauge      name
//	handrail_bulkhead_admitted_requests_total  counter    name
//	handrail_bulkhead_rejected_requests_total  counter    name, reason
//	handrail_bulkhead_canceled_requests_total  counter    name
//	handrail_bulkhead_dropped_events_total     counter    name
//	handrail_bulkhead_wait_seconds             histogram  name
//
// All are sums over tenants and operations: keys come from outside, and are no
// labels. priority is a class and reason a [Reason].
//
// # Mistakes to avoid
//
//   - A timeout inside: the slot is given back while the handler still runs, and
//     the limit bounds nothing.
//   - A retry that repeats rejections: it makes of one that is too many, many.
//   - PerOperation outside of a [http.ServeMux]: there the route is not known
//     yet, and all requests are one operation. Wrap the handlers within, or use
//     [handrail.ByMux].
//   - A tenant's key that clients can choose freely: who pretends to be many has
//     the limit of many. Use one your authentication has verified.
//   - The same Bulkhead twice along one request: it takes two slots, and requests
//     that have one each wait for each other. So does a handler that calls its
//     own service through a Transport of the same Bulkhead.
//   - A long WithMaxWait: who waits longer than its client is served for nobody.
//     Over HTTP/1, net/http notices that a client has left only once the body of
//     its request has been read, so an upload may wait for its full time.
//   - Guarantees whose sum is the whole limit: whoever has none is then served
//     only by what their owners leave over.
package bulkhead
