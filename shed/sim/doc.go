// Package sim simulates overload: it replays the shape of a load against any
// middleware, a func(http.Handler) http.Handler, in front of a model of a
// service, in virtual time. Minutes of traffic take seconds and no network, so
// that settings can be compared before they meet users, and the promises of a
// load shedder can be tests.
//
//	r, err := sim.Simulate(sim.Scenario{
//		Service: sim.Pool{Workers: 20, Time: sim.LogNormal(10*time.Millisecond, 1)},
//		Shape:   sim.Spike(0.5, 5, 10*time.Second, 10*time.Second, 20*time.Second),
//	}, func(env *sim.Env) func(http.Handler) http.Handler {
//		s, err := shed.New(
//			shed.WithSampler(env.Sampler()),
//			shed.WithPriorityHeader(sim.PriorityHeader))
//		if err != nil {
//			panic(err)
//		}
//		env.Cleanup(func() { s.Close() })
//		return s.Wrap
//	})
//	fmt.Print(r)
//
// The middleware is the real one, run by real goroutines on the fake clock of
// [testing/synctest]. It is built inside the simulation, by the function given
// to [Simulate], because its timers and channels belong to that clock. In a
// test, [Run] reports errors to it. Always run a scenario with [Bare] too, to
// see whether it overloads anything at all.
//
// # What is simulated
//
// Clients send requests at the rate of the [Shape], Poisson by default, and
// keep sending when the service is slow: an open loop, as the users of a
// public service are. Each wants an answer by its deadline, leaves then, and
// may try again after a refusal. A request carries its priority and tenant in
// headers, [PriorityHeader] and [TenantHeader], and the deadline in its
// context, which is cancelled when the client leaves. Whether the middleware
// looks at any of them is its business.
//
// The service is one of four models:
//
//   - [Pool]: so many workers, a queue in front of them. It is what a database,
//     a connection pool or another service looks like from outside. CPU is idle.
//   - [CPU]: cores shared evenly by all requests inside. More requests make
//     each slower, and none waits.
//   - [Process]: a Go process on the wire. Requests stand in the run queue
//     before any middleware has seen them, which defeats every limit on
//     requests in flight unless the middleware yields after admission.
//   - [Delay]: room for all. Whatever is refused there is a false alarm.
//
// Their times are drawn from a [Dist], and [Scenario.Slowdowns] stretch them
// for a while, as a dependency does that has trouble. [Env.Sampler] makes a
// sampler that measures the model in place of the real process.
//
// # What comes out
//
// [Result] counts, for each phase, each class and each tenant, what was
// answered in time, refused, let expire in a queue, and wasted: admitted and
// answered when nobody waited any more. Goodput is what was of use as share of
// what was possible. Latencies count from the moment of sending, so what the
// middleware makes a request wait is in them. [Result.Between] answers the
// same for any stretch of time, [Result.Windows] and [Env.Gauge] for every
// tenth of a second, and [Result.Requests] tells everything.
//
// # What to rely on
//
// The offered traffic, with its times, senders, deadlines and service times,
// depends on the scenario and its seed only: every middleware gets the same.
// What becomes of it is repeatable too, except that the order of goroutines
// that act at the very same nanosecond is the scheduler's; a burst is such a
// moment.
//
// A simulation costs one to four microseconds of real time for a request, and
// what the middleware takes. It holds 40 bytes for each request, and while it
// runs about a kilobyte for each that is not over, so an overload that nobody
// limits needs memory. One simulation keeps little more than one core busy;
// several may run at once. Under the race detector all takes five to ten times
// as long; see [RaceEnabled].
//
// # What not to do
//
// The middleware itself takes no virtual time, whatever it computes. Real time
// does not pass: a middleware that waits for a network, a file or a goroutine
// outside stops the clock.
//
// Requests of the same class and tenant share their header, and all share
// their URL, so a middleware must not change them in place; [http.Handler]
// forbids it anyway.
//
// Everything that the middleware starts has to end: goroutines that live as
// long as it does are to be stopped by [Env.Cleanup]. A simulation cannot run
// inside a bubble of testing/synctest, as it makes its own.
package sim
