// Package handrail is a toolkit of small net/http middleware packages for services
// that stay up under more load than they can bear and beside things that fail.
// Each is useful alone, and its package comment is its manual:
//
//	shed        refuses what cannot be served in time, the least important first
//	timeout     answers at the deadline, whatever the handler does
//	retry       repeats what failed, within a budget
//	breaker     stops asking what fails, until it is back
//	bulkhead    bounds how many are served at once, by tenant and operation
//	observe     tells sinks of every request; an access log, request ids
//	health      answers probes from checks in the background; drains
//	load        one sampler of CPU, memory, scheduler and requests
//
// What stands beside observe takes all that to where it is looked at:
//
//	observe/prom        Prometheus, with exemplars and native histograms
//	observe/trace       OpenTelemetry spans, W3C and X-Ray
//	observe/cloudwatch  embedded metrics and batches of log records
//	observe/live        a page that draws what is happening now
//	shed/sim            tries settings in virtual time
//
// This package holds what they share: [Chain] to stack them, [Priority], keys
// ([KeyFunc], [ByRoute], [ByMux], [ByHeader]), [Rejection], metrics ([Source]) and
// [OptionError].
//
// # One grammar
//
// Each policy has New, which returns all faults of its options at once, Middleware,
// which panics where New fails, Wrap for handlers, Stats for people, and Collect for
// sinks ([Source]). timeout, retry, breaker, bulkhead and observe/trace also have a
// Transport, for clients. The errors of the first four are handlers, so that a
// proxy can hand a refusal on to its client:
//
//	ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
//		var refusal http.Handler
//		if errors.As(err, &refusal) {
//			refusal.ServeHTTP(w, r)
//			return
//		}
//		w.WriteHeader(http.StatusBadGateway)
//	}
//
// What is refused is answered with an RFC 9457 problem and Retry-After
// ([Rejection]).
//
// # Stacking
//
// A middleware is a func(http.Handler) http.Handler, so the packages mix with
// any other. Where several are used, the order from the outside in is
//
//	observe → health → shed → timeout → retry → breaker → bulkhead → handler
//
// Observability is outermost so that it sees every answer, refusals included.
// Probes are answered before anything can refuse them. Shedding comes before
// anything that costs work. A bulkhead is innermost because a handler that
// outlives its timeout still occupies its slot. Retry stands outside the breaker
// so that each attempt is judged. Any other order is correct too, only less useful.
//
// # Trust
//
// Nothing a client sends changes its priority, tenant or deadline unless an
// option says so, and the documentation of that option says who may set it. What is
// remembered by key is bounded, however many keys there are, and no key becomes a
// label of a metric.
//
// # Where to begin
//
// docs/guide.md leads from a bare handler to the whole chain, by the programs in
// examples; docs/features.md names the test for each promise.
package handrail
