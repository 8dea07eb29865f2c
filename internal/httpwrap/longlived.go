package httpwrap

import (
	"net/http"
	"strings"
)

// LongLivedListener is told that an exchange is long-lived.
type LongLivedListener interface {
	// LongLived runs on the goroutine that made it so, from inside of the
	// call that did. It must not block.
	LongLived()
}

// LongLived reports whether the exchange lasts as long as its two sides like:
// its connection was hijacked or switched protocols (101), or its response is
// an event stream (text/event-stream). How long such a one takes says nothing
// about how the service is doing.
func (r *Recorder) LongLived() bool { return r.flags.Load()&flagLongLived != 0 }

// NotifyLongLived has l called once, the moment the exchange is known to be
// long-lived, and at once where it already is. No lock is held meanwhile.
// For an event stream that moment is the commit, or the first Flush where
// nobody within touched the header. l may be called until Release, which can
// be later than the return of the handler that l's package called.
func (r *Recorder) NotifyLongLived(l LongLivedListener) {
	r.mu.Lock()
	already := r.LongLived()
	if !already {
		r.listeners.add(l)
	}
	r.mu.Unlock()
	if already {
		l.LongLived()
	}
}

// Follow is Claim and, where that is true, NotifyLongLived, for the price of
// one of them where nothing is further out.
func (r *Recorder) Follow(owner any, l LongLivedListener) bool {
	if r.outer != nil || r.LongLived() {
		if !r.Claim(owner) {
			return false
		}
		r.NotifyLongLived(l)
		return true
	}
	r.mu.Lock()
	if !r.claim(owner) {
		r.mu.Unlock()
		return false
	}
	already := r.LongLived()
	if !already {
		r.listeners.add(l)
	}
	r.mu.Unlock()
	if already {
		l.LongLived()
	}
	return true
}

// Unsubscribe takes back one NotifyLongLived of l. It reports whether l will
// not be called for it: false means that it has been, or is just being.
func (r *Recorder) Unsubscribe(l LongLivedListener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.LongLived() {
		return false
	}
	return r.listeners.remove(l)
}

func (r *Recorder) becomeLongLived() {
	r.mu.Lock()
	if r.LongLived() {
		r.mu.Unlock()
		return
	}
	r.flags.Or(flagLongLived)
	r.mu.Unlock()
	// Nobody adds or removes any more, so they may be read without the lock.
	r.listeners.each(func(l any) { l.(LongLivedListener).LongLived() })
}

// IsEventStream knows the media type of server-sent events (HTML Standard,
// section 9.2), which is compared without regard to case and parameters.
func IsEventStream(h http.Header) bool {
	v := h["Content-Type"]
	const name = "text/event-stream"
	if len(v) == 0 || len(v[0]) < len(name) || !strings.EqualFold(v[0][:len(name)], name) {
		return false
	}
	rest := v[0][len(name):]
	return rest == "" || rest[0] == ';' || rest[0] == ' ' || rest[0] == '\t'
}
