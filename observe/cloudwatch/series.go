package cloudwatch

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// series are the figures of one label set since the last interval began.
type series struct {
	fields []byte // its dimensions as they are on a line

	mu               sync.Mutex
	closed           bool
	requests, errors uint64
	// durations is a uniform sample of all, longest is the longest of all.
	durations []time.Duration
	seen      uint64
	longest   time.Duration
}

// add counts an exchange, whose duration is negative where it is no latency.
func (s *series) add(d time.Duration, failed bool, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.requests++
	if failed {
		s.errors++
	}
	if d < 0 {
		return true
	}
	s.seen++
	s.longest = max(s.longest, d)
	if len(s.durations) < most {
		s.durations = append(s.durations, d)
	} else if i := rand.Uint64N(s.seen); i < uint64(most) {
		s.durations[i] = d
	}
	return true
}

// figures are what a label set has to tell of an interval.
type figures struct {
	requests, errors uint64
	durations        []time.Duration
}

// take returns the figures and begins anew. The durations are in scratch.
func (s *series) take(scratch []time.Duration, last bool) figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := figures{s.requests, s.errors, append(scratch[:0], s.durations...)}
	if s.seen > uint64(len(s.durations)) && !slices.Contains(f.durations, s.longest) {
		f.durations[0] = s.longest // Maximum is to be true also of a sample
	}
	if s.durations = s.durations[:0]; s.requests == 0 || last {
		s.durations = nil // who has fallen silent holds no memory
	}
	s.requests, s.errors, s.seen, s.longest = 0, 0, 0, 0
	s.closed = s.closed || last
	return f
}

// registry holds the label sets. They are never forgotten: each is metrics that
// are billed, so the bound is on all of them together.
type registry struct {
	parts parts
	most  int
	other *series
	known atomic.Pointer[map[key]*series]

	mu     sync.Mutex
	closed bool

	overflowed atomic.Uint64
}

func newRegistry(p parts, most int) *registry {
	r := &registry{parts: p, most: most, other: &series{fields: p.fields(nil, key{overflow: true})}}
	r.known.Store(&map[key]*series{})
	return r
}

func (r *registry) of(k key) *series {
	known := *r.known.Load()
	if s := known[k]; s != nil {
		return s
	}
	if len(known) >= r.most {
		r.overflowed.Add(1)
		return r.other
	}
	return r.add(k)
}

func (r *registry) add(k key) *series {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := *r.known.Load()
	if s := known[k]; s != nil {
		return s
	}
	if len(known) >= r.most || r.closed {
		r.overflowed.Add(1)
		return r.other
	}
	k = k.clone()
	s := &series{fields: r.parts.fields(nil, k)}
	grown := make(map[key]*series, len(known)+1)
	maps.Copy(grown, known)
	grown[k] = s
	r.known.Store(&grown)
	return s
}

// all returns every label set; none is added after the last time.
func (r *registry) all(last bool) []*series {
	r.mu.Lock()
	r.closed = r.closed || last
	r.mu.Unlock()
	known := *r.known.Load()
	return append(slices.Collect(maps.Values(known)), r.other)
}
