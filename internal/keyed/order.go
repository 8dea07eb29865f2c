package keyed

// list is the order in which entries are considered for eviction, a ring
// through a root. Its methods want the map's lock.
type list[V any] struct {
	root entry[V] // root.younger is the oldest entry, root.older the youngest
	len  int
}

func (l *list[V]) init() {
	l.root.older, l.root.younger = &l.root, &l.root
}

func (l *list[V]) oldest() *entry[V] { return l.root.younger }

func (l *list[V]) pushYoung(e *entry[V]) {
	l.link(e)
	l.len++
}

func (l *list[V]) moveYoung(e *entry[V]) {
	l.unlink(e)
	l.link(e)
}

func (l *list[V]) remove(e *entry[V]) {
	l.unlink(e)
	e.older, e.younger = nil, nil
	l.len--
}

func (l *list[V]) link(e *entry[V]) {
	e.younger, e.older = &l.root, l.root.older
	e.older.younger, l.root.older = e, e
}

func (l *list[V]) unlink(e *entry[V]) {
	e.older.younger, e.younger.older = e.younger, e.older
}

// all yields the entries from the oldest to the youngest.
func (l *list[V]) all(yield func(*entry[V]) bool) {
	for e := l.root.younger; e != &l.root; e = e.younger {
		if !yield(e) {
			return
		}
	}
}
