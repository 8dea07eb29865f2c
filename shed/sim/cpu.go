package sim

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// CPU is work that needs nothing but a processor, shared evenly: with n
// requests on c cores each proceeds at min(1, c/n) of full speed (processor
// sharing). It tells the [Env.Sampler] how busy the cores are and how many
// jobs wait for one.
//
// It is the limit of time slices that are short compared with the work. A real
// Go process queues before the middleware is reached, for which see [Process].
type CPU struct {
	// Cores, 1 to 1,000,000.
	Cores int
	// Time a request takes on a core of its own.
	Time Dist
}

// Capacity is the number of cores divided by the mean time.
func (c CPU) Capacity() float64 { return rate(c.Cores, mean(c.Time)) }

func (c CPU) faults() []string {
	return append(countFaults("Cores", c.Cores), timeFaults(c.Time)...)
}

func (c CPU) draw(r *rand.Rand) time.Duration { return c.Time.Draw(r) }

func (c CPU) start(cl clock) model {
	s := &sharing{clock: cl, n: c.Cores}
	s.timer = time.AfterFunc(longest, s.finish)
	s.timer.Stop()
	return s
}

// sharing is processor sharing in virtual time: attained is the work that a
// job present since the beginning would have got, so a job is done when
// attained has grown by its own work, and the order in which jobs are going to
// end never changes.
type sharing struct {
	direct
	clock
	n int

	mu       sync.Mutex
	attained float64 // ns
	at       time.Duration
	busy     float64 // ns of all cores
	jobs     jobs
	timer    *time.Timer
	dropped  bool
}

type job struct {
	ends  float64 // in attained work
	done  chan struct{}
	index int // in the heap, -1 outside
}

func (s *sharing) work(a *attempt, gone <-chan struct{}) {
	s.mu.Lock()
	if s.dropped {
		s.mu.Unlock()
		return
	}
	s.advance()
	j := &job{ends: s.attained + float64(s.takes(a.need)), done: make(chan struct{})}
	heap.Push(&s.jobs, j)
	s.arm()
	s.mu.Unlock()

	if gone == nil {
		<-j.done
		return
	}
	select {
	case <-j.done:
	case <-gone:
		s.mu.Lock()
		defer s.mu.Unlock()
		if j.index >= 0 {
			s.advance()
			heap.Remove(&s.jobs, j.index)
			s.arm()
		}
	}
}

// speed of each job, as share of a core's.
func (s *sharing) speed() float64 {
	return min(1, float64(s.n)/float64(max(1, len(s.jobs))))
}

// advance accounts for the time since the last change.
func (s *sharing) advance() {
	now := s.now()
	elapsed := float64(now - s.at)
	s.at = now
	s.attained += elapsed * s.speed()
	s.busy += elapsed * float64(min(s.n, len(s.jobs)))
}

// arm sets the timer to the next end.
func (s *sharing) arm() {
	if len(s.jobs) == 0 {
		s.timer.Stop()
		return
	}
	left := (s.jobs[0].ends - s.attained) / s.speed()
	s.timer.Reset(time.Duration(max(1, math.Ceil(left))))
}

func (s *sharing) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	// Half a nanosecond is what rounding to the clock's resolution loses.
	for len(s.jobs) > 0 && s.jobs[0].ends <= s.attained+.5 {
		close(heap.Pop(&s.jobs).(*job).done)
	}
	s.arm()
}

func (s *sharing) runnable() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(max(0, len(s.jobs)-s.n)) / float64(s.n)
}

// latency is that of a scheduler with time slices of 10 ms, as Go's is.
func (s *sharing) latency() time.Duration {
	return time.Duration(s.runnable() * float64(quantum))
}

func (s *sharing) used() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return time.Duration(s.busy)
}

func (s *sharing) cores() int { return s.n }

func (s *sharing) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	s.advance()
	for len(s.jobs) > 0 {
		close(heap.Pop(&s.jobs).(*job).done)
	}
	s.timer.Stop()
}

// jobs is a heap ordered by their ends.
type jobs []*job

func (h jobs) Len() int           { return len(h) }
func (h jobs) Less(i, j int) bool { return h[i].ends < h[j].ends }
func (h jobs) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *jobs) Push(x any) {
	j := x.(*job)
	j.index = len(*h)
	*h = append(*h, j)
}
func (h *jobs) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	j.index = -1
	return j
}
