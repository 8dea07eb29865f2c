package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress tells on w what is happening now: on a terminal in one line that is
// rewritten in place, else in a line every few seconds.
type progress struct {
	w        io.Writer
	terminal bool
	wide     int // of the line on the screen
}

const (
	lively = 250 * time.Millisecond // between lines on a terminal
	sparse = 5 * time.Second        // between lines elsewhere
	column = 79                     // a line that wraps cannot be rewritten
)

func newProgress(f *os.File) *progress {
	info, err := f.Stat()
	return &progress{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) show(format string, args ...any) {
	line := []rune(fmt.Sprintf(format, args...))
	if !p.terminal {
		fmt.Fprintln(p.w, string(line))
		return
	}
	line = line[:min(len(line), column)]
	fmt.Fprintf(p.w, "\r%s%s", string(line), strings.Repeat(" ", max(0, p.wide-len(line))))
	p.wide = len(line)
}

// warn tells something that must not be overwritten.
func (p *progress) warn(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.w, "overload: "+format+"\n", args...)
}

// clear takes the line off a terminal.
func (p *progress) clear() {
	if p.wide > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.wide))
		p.wide = 0
	}
}

// follow reports on a run until stop is called.
func (p *progress) follow(name string, m *measured, w *watch) (stop func()) {
	every := sparse
	if p.terminal {
		every = lively
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		start := time.Now()
		last := start
		for {
			select {
			case <-done:
				p.clear()
				return
			case now := <-tick.C:
				p.show("%s", describe(name, m, now.Sub(start), now.Sub(last), w.take()))
				last = now
			}
		}
	})
	return func() { close(done); all.Wait() }
}

// describe is the line: what was offered, what came of it since the last line.
func describe(name string, m *measured, at, span time.Duration, r reading) string {
	rate := func(n int64) float64 { return float64(n) / span.Seconds() }
	served := rate(r.counts[good])
	line := fmt.Sprintf("%s %.1f/%.0f s at %g×: %.0f/s in time (%.0f %%)",
		name, min(at, m.shape.total()).Seconds(), m.shape.total().Seconds(), m.shape[m.shape.at(at)].ratio,
		served, 100*served/m.capacity)
	if r.p99 > 0 {
		line += fmt.Sprintf(", p99 %.0f ms", min(r.p99, m.deadline).Seconds()*1e3)
	}
	line += fmt.Sprintf(", %.0f/s shed, %.0f/s late", rate(r.counts[refused]), rate(r.counts[late]))
	if n := r.counts[failed] + r.counts[overflow]; n > 0 {
		line += fmt.Sprintf(", %.0f/s failed", rate(n))
	}
	return line
}
