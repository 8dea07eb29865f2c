package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/handrail-go/handrail/internal/keyed"
)

// thing is what the tests keep per key.
type thing struct {
	key   string
	stuck bool // not idle although nobody has it
}

// model is the map as one would write it without regard to cost.
type model struct {
	max                 int
	entries             []*modelEntry // from the oldest place to the youngest
	epoch               int
	evicted, overflowed uint64
}

type modelEntry struct {
	key          string
	used, placed int
	pins         int
	stuck        bool
}

func (m *model) find(key string) *modelEntry {
	for _, e := range m.entries {
		if e.key == key {
			return e
		}
	}
	return nil
}

// acquire returns nil for the overflow, and the key that had to go.
func (m *model) acquire(key string) (e *modelEntry, victim string) {
	if e = m.find(key); e != nil {
		e.used = m.epoch
		e.pins++
		return e, ""
	}
	if len(m.entries) == m.max {
		v := m.victim()
		if v == nil {
			m.overflowed++
			return nil, ""
		}
		m.entries = slices.DeleteFunc(m.entries, func(e *modelEntry) bool { return e == v })
		m.evicted++
		victim = v.key
	}
	e = &modelEntry{key: key, used: m.epoch, placed: m.epoch, pins: 1}
	m.entries = append(m.entries, e)
	m.epoch++
	return e, victim
}

func (m *model) victim() *modelEntry {
	seen := slices.Clone(m.entries[:min(keyed.Scan, len(m.entries))])
	for i, e := range seen {
		if e.used <= e.placed && e.pins == 0 && !e.stuck {
			m.rotate(seen[:i])
			return e
		}
	}
	again := slices.DeleteFunc(slices.Clone(seen), func(e *modelEntry) bool {
		return e.used <= e.placed || e.pins > 0 || e.stuck
	})
	m.rotate(seen)
	slices.SortStableFunc(again, func(a, b *modelEntry) int { return a.used - b.used })
	if len(again) > 0 {
		return again[0]
	}
	return nil
}

// rotate moves the first entries, which are seen, to the young end.
func (m *model) rotate(seen []*modelEntry) {
	for _, e := range seen {
		e.placed = m.epoch
	}
	m.entries = append(m.entries[len(seen):], slices.Clone(seen)...)
}

func TestBehavesAsTheModelDoes(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compare(t, seed) })
	}
}

func compare(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	want := &model{max: 1 + random.IntN(40)}
	evicted := ""
	m := keyed.New(keyed.Config[thing]{
		Max:  want.max,
		New:  func(key string) *thing { return &thing{key: key} },
		Idle: func(v *thing) bool { return !v.stuck },
		OnEvict: func(key string, v *thing) {
			if v.key != key {
				t.Fatalf("told that %q was evicted, with the instance of %q", key, v.key)
			}
			evicted = key
		},
	})
	type held struct {
		ref keyed.Ref[thing]
		e   *modelEntry
	}
	var holding []held
	universe := want.max + 1 + random.IntN(2*want.max)
	for op := range 400 {
		key := fmt.Sprint(random.IntN(universe))
		switch choice := random.IntN(100); {
		case choice < 60:
			evicted = ""
			ref := m.Acquire(key)
			e, victim := want.acquire(key)
			if ref.Shared() != (e == nil) || evicted != victim {
				t.Fatalf("%d: Acquire(%s): shared %v, evicted %q; want %v, %q", op, key, ref.Shared(), evicted, e == nil, victim)
			}
			if e != nil && (ref.Key() != key || ref.Value().key != key) {
				t.Fatalf("%d: Acquire(%s) gave the instance of %q", op, key, ref.Value().key)
			}
			if random.IntN(3) > 0 {
				ref.Release()
				if e != nil {
					e.pins--
				}
			} else {
				holding = append(holding, held{ref, e})
			}
		case choice < 80 && len(holding) > 0:
			i := random.IntN(len(holding))
			h := holding[i]
			holding = slices.Delete(holding, i, i+1)
			if h.e != nil {
				h.e.pins--
				h.ref.Value().stuck = random.IntN(4) == 0
				h.e.stuck = h.ref.Value().stuck
			}
			h.ref.Release()
		case choice < 90:
			ref, ok := m.Find(key)
			e := want.find(key)
			if ok != (e != nil) || ok && ref.Value().key != key {
				t.Fatalf("%d: Find(%s) = %v, want %v", op, key, ok, e != nil)
			}
			ref.Release()
		default:
			var got, expected []string
			m.Range(func(key string, v *thing) bool {
				got = append(got, key)
				return v.key == key
			})
			for _, e := range want.entries {
				expected = append(expected, e.key)
			}
			slices.Sort(got)
			slices.Sort(expected)
			if !slices.Equal(got, expected) {
				t.Fatalf("%d: holds %v, want %v", op, got, expected)
			}
		}
		expected := keyed.Stats{Len: len(want.entries), Max: want.max, Evicted: want.evicted, Overflowed: want.overflowed}
		if got := m.Stats(); got != expected || got.Len != m.Len() {
			t.Fatalf("%d: %+v, want %+v", op, got, expected)
		}
	}
}
