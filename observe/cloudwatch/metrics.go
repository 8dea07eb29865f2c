package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail"
	"github.com/handrail-go/handrail/observe"
)

// The metrics of requests.
const (
	// Requests counts them: its Sum.
	Requests = "http.server.requests"
	// Errors counts those at which the service failed: its Sum. They are a
	// status of 500 or above, a panic, an answer cut off at the deadline.
	Errors = "http.server.errors"
	// RequestDuration is in seconds, and has none of long-lived exchanges.
	RequestDuration = "http.server.request.duration"
)

// Metrics writes figures in the embedded metric format. It is a sink of an
// observer, and safe for concurrent use.
type Metrics struct {
	set     settings
	out     output
	series  *registry
	layout  layout
	dropped tally
	panics  atomic.Uint64
	closed  atomic.Bool

	sources []*reading
	common  []constant // the dimensions of all sources' figures

	// nil where nothing is written but by requests.
	flushes   chan chan error
	quit      chan struct{}
	ended     chan struct{}
	closeOnce sync.Once
	closeErr  error
}

var (
	_ observe.Sink    = (*Metrics)(nil)
	_ handrail.Source = (*Metrics)(nil)
)

// NewMetrics returns Metrics that write to w, each line with one call of Write
// and never two at once. It begins a goroutine unless requests are written one
// by one and there are no sources; Close ends it. Counters of sources count from
// now on.
func NewMetrics(w io.Writer, opts ...Option) (*Metrics, error) {
	set := defaults()
	err := set.apply(opts)
	if w == nil {
		err = errors.Join(&handrail.OptionError{Package: "cloudwatch", Option: "NewMetrics", Reason: "needs a writer"}, err)
	}
	if err != nil {
		return nil, err
	}
	m := &Metrics{set: set, layout: newLayout(&set), common: set.everywhere()}
	m.out.w = w
	m.series = newRegistry(m.layout.parts, set.maxSeries)
	for _, src := range set.sources {
		r := &reading{source: src, last: map[string]total{}}
		m.read(r, nil)
		m.sources = append(m.sources, r)
	}
	if set.mode == Aggregated || len(set.sources) > 0 {
		m.flushes, m.quit, m.ended = make(chan chan error), make(chan struct{}), make(chan struct{})
		go m.run()
	}
	return m, nil
}

// Observe implements [observe.Sink]. Where requests are written one by one, it
// returns when the writer does; else it never waits for the writer.
func (m *Metrics) Observe(x *observe.Exchange) {
	if m.closed.Load() {
		m.dropped.add(DropClosed)
		return
	}
	s := m.series.of(m.layout.parts.key(x))
	if m.set.mode == PerRequest {
		m.request(s, x)
		return
	}
	d := max(x.Duration, 0)
	if x.LongLived {
		d = -1
	}
	if !s.add(d, failed(x), m.set.maxSamples) {
		m.dropped.add(DropClosed)
	}
}

// Flush writes what has been aggregated so far, and the figures of the sources.
// The error is the writer's, or that of a context that ended before the writer
// was done; then it goes on.
func (m *Metrics) Flush(ctx context.Context) error {
	if m.flushes == nil {
		return nil
	}
	done := make(chan error, 1)
	select {
	case m.flushes <- done:
	case <-m.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cloudwatch: flush: %w", ctx.Err())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("cloudwatch: flush: %w", ctx.Err())
	}
}

// Close writes what is left and ends. What comes later is dropped and counted.
// It waits until ctx ends, or for [CloseTimeout] where that has no deadline. The
// error is as that of Flush; a writer that blocks keeps one goroutine. Close may
// be called again, and then waits for the first to end.
func (m *Metrics) Close(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	m.closed.Store(true)
	if m.flushes == nil {
		return nil
	}
	m.closeOnce.Do(func() { close(m.quit) })
	select {
	case <-m.ended:
		return m.closeErr
	case <-ctx.Done():
		return fmt.Errorf("cloudwatch: close: %w", ctx.Err())
	}
}

// run writes at the end of every interval. Intervals end at multiples of their
// length on the clock, and a line has the time at which its interval began:
// that is in the minute in which all of it happened.
func (m *Metrics) run() {
	defer close(m.ended)
	began := time.Now()
	for {
		now := time.Now()
		end := now.Truncate(m.set.interval).Add(m.set.interval)
		timer := time.NewTimer(end.Sub(now))
		var done chan error
		last := false
		select {
		case <-timer.C:
		case done = <-m.flushes:
		case <-m.quit:
			last = true
		}
		timer.Stop()
		now = time.Now()
		// A writer that blocked, or a machine that slept, must not have all
		// that has happened since then filed under a time long gone.
		at := began
		if at.Before(now.Add(-m.set.interval)) || at.After(now) {
			at = now.Add(-m.set.interval)
		}
		err := m.flush(at, last)
		if done != nil {
			done <- err
		}
		if last {
			m.closeErr = err
			return
		}
		// A timer that comes a moment too early must not file the next
		// interval under the last moment of the minute before.
		if began = now; began.Sub(end).Abs() < 100*time.Millisecond {
			began = end
		}
	}
}

// flush writes everything there is to tell, and returns the first fault.
func (m *Metrics) flush(at time.Time, last bool) error {
	var fault error
	keep := func(err error) {
		if fault == nil {
			fault = err
		}
	}
	if m.set.mode == Aggregated {
		m.aggregates(at, last, keep)
	}
	var all groups
	for _, r := range m.sources {
		m.read(r, &all)
	}
	all.write(m, at, keep)
	return fault
}
