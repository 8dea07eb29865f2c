package health

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/option"
)

// maxChecks bounds how many checks there are, and so the size of an answer.
const maxChecks = 256

// Health runs checks in the background and answers probes from what they found.
// Its methods are safe for concurrent use.
type Health struct {
	set   settings
	epoch time.Time

	snapshot atomic.Pointer[snapshot]
	draining atomic.Bool

	ctx    context.Context
	cancel context.CancelFunc
	log    *notify.Queue[Transition]

	mu         sync.Mutex
	checks     []*check
	drainUntil time.Duration // when servers may be shut down
	closed     bool
	closedAt   time.Duration // what was stale then stays so, and nothing becomes it
	started    bool
	runners    sync.WaitGroup
}

// New returns a Health, whose checks begin to run at once. All faults of the
// options are returned together, joined, each a *[handrail.OptionError]. Close
// ends the checks.
func New(opts ...Option) (*Health, error) {
	h := &Health{set: defaults()}
	h.set.apply(opts)
	h.epoch = h.set.clock()
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.log = notify.New(h.write)
	taken := map[string]bool{}
	for _, r := range h.set.checks {
		c, err := h.newCheck("WithCheck", r)
		if err != nil {
			h.set.Add(err)
		} else if taken[r.name] {
			h.set.Fault("WithCheck", r.name, "is the name of two checks")
		}
		taken[r.name] = true
		h.checks = append(h.checks, c)
	}
	if n := len(h.checks); n > maxChecks {
		h.set.Fault("WithCheck", n, "must not be more than 256 checks")
	}
	if err := h.set.Err(); err != nil {
		h.cancel()
		return nil, err
	}
	h.set.checks = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publish()
	for _, c := range h.checks {
		h.start(c)
	}
	return h, nil
}

// Middleware is New and Wrap in one, for a Health that lives as long as the
// process and whose statistics nobody asks for. It panics where New returns an
// error.
func Middleware(opts ...Option) func(http.Handler) http.Handler {
	h, err := New(opts...)
	if err != nil {
		panic(err)
	}
	return h.Wrap
}

// now is the time since New on a monotonic clock: one that is set does not move
// it, and it goes on while the process is frozen.
func (h *Health) now() time.Duration { return h.set.clock().Sub(h.epoch) }

// Add adds a check while serving, as WithCheck does at the beginning. Its faults
// are returned together, joined, each a *[handrail.OptionError]; after Close it
// returns [http.ErrServerClosed].
func (h *Health) Add(name string, of Check, opts ...CheckOption) error {
	c, err := h.newCheck("Add", registration{name, of, opts})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.refuses(name); err != nil {
		c.cancel()
		return err
	}
	c.addedAt, c.returnedAt = h.now(), h.now()
	h.checks = append(h.checks, c)
	h.publish()
	h.start(c)
	return nil
}

// refuses says why there cannot be one more check, of that name. It is called
// with the lock held.
func (h *Health) refuses(name string) error {
	if h.closed {
		return http.ErrServerClosed
	}
	if slices.ContainsFunc(h.checks, func(c *check) bool { return c.name == name }) {
		return &handrail.OptionError{Package: "health", Option: "Add", Value: name, Reason: "is the name of another check"}
	}
	if len(h.checks) == maxChecks {
		return &handrail.OptionError{Package: "health", Option: "Add", Value: name, Reason: "there are 256 checks already"}
	}
	return nil
}

// Remove ends a check and says whether there was one of that name. A run that
// is under way has its context canceled, and is not waited for.
func (h *Health) Remove(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.checks, func(c *check) bool { return c.name == name })
	if i < 0 {
		return false
	}
	c := h.checks[i]
	c.cancel()
	c.removed = true
	h.checks = slices.Delete(h.checks, i, i+1)
	h.publish()
	return true
}

// newCheck makes a check of what an option told.
func (h *Health) newCheck(told string, r registration) (*check, error) {
	set := usualSettings()
	set.kind = kindOf(r.check)
	set.apply(h.set.usual)
	set.apply(r.check.usual)
	set.apply(r.opts)
	set.settle()
	faults := option.Faults{Package: "health"}
	switch {
	case !validName(r.name):
		faults.Fault(told, r.name, `must be 1 to 64 of letters, digits, "-", "_", "." and "/", without a slash at either end`)
	case r.name == shutdown:
		faults.Fault(told, r.name, "is what readiness calls that the instance is going down")
	}
	wrong := r.check.faults.Err()
	faults.Add(within(told+": "+r.name, wrong)...)
	faults.Add(within(told+": "+r.name, set.Err())...)
	if r.check.run == nil && wrong == nil {
		faults.Fault(told, r.name, "needs a check")
	}
	if r.check.load && set.groups&Live != 0 {
		faults.Fault(told, r.name, "tells how busy the process is, which must not have it restarted: keep it out of Live")
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	c := &check{name: r.name, run: r.check.run, set: set, state: set.initially, shown: set.shown(set.initially)}
	c.ctx, c.cancel = context.WithCancel(h.ctx)
	return c, nil
}

func kindOf(c Check) string {
	if c.kind == "" {
		return "component"
	}
	return c.kind
}

func validName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '/' || name[len(name)-1] == '/' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '/':
		default:
			return false
		}
	}
	return true
}

// Close ends all checks. A run that is under way has its context canceled, and
// is not waited for. Readiness fails from then on, as after Drain, and the other
// groups stay as they are. It returns nil, also when called again.
func (h *Health) Close() error {
	h.mu.Lock()
	if !h.closed {
		h.drain()
		h.closed, h.closedAt = true, h.now()
		h.cancel()
		h.publish()
	}
	h.mu.Unlock()
	h.runners.Wait()
	return nil
}

func (a About) clone() About {
	a.Notes, a.Links = slices.Clone(a.Notes), maps.Clone(a.Links)
	return a
}
