package sim

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a fixed number of workers with a queue in front of them, first come
// first served: a connection pool, a thread pool, a dependency with a limit.
// It costs no CPU.
type Pool struct {
	// Workers serve one request at a time each, 1 to 1,000,000.
	Workers int
	// Time a worker takes for a request.
	Time Dist
}

// Capacity is the number of workers divided by the mean time.
func (p Pool) Capacity() float64 { return rate(p.Workers, mean(p.Time)) }

func (p Pool) faults() []string {
	return append(countFaults("Workers", p.Workers), timeFaults(p.Time)...)
}

func (p Pool) draw(r *rand.Rand) time.Duration { return p.Time.Draw(r) }

func (p Pool) start(c clock) model { return &pool{clock: c, free: p.Workers} }

type pool struct {
	direct
	clock

	mu      sync.Mutex
	free    int
	queue   fifo[*waiting]
	dropped atomic.Bool
}

// waiting is a request in a queue.
type waiting struct {
	turn chan struct{} // closed when it is its turn
	left bool
}

func (p *pool) work(a *attempt, gone <-chan struct{}) {
	p.mu.Lock()
	switch {
	case p.dropped.Load():
		p.mu.Unlock()
		return
	case p.free > 0:
		p.free--
		p.mu.Unlock()
	default:
		w := &waiting{turn: make(chan struct{})}
		p.queue.push(w)
		p.mu.Unlock()
		if !p.wait(w, gone) {
			return
		}
	}
	if !p.dropped.Load() {
		spend(p.takes(a.need), gone)
	}
	p.mu.Lock()
	p.next()
	p.mu.Unlock()
}

// wait returns whether the request has got a worker.
func (p *pool) wait(w *waiting, gone <-chan struct{}) bool {
	if gone == nil {
		<-w.turn
		return true
	}
	select {
	case <-w.turn:
	case <-gone:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-w.turn:
		return true
	default:
		w.left = true
		return false
	}
}

// next hands the worker on that has become free.
func (p *pool) next() {
	for {
		w, ok := p.queue.pop()
		if !ok {
			p.free++
			return
		}
		if !w.left {
			close(w.turn)
			return
		}
	}
}

func (p *pool) drop() {
	p.dropped.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		w, ok := p.queue.pop()
		if !ok {
			return
		}
		p.free-- // as if there was a worker for it
		close(w.turn)
	}
}

// fifo is a queue whose memory is what it holds, or held at its longest.
type fifo[T any] struct {
	ring        []T
	first, size int
}

func (f *fifo[T]) push(v T) {
	if f.size == len(f.ring) {
		f.grow()
	}
	f.ring[(f.first+f.size)&(len(f.ring)-1)] = v
	f.size++
}

func (f *fifo[T]) pushFront(v T) {
	if f.size == len(f.ring) {
		f.grow()
	}
	f.first = (f.first - 1) & (len(f.ring) - 1)
	f.ring[f.first] = v
	f.size++
}

func (f *fifo[T]) grow() {
	ring := make([]T, max(16, 2*len(f.ring)))
	n := copy(ring, f.ring[f.first:])
	copy(ring[n:], f.ring[:f.first])
	f.ring, f.first = ring, 0
}

func (f *fifo[T]) pop() (v T, ok bool) {
	if f.size == 0 {
		return v, false
	}
	var zero T
	v, f.ring[f.first] = f.ring[f.first], zero
	f.first = (f.first + 1) & (len(f.ring) - 1)
	f.size--
	return v, true
}
