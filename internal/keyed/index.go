package keyed

import "sync/atomic"

// smallestIndex is how many buckets an index starts with.
const smallestIndex = 16

// index finds entries by key: a hash table of singly linked chains, written
// under the map's lock and read without. A reader may miss an entry while the
// index is being rebuilt or a neighbour removed, and then has to ask again
// under the lock; it never finds one it did not look for.
type index[V any] struct {
	mask    uint64
	buckets []atomic.Pointer[entry[V]]
}

// newIndex returns an empty index with at least size buckets.
func newIndex[V any](size int) *index[V] {
	n := 1
	for n < size {
		n *= 2
	}
	return &index[V]{mask: uint64(n - 1), buckets: make([]atomic.Pointer[entry[V]], n)}
}

func (ix *index[V]) find(hash uint64, key string) *entry[V] {
	e := ix.buckets[hash&ix.mask].Load()
	for e != nil && (e.hash != hash || e.key != key) {
		e = e.next.Load()
	}
	return e
}

// add makes e the first of its chain. If e is in an older index, its chain
// there now continues in this one, where a reader still comes to an end.
func (ix *index[V]) add(e *entry[V]) {
	bucket := &ix.buckets[e.hash&ix.mask]
	e.next.Store(bucket.Load())
	bucket.Store(e)
}

// remove unlinks e but leaves its own link, for readers that stand on it.
func (ix *index[V]) remove(e *entry[V]) {
	link := &ix.buckets[e.hash&ix.mask]
	for at := link.Load(); at != e; at = link.Load() {
		link = &at.next
	}
	link.Store(e.next.Load())
}
