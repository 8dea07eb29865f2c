package load

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/internal/notify"
	"github.com/handrail-go/handrail/internal/window"
)

// Sampler measures how loaded this process is. Make one with [New] or share
// [Default]; the zero Sampler is not usable. All methods may be called
// concurrently.
type Sampler struct {
	set   settings
	epoch time.Time // what Now counts from

	latencies *window.Histogram
	failures  *window.Counter

	scheduler scheduler
	slow      slow
	faults    faults

	mu     sync.Mutex // orders the start and the end of the goroutine
	state  atomic.Uint32
	shared bool
	stop   chan struct{}
	ended  chan struct{}

	// Every request writes these, so they are apart from what is only read.
	_         [64]byte
	inFlight  atomic.Int64
	longLived atomic.Int64
	_         [64]byte
}

// The states of the goroutine.
const (
	dormant = iota
	running
	stopped
)

// New returns a sampler, or all faults of the options joined, each a
// [*handrail.OptionError]. It starts nothing: the goroutine that reads CPU and
// memory begins with the first call that needs them, and lives until
// [Sampler.Close].
func New(opts ...Option) (*Sampler, error) {
	set := defaults()
	for _, opt := range opts {
		if opt == nil {
			set.fault("New", nil, "an option must not be nil")
			continue
		}
		opt(&set)
	}
	if len(set.faults) > 0 {
		return nil, errors.Join(set.faults...)
	}
	s := &Sampler{
		set:       set,
		epoch:     time.Now(),
		latencies: window.NewHistogram(set.window, 0),
		failures:  window.NewCounter(set.window, 0),
		stop:      make(chan struct{}),
		ended:     make(chan struct{}),
	}
	s.faults.report = notify.New(set.onError)
	if s.scheduler.read = set.scheduler; s.scheduler.read == nil {
		s.scheduler.read = newRuntimeScheduler().read
	}
	if s.slow.source = set.source; s.slow.source == nil {
		s.slow.source = newSystem(set.interval).read
	}
	return s, nil
}

var process = sync.OnceValue(func() *Sampler {
	s, err := New()
	if err != nil {
		panic(err) // no option, no fault
	}
	s.shared = true
	return s
})

// Default returns the sampler of the process, with default options, made at
// the first call. What takes a sampler uses this one unless told otherwise, so
// that load is measured once and requests are counted together. It belongs to
// none of its users, so its Close does nothing.
//
// A test with virtual time (testing/synctest) makes a sampler of its own
// instead, with [WithSource].
func Default() *Sampler { return process() }

// Now returns the time on the sampler's clock: how long ago it was made.
func (s *Sampler) Now() time.Duration { return time.Since(s.epoch) }

// start begins the background readings, at the first call.
func (s *Sampler) start() {
	if s.state.Load() != dormant {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == dormant {
		s.state.Store(running)
		go s.run()
	}
}

func (s *Sampler) run() {
	defer close(s.ended)
	ticker := time.NewTicker(s.set.interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.sample(s.set.interval / 2)
		}
	}
}

// Close ends the goroutine, if there is one, and waits for it, but at most a
// second should the source hang. After it nothing is read any more: CPU and
// memory are unknown and a [Snapshot] is Stale, while requests and the
// scheduler, which need no goroutine, are measured as before. Close may be
// called again, and always returns nil.
func (s *Sampler) Close() error {
	if s.shared {
		return nil
	}
	s.mu.Lock()
	was := s.state.Swap(stopped)
	if was != stopped {
		close(s.stop)
	}
	s.mu.Unlock()
	if was == running {
		patience := time.NewTimer(time.Second)
		defer patience.Stop()
		select {
		case <-s.ended:
		case <-patience.C:
		}
	}
	return nil
}
