package live

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
)

// hub collects once for all viewers, on one goroutine that lives as long as
// there is a viewer.
type hub struct {
	sources  []handrail.Source
	interval time.Duration
	most     int

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	running bool
	closed  bool
	// news tells the goroutine that a viewer came or went.
	news chan struct{}
	// over is closed by close, work waits for all that runs.
	over chan struct{}
	work sync.WaitGroup

	tally tally
}

type tally struct {
	refused, collections, panics, skipped atomic.Uint64
}

// viewer is one browser that is connected.
type viewer struct {
	// out is what is to be sent. The first message says what there is to draw.
	out chan []byte
	// known is nil until that message is in out. It is the hub's.
	known *shape
}

var (
	errFull   = errors.New("too many viewers")
	errClosed = errors.New("closed")
)

func newHub(sources []handrail.Source, interval time.Duration, most int) *hub {
	return &hub{
		sources: sources, interval: interval, most: most,
		viewers: map[*viewer]struct{}{}, news: make(chan struct{}, 1), over: make(chan struct{}),
	}
}

// join admits a viewer. Whoever joins, leaves.
func (h *hub) join() (*viewer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := error(nil)
	switch {
	case h.closed:
		err = errClosed
	case len(h.viewers) >= h.most:
		err = errFull
	}
	if err != nil {
		h.tally.refused.Add(1)
		return nil, err
	}
	v := &viewer{out: make(chan []byte, 4)}
	h.viewers[v] = struct{}{}
	h.work.Add(1) // the viewer's, until it leaves
	if !h.running {
		h.running = true
		h.work.Add(1)
		go h.run()
	}
	h.tell()
	return v, nil
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	delete(h.viewers, v)
	h.tell()
	h.mu.Unlock()
	h.work.Done()
}

func (h *hub) tell() {
	select {
	case h.news <- struct{}{}:
	default: // it is told already
	}
}

func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.over)
	}
	h.mu.Unlock()
	h.work.Wait()
}

// run collects until nobody looks any more. What it knows is forgotten then: a
// rate over the time in which nobody looked would tell nothing.
func (h *hub) run() {
	defer h.work.Done()
	b := newBoard()
	h.collect(b)
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	for {
		viewers := h.present()
		if viewers == nil {
			return
		}
		for _, v := range viewers {
			if v.known == nil {
				v.known = b.shape
				v.out <- b.config() // it is empty
			}
		}
		select {
		case <-h.news:
		case <-tick.C:
			h.collect(b)
			h.send(b, viewers)
		}
	}
}

// present returns those who look; nil, and the goroutine has to end, where
// nobody does.
func (h *hub) present() (all []*viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		all = append(all, v)
	}
	if len(all) == 0 {
		h.running = false
	}
	return all
}

func (h *hub) collect(b *board) {
	h.tally.collections.Add(1)
	readings, panics := collect(h.sources)
	h.tally.panics.Add(uint64(panics))
	b.update(time.Now(), readings)
}

// send gives all viewers the points, made once for all that know the same
// curves.
func (h *hub) send(b *board, viewers []*viewer) {
	made := map[*shape][]byte{}
	for _, v := range viewers {
		text := made[v.known]
		if text == nil {
			text = b.points(b.past.at, v.known)
			made[v.known] = text
		}
		select {
		case v.out <- text:
		default:
			h.tally.skipped.Add(1)
		}
	}
}

func (h *hub) stats() Stats {
	h.mu.Lock()
	n := len(h.viewers)
	h.mu.Unlock()
	t := &h.tally
	return Stats{
		Viewers: n, Refused: t.refused.Load(), Collections: t.collections.Load(),
		SourcePanics: t.panics.Load(), SkippedPoints: t.skipped.Load(),
	}
}
