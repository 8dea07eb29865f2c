// Package refuse tells a client that its request is not going to be served,
// at a price that can be paid while overloaded: what there is to send is
// prepared once, a refusal allocates nothing of its own, and the middleware
// does not read the request body, nor wait for it longer than a moment.
//
//	full := refuse.New(handrail.Rejection{
//		Status: 503, Code: "LOAD_SHED", Reason: "queue_full",
//		Message: "The service is overloaded.",
//	}, nil)
//	...
//	full.Write(w, r, jitter.RetryAfter(drain))
//
// # What is sent
//
// The body is an RFC 9457 problem of type "about:blank", so its title is that
// of the status; detail is the message, and code, reason and name are members
// of their own. Retry-After is in whole seconds (RFC 9110, section 10.2.3).
// Nothing may store the response (Cache-Control: no-store). Headers that were
// set outside, such as a request id or those of CORS, stay, except those that
// describe a representation which is not going to follow. The values are
// shared by all refusals: a layer further out may replace or append to them,
// but must not write into them.
//
// # Uploads
//
// Over HTTP/1 a request whose body has not been read is the expensive one to
// refuse. Left to itself, net/http reads up to 256 KiB of the body before it
// sends the first byte of the response, for as long as the client takes: who
// announces 100 bytes and sends none holds the goroutine and never gets the
// answer. http.ResponseController.EnableFullDuplex is no way out. It sends the
// answer first, but the body is then discarded at a time when net/http no
// longer looks at the outcome. If that works, the connection panics at its
// next request ("invalid concurrent Body.Read call"); if it ends with a read
// deadline, what the client sends of the body later is served as a request.
// Both as of Go 1.26.
//
// So the order stays as it is, and a read deadline bounds it:
//
//   - A body that is there, or arrives within 5 milliseconds, is discarded by
//     net/http and the connection lives on: a small POST does not pay with a
//     new TLS handshake.
//   - One that does not arrive, or of which net/http knows that 256 KiB or
//     more are missing, gets the answer now, with Connection: close. The
//     connection is then half-closed and kept for half a second, so that a
//     client which is still sending finds the answer and not a reset. The
//     goroutine is held for about a second at most; five, where a server that
//     shuts down or keeps no connections alive has to wait for the body.
//   - Where net/http closes the connection anyway, because the client asked
//     for that or expects 100 Continue (which is not sent), the answer goes
//     out at once. Left to itself, net/http would then wait for the body
//     without limit, or reset the connection under a client that is still
//     sending and so take the answer back.
//   - Where a layer outside hides the deadlines of the connection, as
//     http.TimeoutHandler does, the connection is closed after the answer,
//     which so goes out at once, but net/http then waits for the body.
//
// That a client asked over HTTP/1.1 for the connection to be closed, the copy of
// its request that httputil.ReverseProxy gives its ErrorHandler does not say. A
// refusal that is handed on from there then closes under a client that is still
// sending.
//
// A response that has to be sent before the body is judged can only be sent by
// flushing, so layers further out see a Flush for such a request, and where
// the body did not arrive its context is canceled, as net/http does after any
// error on the connection. Whoever tells refusals from departed clients has to
// look at what was refused first.
//
// HTTP/2 needs none of this: net/http sends the response and resets the stream
// with NO_ERROR (RFC 9113, section 8.1), and the connection lives on.
package refuse
