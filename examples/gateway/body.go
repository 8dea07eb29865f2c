package main

import (
	"io"
	"net/http"
	"sync"
)

// kept is a request's body that stays open when it is closed before anything of
// it was read, until it is released: so a circuit that refuses the request does
// not take it from the upstream that gets it next.
//
// It also tells its end by itself. A http.Transport that has sent as much as was
// declared reads once more, and by then an upstream may have answered, on which
// the server closes the body it came from. The Transport would take that for a
// failure of the request, and cut the answer off.
type kept struct {
	io.ReadCloser
	left     int64 // of the declared length, below 0 where there is none
	mu       sync.Mutex
	released bool // Close closes
	closed   bool // was asked for before
}

// keep returns nil where there is no body to keep.
func keep(r *http.Request) *kept {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	k := &kept{ReadCloser: r.Body, left: r.ContentLength}
	if k.left == 0 {
		k.left = -1 // a body whose length a client does not know
	}
	return k
}

// Read says that somebody has the request who will not hand it back.
func (k *kept) Read(p []byte) (int, error) {
	k.mu.Lock()
	k.released = true
	k.mu.Unlock()
	if k.left == 0 {
		return 0, io.EOF
	}
	n, err := k.ReadCloser.Read(p)
	if k.left > 0 {
		k.left = max(0, k.left-int64(n))
	}
	return n, err
}

// Close may come from another goroutine than Read, and after RoundTrip.
func (k *kept) Close() error {
	k.mu.Lock()
	if !k.released {
		k.closed = true
		k.mu.Unlock()
		return nil
	}
	k.mu.Unlock()
	return k.ReadCloser.Close()
}

// again forgets that a circuit has closed it.
func (k *kept) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = false
}

// release closes it if that was asked for, and lets it be closed from here on.
func (k *kept) release() {
	k.mu.Lock()
	closed := k.closed && !k.released
	k.released = true
	k.mu.Unlock()
	if closed {
		k.ReadCloser.Close()
	}
}
