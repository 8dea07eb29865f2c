package bulkhead

// ranked is what a heap orders.
type ranked[T any] interface {
	// before says whether it goes before other.
	before(other T) bool
	// place is where it keeps its index in the heap, -1 while it is in none.
	place() *int
}

// heap is a binary heap whose elements know where they are, so that each can be
// moved and removed.
type heap[T ranked[T]] []T

func (h *heap[T]) push(x T) {
	*x.place() = len(*h)
	*h = append(*h, x)
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(x T) {
	i, last := *x.place(), len(*h)-1
	if i != last {
		h.swap(i, last)
	}
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	*x.place() = -1
	if i != last {
		h.fix((*h)[i])
	}
}

// fix puts x where it belongs after its rank has changed.
func (h *heap[T]) fix(x T) {
	if i := *x.place(); !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) swap(i, j int) {
	s := *h
	s[i], s[j] = s[j], s[i]
	*s[i].place(), *s[j].place() = i, j
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !(*h)[i].before((*h)[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) (moved bool) {
	for {
		child := 2*i + 1
		if child >= len(*h) {
			return moved
		}
		if right := child + 1; right < len(*h) && (*h)[right].before((*h)[child]) {
			child = right
		}
		if !(*h)[child].before((*h)[i]) {
			return moved
		}
		h.swap(i, child)
		i, moved = child, true
	}
}
