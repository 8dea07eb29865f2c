// Package httptorture finds out what a middleware does to the handlers within
// it that it should not. It knows nothing of the middleware: each case is a
// real server, over HTTP/1.1 and over HTTP/2, a handler that uses one thing
// that net/http offers, and a client that looks at what arrives.
//
//	func TestConformance(t *testing.T) {
//		httptorture.Run(t, bulkhead.Middleware(bulkhead.Basic(100)))
//	}
//
// # What is tried
//
//   - The writer: exactly the optional interfaces that the server's own has,
//     http.ResponseController, deadlines, sendfile.
//   - The response: statuses, informational ones among them, superfluous and
//     unusual ones; headers, lengths, HEAD, 204 and 304, trailers, files and
//     ranges, what a connection is good for afterwards.
//   - Streams: Flush, clients that leave, event streams, full duplex, uploads.
//   - Ends: panics, http.ErrAbortHandler and runtime.Goexit, each before and
//     in the middle of a response, and many in a row.
//   - Takeovers: connections that are hijacked and go on afterwards.
//   - The request: all of it arrives; pattern, form and body are where the
//     server and outer middlewares look for them; 100-continue is left to the
//     handler.
//   - httputil.ReverseProxy as the handler.
//   - 64 requests at once, none of which gets what belongs to another.
//   - After each case: no goroutine is left when the server is gone.
//
// Most cases are scripts that are played with the middleware and without, and
// compared to the last header and log line. So the reference is the net/http
// that is compiled in, including its differences between the two protocols.
// Cases in which two instances could get in each other's way run a second
// time with the middleware around itself, under a name that ends in -twice.
//
// # What the middleware needs
//
// It must let requests pass as long as they do what the cases do: up to 64 at
// a time, 128 panics in a row, clients that leave, statuses 500 and up.
// Configure a limiter for no less than 64 and, so that a lost permit shows,
// for less than 128; a breaker so that it never opens; a timeout of a minute.
// What it does differently on purpose is declared: [Without], [AddsHeader],
// [LeavesGoroutine].
//
// Nothing is proven by waiting. Handlers and clients wait for each other, and
// give up after ten seconds where something never happens.
package httptorture
