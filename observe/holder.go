package observe

import (
	"context"
	"log/slog"
	"sync"
)

// holder is the context in which a handler finds what is known of its request,
// and leaves what it wants to be known. It is a thing of its own and not the
// exchange's, because a context may outlive the exchange.
type holder struct {
	context.Context
	id string
	// echo is the value of the response's header.
	echo  [1]string
	trace TraceIDs

	max   int
	mu    sync.Mutex
	attrs []slog.Attr
	lost  uint64
	over  bool
}

type holderKey struct{}

// Value implements [context.Context].
func (h *holder) Value(key any) any {
	if key == (holderKey{}) {
		return h
	}
	return h.Context.Value(key)
}

// holderOf returns the nearest one, nil if there is none.
func holderOf(ctx context.Context) *holder {
	if ctx == nil {
		return nil
	}
	h, _ := ctx.Value(holderKey{}).(*holder)
	return h
}

// outer is that of an observer further out.
func (h *holder) outer() *holder { return holderOf(h.Context) }

// AddAttrs tells the sinks more about the request that ctx belongs to: in the
// access log they stand in a group of their own. It does nothing where no
// [Observer] with WithAttrs observes the request, when the request is over, and
// beyond as many attributes as WithAttrs allows. Of several such observers it
// is the innermost.
//
// It is safe for concurrent use, from any goroutine and at any time. The values
// may be read later and elsewhere: do not change what they point to. Keys are
// for the program to choose, never for a client.
func AddAttrs(ctx context.Context, attrs ...slog.Attr) {
	for h := holderOf(ctx); h != nil; h = h.outer() {
		if h.max > 0 {
			h.add(attrs)
			return
		}
	}
}

func (h *holder) add(attrs []slog.Attr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	if room := h.max - len(h.attrs); len(attrs) > room {
		h.lost += uint64(len(attrs) - room)
		attrs = attrs[:room]
	}
	h.attrs = append(h.attrs, attrs...)
}

// end returns what was added, and ends that.
func (h *holder) end() (attrs []slog.Attr, lost uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	return h.attrs, h.lost
}
