// Package live is a page that draws what a service is doing now: in a browser,
// moving, from the same sources as the metrics.
//
//	mux.Handle("/debug/live/", live.Page(observer, shedder, limit, again, circuit, hold, sampler, checks))
//
// It is for the minutes in which somebody looks: while an overload is tried out,
// while a limit is set, while the pager has called and the dashboards are a
// scrape behind. It remembers nothing: a plot begins when its browser comes and
// keeps ten minutes. Dashboards and alerts are for the rest of the time.
//
// # What is drawn
//
// A plot is there where one of the sources ([handrail.Source]) has its metrics,
// so the page is as long as the stack is rich:
//
//   - Of an observer (package observe): requests by outcome, what is in flight,
//     event streams.
//   - Of a load sampler: latency percentiles, CPU, memory, errors and pressure,
//     goroutines that wait for a CPU and for how long.
//   - Of a shedder: slots against the limit and who waits, what is shed by
//     class and by reason, its pressure.
//   - Of a breaker: circuits by state, results and refusals.
//   - Of a bulkhead: slots and queue, rejections, how long the queue took.
//   - Of a timeout: what was not done in time, handlers that still run.
//   - Of a retrier: repeats, recoveries, what was given up.
//   - Of health: what probes are told, and each check.
//   - Of the Go runtime: goroutines, memory, pauses (WithRuntimePlots).
//
// Sources may be several of a kind: each has curves of its own, with the name of
// its instance (WithName of that package) where names differ, and with a number
// where they do not. A source without a plot, such as a sink, does no harm.
//
// Rates are what counters grew by since the last point, per second; a counter
// that is lower than before began again at 0. Percentiles of a histogram are of
// what it took in since the last point, spread evenly within a bucket. What is
// not known has no point: the curve has a gap. A source or curve that appears
// while a page is open is drawn once the page is loaded again; one that
// disappears has a gap until it comes back. At most 48 curves share a plot.
//
// Numbers have SI prefixes: 500m is a half, 2k are two thousand. A question mark
// above each plot says what it shows. The search finds plots by the names of
// metrics, the buttons filter them.
//
// # What it costs
//
// Nothing while nobody looks: no goroutine runs and no source is asked. While
// somebody does, all sources are asked once per interval (WithInterval, 1 s),
// however many browsers there are, and once more when the first of them comes. A browser that is too slow misses points and
// holds up nobody; one that takes nothing for 10 s, or gives no sign of life for
// 90 s, is disconnected. There are at most WithMaxViewers, 16, of them.
//
// [Display.Close] ends all of that. It belongs beside Shutdown of the server,
// which leaves such connections alone.
//
// # Who may see it
//
// Do not expose it to the internet. It tells how much a service can take, where
// it gives way, and whether an attack works, and each viewer costs a connection.
// Mount it on a server for operators, on an address that only they reach. Where
// it has to share one, WithAuthorize is asked for the page, its files and its
// stream alike, about what a browser sends with all three: a cookie, a client's
// certificate, what a proxy adds. It only says yes or no. What has to ask for a
// password or to lead to a login is a handler around the page.
//
// The stream is a WebSocket. It is refused to pages of other origins: the host
// of Origin has to be that of Host, so a proxy in between has to keep Host. The
// page loads nothing from elsewhere, and its Content-Security-Policy says so. The
// connection is taken over from the server (HTTP/1.1, RFC 6455); over TLS,
// browsers open one beside that of HTTP/2, so a server has to offer both, as
// net/http does unless told otherwise.
//
// Inside of a chain of this toolkit it counts as a long-lived exchange and not
// as a slow request. In an overload, though, it is better mounted outside, where
// it cannot be shed.
//
// # The library
//
// The drawing is that of github.com/arl/statsviz, version 0.8, whose page this
// is, fed by this package in its own way: its plots for users cannot be filtered,
// come after two dozen others, and have no gaps. What page and server say to one
// another is not part of its promises, so try a newer version before you use it.
package live
