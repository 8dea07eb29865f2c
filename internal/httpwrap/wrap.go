package httpwrap

import (
	"net/http"
	"sync"
)

// maxDepth bounds how many wrappers are looked through, should a foreign one
// unwrap to itself.
const maxDepth = 64

type unwrapper interface{ Unwrap() http.ResponseWriter }

// recorded is what all writers of this package are, and no other.
type recorded interface{ recorder() *Recorder }

var pool = sync.Pool{New: func() any {
	p := new(plain)
	p.rec.home = p
	return p
}}

// Wrap returns a writer to hand to the next handler, and the recorder of what
// goes through it. Where w is a writer of this package, both are w's and
// owner is false; else they are new, owner is true, and the caller has to
// call [Recorder.Release] in a defer. w must not be nil.
//
// For the server's own writers nothing is allocated, once the pool is warm.
func Wrap(w http.ResponseWriter) (rw http.ResponseWriter, rec *Recorder, owner bool) {
	if own, ok := w.(recorded); ok {
		return w, own.recorder(), false
	}
	p := pool.Get().(*plain)
	r := &p.rec
	p.w = w
	switch t := w.(type) {
	case unwrapper:
		r.outer = Find(w)
	case Barrier:
		r.outer = t.Exchange()
	}
	switch Protocol(w) {
	case 1:
		return (*http1)(p), r, true
	case 2:
		return (*http2)(p), r, true
	}
	return offering(Capabilities(w), p), r, true
}

// Barrier is a writer that is part of an exchange and must not be unwrapped,
// because it has to be able to cut off the handlers within, as that of a
// timeout does. Wrap and Find see past it what may be seen.
type Barrier interface {
	http.ResponseWriter
	// Exchange is the recorder further out, nil if there is none. It must
	// stay usable as long as a handler within runs, see [Recorder.Retain].
	Exchange() *Recorder
}

// Find returns the recorder of w, or else of the nearest writer that w
// unwraps to or is a [Barrier] before, and nil if there is none.
func Find(w http.ResponseWriter) *Recorder {
	for range maxDepth {
		switch t := w.(type) {
		case recorded:
			return t.recorder()
		case Barrier:
			return t.Exchange()
		case unwrapper:
			w = t.Unwrap()
		default:
			return nil
		}
	}
	return nil
}

// Server returns the writer that w leads to through nothing but writers of
// this package, if that can do what net/http's own of HTTP/1 can, and nil
// otherwise: what is written to w then reaches the connection as it is.
func Server(w http.ResponseWriter) http.ResponseWriter {
	for range maxDepth {
		if own, ok := w.(recorded); ok {
			w = own.recorder().home.w
			continue
		}
		if _, ok := w.(unwrapper); ok {
			return nil
		}
		if Protocol(w) == 1 {
			return w
		}
		return nil
	}
	return nil
}
