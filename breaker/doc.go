// Package breaker keeps requests from what fails.
//
// Something that is down does not come back sooner for being asked, and whoever
// asks waits for an error. A circuit breaker counts what becomes of the
// requests. When too many fail it opens: requests are refused at once, which
// costs next to nothing, tells clients when to come back, and leaves what is
// down in peace. After a while it lets a few through as probes, and closes when
// they succeed.
//
//	http.ListenAndServe(addr, breaker.Middleware()(proxy))
//
// It belongs where something fails as a whole: in front of a proxy or a handler
// that lives by one dependency, or around the client that calls it
// ([Breaker.Transport]). In a chain it stands inside of load shedding, timeouts
// and retries, so that each attempt is judged, and outside of a bulkhead. The
// states are those of sony/gobreaker, which keeps the counts and decides when
// one becomes another.
//
// # When it opens
//
// After 5 failures in a row, however long they took (WithConsecutiveFailures),
// or when a request fails and half of at least 10 results of the last 10 seconds
// are failures (WithFailureRate), or by option when too many calls are slow
// (WithSlowCall). A result counts at the time it is there: requests that fail
// after half a minute open a circuit whose window is ten seconds.
//
// It is open for 1 min (WithOpenFor), by option for longer each time it has to
// open again (WithGrowth), or for as long as an upstream asks for
// (WithRetryAfter).
//
// # How it closes
//
// The first request after the open time is the first probe: nothing runs in the
// background. No more probes are under way at once than WithProbes allows, 1
// without it, and none that is not needed. When 3 have succeeded
// (WithSuccesses), the circuit closes; if one fails, it opens again. WithRamp has
// it take its traffic back bit by bit.
//
// A probe cannot wedge the circuit. One that takes longer than WithProbeTimeout
// counts as failed at that moment. One that says nothing, because its client
// left, gives its place to another. One that is hijacked, or begins an event
// stream, has succeeded.
//
// A result counts in the state in which its request was let in. One that comes
// late, from before the circuit opened or closed, changes nothing.
//
// # What counts
//
//   - A failure: a status of 500 and above except 501, 505 and 507, which come by
//     design; a panic, http.ErrAbortHandler and runtime.Goexit; a deadline that
//     passed, be it of the request's context or of a timeout further in.
//   - A success: every other status. The answer 404 comes from a service that is
//     well, and so does 429.
//   - Neither: a client that left, whatever the handler made of that, and a
//     request that another policy further in refused, such as a bulkhead or
//     another breaker. Nobody learns from those.
//
// So [net/http/httputil.ReverseProxy], which gives up with http.ErrAbortHandler
// in both cases, is judged right: a backend that dies in the middle of its body
// is a failure, a client that leaves is not. WithClassifier decides in your own
// way.
//
// # Keys
//
// [PerTenant], [PerOperation] and WithKey have a circuit for each key, so that
// what fails for one is not refused to the others. However many keys there are,
// WithMaxKeys bounds the circuits. The least recently used of the closed ones
// goes first, with what it has counted. An open one stays as long as it is open
// or somebody asks for it. If nobody did for as long as it can be open at most,
// it may go too, and OnStateChange is told. Where no place is found, keys share
// one circuit, which Stats marks.
//
// # What a refused client reads
//
// 503 with an RFC 9457 problem whose code is CIRCUIT_BREAKER_OPEN, and a
// Retry-After that is what remains of the open time; a second or two, at random,
// while the circuit is half-open or ramps up. WithFallback serves something else
// instead. Requests are refused by their headers: no body is read.
//
// # Modes
//
// A Breaker, or a single key ([Breaker.Key]), can be forced open, forced closed,
// disabled, or put in the shadow, where it decides and counts but refuses
// nobody: the way to try thresholds on real traffic. All that works while
// serving. Thresholds and times cannot be changed then: make another Breaker, whose
// circuits begin closed.
//
// # Clients
//
// [Breaker.Transport] does the same for requests that are sent, with a circuit
// for each host, and counts bodies that break off. A refusal is an [*OpenError],
// which in a proxy answers the client by itself. A balancer that has to choose asks
// [KeyControl.State].
//
// # Metrics
//
// What [Breaker.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_breaker_circuits                 gauge    name, state
//	handrail_breaker_mode                     gauge    name, mode
//	handrail_breaker_probes                   gauge    name
//	handrail_breaker_results_total            counter  name, verdict
//	handrail_breaker_late_results_total       counter  name
//	handrail_breaker_refused_requests_total   counter  name, reason
//	handrail_breaker_spared_requests_total    counter  name
//	handrail_breaker_fallbacks_total          counter  name
//	handrail_breaker_opened_total             counter  name
//	handrail_breaker_hung_probes_total        counter  name
//	handrail_breaker_evicted_keys_total       counter  name
//	handrail_breaker_forgotten_open_total     counter  name
//	handrail_breaker_shared_keys_total        counter  name
//	handrail_breaker_classifier_panics_total  counter  name
//	handrail_breaker_dropped_events_total     counter  name
//
// All are sums over the circuits: keys come from outside, and are no labels.
// circuits is how many are in each [State], mode 1 for the [Mode] that holds and 0
// for the others; verdict is a [Verdict] and reason a [Reason].
//
// # Mistakes to avoid
//
//   - One circuit for things that fail apart from each other, such as all routes
//     of a service: a report that fails closes the shop. Use keys.
//   - Failures in a row as the only measure where one stall of the machine makes
//     everything under way fail at once: five timeouts then close the service for
//     a minute. WithConsecutiveFailures(0) leaves the decision to the rate, and
//     WithOpenFor makes the minute shorter.
//   - A key that clients choose freely. Each new one has failures to spare until
//     it opens, and all together push out what others have counted.
//   - A deadline that clients choose (timeout.WithDeadlineHeader) outside of a
//     breaker: a request that was given a millisecond fails, and speaks against
//     the service. Exclude such results with a classifier, by a Duration that is
//     too short to blame anybody.
//   - Retrying inside of it: three attempts look like one slow failure. Retry
//     outside, and not what was refused.
//   - Failing a health check because a circuit is open. [Breaker.Degraded] is for
//     a report; all instances share what is down, and taking them out of service
//     one by one makes it worse.
//   - A probe timeout below what a request may take: a service that is slow but
//     fine then never comes back.
//   - Health checks and metrics behind it: see WithExempt.
package breaker
