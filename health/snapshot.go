package health

import (
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// The four things a probe can ask for.
const (
	healthz = iota
	livez
	readyz
	startupz

	views
)

var (
	viewNames  = [views]string{"healthz", "livez", "readyz", "startupz"}
	viewGroups = [views]Group{All, Live, Ready, Startup}
)

// shutdown is the name under which readiness says that the instance drains.
const shutdown = "shutdown"

// snapshot is all that probes are answered from. It does not change but for
// answers that are kept once somebody has asked for them.
type snapshot struct {
	set     *settings
	entries []entry
	// until is when the first result in it becomes stale.
	until time.Duration
	views [views]view
}

// entry is a check at the moment of the snapshot.
type entry struct {
	name   string
	groups Group
	status Status
	// in is the status as each view counts it.
	in   [views]Status
	text string

	set         *checkSettings // nil for shutdown
	at          time.Time      // zero before the first result
	took        time.Duration
	measured    []Observation
	lastSuccess time.Time
	stale       bool
	stuck       bool
}

// view is what one group of checks comes to.
type view struct {
	status Status
	// brief answers a probe that asks for nothing in particular and may not see
	// details.
	brief *answer
	// kept are answers to those that ask for more, by format and by whether they
	// may see details.
	kept [formats * 2]atomic.Pointer[answer]
}

// publish makes a snapshot of what is known, and tells what has changed. It is
// called with the lock held.
func (h *Health) publish() {
	now := h.now()
	if h.closed {
		now = h.closedAt
	}
	old := h.snapshot.Load()
	s := &snapshot{set: &h.set, until: math.MaxInt64, entries: make([]entry, 0, len(h.checks)+1)}
	startups, passed := 0, 0
	for _, c := range h.checks {
		if c.set.groups&Startup != 0 {
			startups++
			if c.passed {
				passed++
			}
		}
	}
	if startups > 0 && startups == passed {
		h.started = true
	}
	for _, c := range h.checks {
		e := h.entry(c, now, &s.until)
		if e.status != c.shown {
			text, err := c.reason(e.status, e.stale)
			c.counts.transitions++
			h.tell(Transition{Check: c.name, Group: c.set.groups, From: c.shown, To: e.status, Err: err, text: text})
			c.shown = e.status
		}
		s.entries = append(s.entries, e)
	}
	s.entries = append(s.entries, h.shutdownEntry())
	for i := range s.views {
		s.conclude(i)
		if old != nil && i != healthz && old.views[i].status != s.views[i].status {
			h.tell(Transition{Group: viewGroups[i], From: old.views[i].status, To: s.views[i].status})
		}
	}
	h.snapshot.Store(s)
}

// entry says how a check is, and lowers until to when that becomes stale.
func (h *Health) entry(c *check, now time.Duration, until *time.Duration) entry {
	e := entry{
		name: c.name, groups: c.set.groups, status: c.state, set: &c.set,
		at: c.at, took: c.took, measured: c.measured, lastSuccess: c.lastSuccess, stuck: c.stuck,
	}
	over := c.passed && c.set.groups == Startup
	if staleAt := max(c.returnedAt+c.set.maxAge, c.addedAt+c.set.grace); !over {
		if now >= staleAt {
			e.stale, e.status = true, Fail
		} else if !h.closed {
			*until = min(*until, staleAt)
		}
	}
	e.status = c.set.shown(e.status)
	e.text, _ = c.reason(e.status, e.stale)
	for i, g := range viewGroups {
		if e.groups&g == 0 {
			continue
		}
		if i != healthz {
			e.in[i] = h.counted(c, g, e.status)
			e.in[healthz] = max(e.in[healthz], e.in[i])
		}
	}
	return e
}

// shown is a status as it is told.
func (s *checkSettings) shown(status Status) Status {
	if status == Fail && s.degrading {
		return Warn
	}
	return status
}

// counted is a status as a group counts it.
func (h *Health) counted(c *check, g Group, status Status) Status {
	switch {
	case g == Startup && (c.passed || h.started):
		return Pass
	case status != Unknown:
		return status
	case g == Live:
		return Pass
	case c.set.degrading:
		return Warn
	default:
		return Fail
	}
}

func (h *Health) shutdownEntry() entry {
	e := entry{name: shutdown, groups: Ready, status: Pass}
	if h.draining.Load() {
		e.status, e.text = Fail, "the instance is going down"
	}
	e.in[healthz], e.in[readyz] = e.status, e.status
	return e
}

// conclude makes a view of the entries.
func (s *snapshot) conclude(i int) {
	v := &s.views[i]
	v.status = s.status(i, nil)
	if v.status == Fail {
		v.brief = s.text(i, false, nil)
	} else {
		v.brief = fine
	}
}

// status is what a view comes to without what is excluded.
func (s *snapshot) status(view int, without *exclusion) Status {
	worst := Pass
	for i := range s.entries {
		if e := &s.entries[i]; e.in[view] > worst && !without.has(e.name) {
			worst = e.in[view]
		}
	}
	if worst == Warn && !s.set.readyOnDegraded && (view == readyz || view == healthz) {
		return Fail
	}
	return worst
}

// find returns the check of a name that a view counts, nil if there is none.
func (s *snapshot) find(view int, name string) *entry {
	for i := range s.entries {
		if e := &s.entries[i]; e.name == name && e.in[view] != Unknown {
			return e
		}
	}
	return nil
}

// code is the HTTP status for a status (the draft, section 3.1).
func code(s Status) int {
	if s == Fail {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// current returns the snapshot to answer from: the last one, unless something in
// it has become stale.
func (h *Health) current() *snapshot {
	s := h.snapshot.Load()
	if h.now() < s.until {
		return s
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now() >= h.snapshot.Load().until {
		h.publish()
	}
	return h.snapshot.Load()
}
