package httpwrap

import (
	"io"
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
	if _, ok := w.(unwrapper); ok {
		r.outer = Find(w)
	}
	switch t := w.(type) {
	case serverHTTP1:
		if _, more := t.(http.Pusher); !more {
			return (*http1)(p), r, true
		}
	case serverHTTP2:
		_, hijack := t.(http.Hijacker)
		_, readFrom := t.(io.ReaderFrom)
		if !hijack && !readFrom {
			return (*http2)(p), r, true
		}
	}
	return offering(capabilities(w), p), r, true
}

// Find returns the recorder of w, or else of the nearest writer that w
// unwraps to, and nil if there is none.
func Find(w http.ResponseWriter) *Recorder {
	for range maxDepth {
		if own, ok := w.(recorded); ok {
			return own.recorder()
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
	return nil
}
