package health

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Server is what Shutdown shuts down: an [http.Server] is one.
type Server interface {
	Shutdown(ctx context.Context) error
}

// Drain fails readiness from now on. Everything else goes on, liveness too, and
// requests are served; see Wrap for what becomes of their connections. There is
// no way back.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drain()
}

// drain is called with the lock held.
func (h *Health) drain() {
	if h.draining.Load() {
		return
	}
	h.drainUntil = h.now() + h.set.drainDelay
	h.draining.Store(true)
	h.publish()
}

// Shutdown takes the instance out of service so that no request fails: it fails
// readiness, lets the servers go on for the delay (WithDrainDelay) so that
// whoever sends requests can notice, and then shuts them down, one after the
// other, with what is left of ctx. The delay counts from the first Drain or
// Shutdown, and takes at most half of the time that ctx leaves; it ends with
// ctx. A server that answers probes for the others comes last. It returns the
// errors of the servers, joined, and may be called again.
//
// As of Go 1.26, an HTTP/2 connection that was accepted just before the server
// shuts down and is never used keeps it waiting until ctx is over, or the
// server's IdleTimeout; then no request has failed, but where ctx is over the
// error is that of ctx.
//
// It does not Close the Health: liveness is answered to the end.
func (h *Health) Shutdown(ctx context.Context, servers ...Server) error {
	h.Drain()
	h.mu.Lock()
	now := h.now()
	if deadline, ok := ctx.Deadline(); ok {
		h.drainUntil = min(h.drainUntil, now+deadline.Sub(h.set.clock())/2)
	}
	rest := h.drainUntil - now
	h.mu.Unlock()
	if rest > 0 {
		h.set.sleep(ctx, rest)
	}
	var errs []error
	for i, s := range servers {
		if s == nil {
			errs = append(errs, fmt.Errorf("health: Shutdown: server %d is nil", i))
			continue
		}
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
