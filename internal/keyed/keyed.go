package keyed

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Scan is how many entries are looked at, at most, to make room for a new one.
const Scan = 16

// Overflow is the key of the instance that is shared by keys without a place
// of their own. A request may have the same key, which is then another
// instance.
const Overflow = "overflow"

// Config says what a Map holds.
type Config[V any] struct {
	// Max is how many instances there may be at once, not counting the
	// overflow; at least 1.
	Max int
	// New makes the instance of a key. It must not return nil. It runs on the
	// goroutine that asked for the key, outside the map's lock, and once per
	// entry unless it panics; others that ask for the same key meanwhile wait
	// for it. It may use the map, but not with the same key.
	New func(key string) *V
	// NewOverflow makes the overflow instance when it is first needed; nil
	// means New(Overflow).
	NewOverflow func() *V
	// Idle says whether an instance that nobody has acquired may be
	// forgotten; nil means yes. It is called under the map's lock, so it must
	// be quick and must not use the map. What it looks at should only change
	// while the instance is acquired, or with time.
	Idle func(*V) bool
	// OnEvict is told of every instance that was evicted, outside the map's
	// lock, on the goroutine that needed the room; it may use the map. By then
	// the key may already have a new instance.
	OnEvict func(key string, v *V)
}

// Map is a bounded set of instances by key. It is safe for concurrent use.
type Map[V any] struct {
	config Config[V]
	seed   maphash.Seed
	index  atomic.Pointer[index[V]]

	// What a new key writes is kept off the cache line that every known key
	// reads.
	_ [64]byte

	// epoch is the time of the map: it advances with every creation.
	epoch atomic.Uint64

	overflow entry[V]

	mu         sync.Mutex
	order      list[V]
	evicted    uint64
	overflowed uint64
}

// New returns an empty map. It panics if config has no New, or a Max below 1:
// these come from code or from options checked before.
func New[V any](config Config[V]) *Map[V] {
	switch {
	case config.Max < 1:
		panic("keyed: Max must be at least 1")
	case config.New == nil:
		panic("keyed: New is missing")
	}
	m := &Map[V]{config: config, seed: maphash.MakeSeed()}
	m.overflow.key, m.overflow.shared = Overflow, true
	m.index.Store(newIndex[V](min(config.Max, smallestIndex)))
	m.order.init()
	return m
}

// Acquire returns the instance of key, made if there is none, or the overflow
// instance. It stays until Release of the returned Ref, which is to be called
// exactly once.
//
// If Config.New or OnEvict panics, so does Acquire, and nothing is acquired.
func (m *Map[V]) Acquire(key string) Ref[V] {
	hash := maphash.String(m.seed, key)
	if e := m.index.Load().find(hash, key); e != nil && e.pin() {
		if e.value.Load() != nil {
			m.touch(e)
			return Ref[V]{e}
		}
		e.unpin()
	}
	return m.acquireSlow(hash, key)
}

// touch remembers that e was used. It writes only where that is news.
func (m *Map[V]) touch(e *entry[V]) {
	if now := m.epoch.Load(); e.used.Load() != now {
		e.used.Store(now)
	}
}

func (m *Map[V]) acquireSlow(hash uint64, key string) Ref[V] {
	e, victim := m.place(hash, key)
	done := false
	defer func() {
		if !done {
			e.unpin()
		}
	}()
	if victim != nil && m.config.OnEvict != nil {
		if v := victim.value.Load(); v != nil {
			m.config.OnEvict(victim.key, v)
		}
	}
	m.materialise(e)
	done = true
	return Ref[V]{e}
}

// place returns the pinned entry for key and the one that had to go for it,
// if any.
func (m *Map[V]) place(hash uint64, key string) (e, victim *entry[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ix := m.index.Load()
	if e = ix.find(hash, key); e != nil && e.pin() {
		m.touch(e)
		return e, nil
	}
	if m.order.len == m.config.Max {
		if victim = m.evict(); victim == nil {
			m.overflowed++
			m.overflow.pin()
			return &m.overflow, nil
		}
	}
	e = newEntry[V](hash, key, m.epoch.Load())
	e.pin()
	if m.order.len == len(ix.buckets) {
		ix = newIndex[V](2 * len(ix.buckets))
		for old := range m.order.all {
			ix.add(old)
		}
		m.index.Store(ix)
	}
	ix.add(e)
	m.order.pushYoung(e)
	// A use from now on is later than this creation.
	m.epoch.Add(1)
	return e, victim
}

// evict takes an idle entry out, or returns nil if it found none. The caller
// holds the lock.
func (m *Map[V]) evict() *entry[V] {
	var used [Scan]*entry[V]
	n := 0
	now := m.epoch.Load()
	for range min(Scan, m.order.len) {
		e := m.order.oldest()
		if e.used.Load() <= e.placed && e.retire(m.config.Idle) {
			m.remove(e)
			return e
		}
		if e.used.Load() > e.placed {
			used[n] = e
			n++
		}
		e.placed = now
		m.order.moveYoung(e)
	}
	for ; n > 0; n-- {
		least := 0
		for i := 1; i < n; i++ {
			if used[i].used.Load() < used[least].used.Load() {
				least = i
			}
		}
		if e := used[least]; e.retire(m.config.Idle) {
			m.remove(e)
			return e
		}
		copy(used[least:n-1], used[least+1:n])
	}
	return nil
}

func (m *Map[V]) remove(e *entry[V]) {
	m.index.Load().remove(e)
	m.order.remove(e)
	m.evicted++
}

// materialise makes the instance of e unless it is there. Where New panics the
// entry stays without one, and whoever asks next tries again.
func (m *Map[V]) materialise(e *entry[V]) {
	if e.value.Load() != nil {
		return
	}
	e.making.Lock()
	defer e.making.Unlock()
	if e.value.Load() != nil {
		return
	}
	var v *V
	if e.shared && m.config.NewOverflow != nil {
		v = m.config.NewOverflow()
	} else {
		v = m.config.New(e.key)
	}
	if v == nil {
		panic("keyed: New returned nil")
	}
	e.value.Store(v)
}

// Find returns the instance of key if there is one, acquired as by Acquire,
// without making one, and without counting as a use. The overflow instance is
// not found.
func (m *Map[V]) Find(key string) (ref Ref[V], ok bool) {
	e := m.index.Load().find(maphash.String(m.seed, key), key)
	if e == nil || !e.pin() {
		// It may have been out of sight for a moment: the lock tells.
		m.mu.Lock()
		defer m.mu.Unlock()
		e = m.index.Load().find(maphash.String(m.seed, key), key)
		if e == nil || !e.pin() {
			return Ref[V]{}, false
		}
	}
	if e.value.Load() == nil {
		e.unpin()
		return Ref[V]{}, false
	}
	return Ref[V]{e}, true
}

// Range calls f for the instances there were when it was called, in no
// particular order, until f returns false. It does not acquire them: f is for
// reading. Some may be evicted meanwhile. The overflow instance is not among
// them. f runs outside the lock and may use the map.
func (m *Map[V]) Range(f func(key string, v *V) bool) {
	m.mu.Lock()
	entries := make([]*entry[V], 0, m.order.len)
	for e := range m.order.all {
		entries = append(entries, e)
	}
	m.mu.Unlock()
	for _, e := range entries {
		if v := e.value.Load(); v != nil && !f(e.key, v) {
			return
		}
	}
}

// Overflow returns the overflow instance for reading, nil if it was never
// needed.
func (m *Map[V]) Overflow() *V { return m.overflow.value.Load() }

// Len is how many keys have an instance, at most Config.Max.
func (m *Map[V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.order.len
}

// Stats are the figures of a map since it was made.
type Stats struct {
	// Len is how many keys have an instance now, Max how many may.
	Len, Max int
	// Evicted counts instances forgotten to make room.
	Evicted uint64
	// Overflowed counts acquisitions that got the overflow instance.
	Overflowed uint64
}

// Stats returns the figures of this moment.
func (m *Map[V]) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{
		Len:        m.order.len,
		Max:        m.config.Max,
		Evicted:    m.evicted,
		Overflowed: m.overflowed,
	}
}
