package observe

import "sync"

// queue writes lines in order on a goroutine of its own, which lives only while
// there are any.
type queue struct {
	most  int
	write func(*line)

	mu sync.Mutex
	// first to last wait; held counts the one that is being written as well.
	first, last *line
	held        int
	running     bool
	closed      bool
	// in and out number the lines that came and that were written.
	in, out uint64
	waiting []waiter
}

// waiter waits until all lines up to a number are written.
type waiter struct {
	until uint64
	done  chan struct{}
}

func newQueue(most int, write func(*line)) *queue { return &queue{most: most, write: write} }

// add reports false where there is no room.
func (q *queue) add(ln *line) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.held >= q.most {
		return false
	}
	q.in++
	q.held++
	if q.last != nil {
		q.last.next = ln
	} else {
		q.first = ln
	}
	q.last = ln
	if !q.running {
		q.running = true
		go q.run()
	}
	return true
}

func (q *queue) run() {
	done := false
	defer func() {
		if !done {
			go q.run() // runtime.Goexit in a handler
		}
	}()
	for {
		ln := q.take()
		if ln == nil {
			done = true
			return
		}
		q.pass(ln)
	}
}

// take returns the first line, and nil where there is none: then this goroutine
// ends.
func (q *queue) take() *line {
	q.mu.Lock()
	defer q.mu.Unlock()
	ln := q.first
	if ln == nil {
		q.running = false
		return nil
	}
	if q.first = ln.next; q.first == nil {
		q.last = nil
	}
	ln.next = nil
	return ln
}

func (q *queue) pass(ln *line) {
	defer q.written()
	q.write(ln)
}

// written counts a line out.
func (q *queue) written() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out++
	q.held--
	q.tell()
}

// tell tells those who wait for no more than what is out.
func (q *queue) tell() {
	left := q.waiting[:0]
	for _, w := range q.waiting {
		if w.until <= q.out {
			close(w.done)
		} else {
			left = append(left, w)
		}
	}
	clear(q.waiting[len(left):])
	q.waiting = left
}

// passed closes done when all lines so far are written.
func (q *queue) passed(done chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.out >= q.in {
		close(done)
		return
	}
	q.waiting = append(q.waiting, waiter{q.in, done})
}

// forget takes back passed.
func (q *queue) forget(done chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w.done == done {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return
		}
	}
}

// close takes no more lines, forgets those that nobody has begun to write, and
// returns how many they are.
func (q *queue) close() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for ln := q.first; ln != nil; ln = ln.next {
		n++
	}
	q.first, q.last = nil, nil
	q.held -= n
	q.in -= uint64(n)
	for i := range q.waiting {
		// What was forgotten will never be out.
		q.waiting[i].until = min(q.waiting[i].until, q.in)
	}
	q.tell()
	return n
}
