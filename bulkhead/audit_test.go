package bulkhead

import "fmt"

// audit looks for what must never be, while nobody is half inside. It is exact
// at any time where all requests take the lock.
func (g *gate) audit() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	inUse, lines := g.inUse(), 0
	if inUse > 1<<31 {
		return fmt.Errorf("%d slots in use", inUse)
	}
	waiting, queued, owned := 0, 0, map[*tenant]int{}
	for p, l := range g.lines {
		lines++
		n := 0
		for i := range l.classes {
			var before *waiter
			for w := l.classes[i].first; w != nil; w = w.inLine.next {
				if w.state != 0 || w.line != l || before != nil && before.number > w.number {
					return fmt.Errorf("a waiter of class %d is out of place", i)
				}
				if !w.entitled {
					queued++
				}
				before = w
				n++
			}
			if l.classes[i].last != before {
				return fmt.Errorf("class %d ends with somebody else", i)
			}
		}
		if n == 0 || l.first == nil {
			return fmt.Errorf("a line with %d waiters exists", n)
		}
		waiting += n
		owned[l.tenant] += n
		t, o := p.tenant, p.operation
		if (l.at >= 0) == t.full() {
			return fmt.Errorf("line at %d, its tenant has %d of %d", l.at, t.inUse, t.limit)
		}
		if l.owed != (t.inUse < t.guarantee) {
			return fmt.Errorf("owed %t, its tenant has %d of %d guaranteed", l.owed, t.inUse, t.guarantee)
		}
		if (o.at >= 0) != (len(o.ready) > 0 && !o.full()) {
			return fmt.Errorf("operation at %d, with %d lines and %d of %d in use", o.at, len(o.ready), o.inUse, o.limit)
		}
		if !t.full() && !o.full() && inUse < g.rules.limit {
			return fmt.Errorf("somebody waits for a slot that is free: %d of %d, tenant %d of %d, operation %d of %d",
				inUse, g.rules.limit, t.inUse, t.limit, o.inUse, o.limit)
		}
	}
	for t, n := range owned {
		if t.waiting != n {
			return fmt.Errorf("a tenant has %d waiters and counts %d", n, t.waiting)
		}
	}
	if waiting != g.waiting || queued != g.queued {
		return fmt.Errorf("%d waiters, %d queued; counted are %d and %d", waiting, queued, g.waiting, g.queued)
	}
	if err := ordered(g.open); err != nil {
		return err
	}
	for _, o := range g.open {
		if err := ordered(o.ready); err != nil {
			return err
		}
	}
	if shut := g.state.Load()>>inUseBits == 0; shut != (waiting > 0 || g.rules.locked || g.rules.limit == 0) {
		return fmt.Errorf("the way without the lock is shut: %t, with %d waiters", shut, waiting)
	}
	return nil
}

func ordered[T ranked[T]](h heap[T]) error {
	for i, x := range h {
		if *x.place() != i {
			return fmt.Errorf("element %d says it is at %d", i, *x.place())
		}
		if i > 0 && x.before(h[(i-1)/2]) {
			return fmt.Errorf("element %d goes before its parent", i)
		}
	}
	return nil
}
