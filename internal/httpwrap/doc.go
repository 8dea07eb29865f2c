// Package httpwrap is the one http.ResponseWriter wrapper of this toolkit. It
// passes everything through and remembers what became of the response: its
// status, its size, whether it was committed or hijacked, and who ended it and why.
//
// The first middleware that needs to know wraps the writer, and those further
// in find that wrapper and share it, so that a chain of any length wraps once:
//
//	rw, rec, owner := httpwrap.Wrap(w)
//	if owner {
//		defer rec.Release()
//	}
//	next.ServeHTTP(rw, r)
//
// # What it promises
//
// The wrapper offers exactly the optional interfaces that the server's own
// writer offers: for HTTP/1 Flush, FlushError, Hijack, ReadFrom, WriteString,
// CloseNotify, both deadlines and EnableFullDuplex; for HTTP/2 Push in place
// of Hijack and ReadFrom. Around a writer of another package it offers Flush
// and Hijack where http.ResponseController finds them, ReadFrom and Push
// where that writer has them itself, each tested on its own, and Unwrap for
// the rest. WriteString is always there, and FlushError wherever Flush is:
// neither promises more than Write and Flush do. CloseNotify, deprecated, is
// kept for the server's writers only.
//
// It changes nothing on the way: informational responses, trailers, second
// calls of WriteHeader (which net/http reports), statuses that net/http
// refuses, bodies where none is allowed, and panics all behave as without it.
// It never recovers. Two differences remain. net/http names the caller of a
// superfluous WriteHeader in its log, and that caller is now this package.
// And http.MaxBytesReader tells the server's writer to close the connection
// after an oversized body by a method that no other package can have
// (golang.org/issue/73754); behind a wrapper the connection closes only where
// the rest of the body is too long to be drained. So a middleware that needs
// no recorder should not wrap.
//
// # Reuse, and its danger
//
// Wrappers are pooled. A handler that lets something write after it returned
// has a bug that net/http does not forgive either: its own buffers are pooled
// as well. Here such a call gets [ErrReleased] as long as the wrapper was not
// reused, and after that it would write into the response of another request.
// Therefore a middleware that lets a handler outlive its call, as a timeout
// does, must put a writer of its own between, one that refuses late calls,
// and call [Recorder.Retain] before it returns: then nothing is reused, and
// late calls are refused for good. A hijacked connection's wrapper is never
// reused.
//
// Reading a recorder is safe from any goroutine until its Release.
package httpwrap
