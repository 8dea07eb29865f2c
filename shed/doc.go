// Package shed refuses the requests that a service cannot serve in time, so
// that the ones it can serve are.
//
// A service that is offered more than it can do does not slow down evenly. Its
// queues grow until every answer comes after its client has given up, and then
// it works at full speed for nobody; that can last long after the load is gone.
// The remedy is to refuse early and cheaply, the least important first, and
// never to refuse anything else. That needs no tuning:
//
//	http.ListenAndServe(addr, shed.Middleware()(handler))
//
// It belongs outside of everything that costs work: behind observability and
// health, before timeouts, retries, breakers and bulkheads.
//
// # Strategies
//
// [Adaptive], the default, finds from the traffic how many requests can be
// inside; it is described below. [Random] and [Priority] shed a share that a
// weighted pressure of CPU, memory, latency and errors asks for. [Circuit]
// sheds everything for a while when such signals are over their thresholds.
// [Custom] is a function of yours ([Using]). Only Adaptive looks at the queue
// itself; the others follow figures that are late by nature, and are there
// where a policy has to be that simple.
//
// # The adaptive strategy: a gate and a limit
//
// A gate stands in front of the handler. At most limit requests are inside. The
// others wait shortly in a room, in strict order: by class ([handrail.Priority]),
// first attempts before repeated ones, then by tenant with the least recent
// use first, then by arrival. So no request is shed while one that matters less
// is let in, and tenants get max–min fair shares of each class.
//
// The room bounds waiting, not only length. While less than 8 % of the requests
// are shed, or where a class with all better ones asks for less than 0.7 of the
// measured throughput, a request may wait for max(100 ms, 10 × base), twice
// that if it is critical, 1.5 times if high, and four times as long unless there
// is more demand than in calm times: that is a burst, and it passes. A
// class that just fits may wait about as long as a slow request takes in calm
// times. One that does not may wait only max(10 ms, base ÷ 2), because waiting
// could only make its answers late; a tenant that uses less than the greediest
// is spared that. Nobody waits beyond WithMaxWait, or when the request's
// deadline leaves no time for the handler.
//
// The limit follows Little's law: limit = 1.5 × throughput × base, where base is
// the latency in the handler without a queue. Latency alone cannot tell an
// overload from a slower dependency, so no change of the limit is believed
// until the throughput it caused has been seen. If a cut costs throughput in
// proportion, the service was not overloaded: the limit goes back up and base
// is learnt anew. If it costs nothing, what was cut was only queue. While the
// limit binds, it is now and then lowered on purpose to measure base again.
// While it does not bind, nothing is ever shed, and the limit relaxes to leave
// room for a burst from idle.
//
// A handler that burns CPU is a case of its own in Go: the scheduler runs a
// connection's goroutine through parsing and handler in one slice, so the
// queue stands in the scheduler, before any middleware. While goroutines queue
// for a processor, an admitted request therefore steps back once
// ([runtime.Gosched]), which lets those that stand in the queue be parsed,
// reach the gate and be ranked. The time it waits to run again is part of its
// latency, and so the limit comes down to what the processors can do.
//
// Memory is guarded apart from that: above 90 % of what the process may use
// only critical and high are let in and no more than are inside, above 95 %
// only critical; but as many requests as there are processors always are,
// because only progress frees memory.
//
// # What counts
//
// Only answered requests are throughput. Work that a client or a timeout gave
// up on is a sign that too many are inside. A panic or a status of
// 500 and above is an error; a client that left is neither an error nor a
// refusal; hijacked connections and event streams give their slot back when
// they begin and are counted apart. Errors are no reason to shed: that is a
// circuit breaker's job.
//
// # Metrics
//
// What [Shedder.Collect] tells whoever asks, such as packages prom, cloudwatch and
// live. The label name is that of WithName.
//
//	handrail_shed_in_flight_requests              gauge    name
//	handrail_shed_waiting_requests                gauge    name
//	handrail_shed_long_lived_requests             gauge    name
//	handrail_shed_limit_requests                  gauge    name
//	handrail_shed_base_latency_seconds            gauge    name
//	handrail_shed_throughput_requests_per_second  gauge    name
//	handrail_shed_pressure_ratio                  gauge    name
//	handrail_shed_circuit_state                   gauge    name
//	handrail_shed_tenants                         gauge    name
//	handrail_shed_admitted_requests_total         counter  name, priority
//	handrail_shed_refused_requests_total          counter  name, priority, reason
//	handrail_shed_gone_requests_total             counter  name
//	handrail_shed_dropped_events_total            counter  name
//
// priority is a class and reason a [Reason]; circuit_state is 0 for closed, 1 for
// open and 2 for probing.
//
// # While serving
//
// [Shedder.Update] changes every setting but WithSampler, WithMaxTenants and
// WithSeed: a dry run ends by it, limits and targets move, and those inside finish
// under the rules they came in by.
//
// # Mistakes to avoid
//
//   - Trusting a header that clients can set. WithPriorityHeader is for
//     services behind a gateway that removes it from outside requests.
//   - Marking everything critical. Critical is kept alive at the expense of the
//     rest, which works only while critical demand is below capacity.
//   - Putting it inside of a retry: repeat elsewhere, and tell the attempt
//     (WithAttempt), so that repeated requests are shed first.
//   - One Shedder for a slow upload route and a fast one: give each its own,
//     because latency is compared with itself.
//   - Shedding health checks: see WithExempt.
//   - Handlers that can hang for ever: while all slots hang, only a few requests
//     a second are let in to find out whether that is over. Use a timeout.
//
// # Known weakness
//
// A handler whose requests differ in cost by orders of magnitude, and by
// class, is judged by its mean. A limit learnt under one mix needs some
// hundred milliseconds to follow another. With fewer than about ten
// completions a second the law is slow, because it waits for evidence.
package shed
