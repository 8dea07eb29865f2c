package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/handrail-go/handrail/observe"
)

// tally counts answers by what the client got.
type tally struct {
	asked, good, tooMany, refused, late, other atomic.Uint64
}

// count is a sink of the observer.
func (t *tally) count(x *observe.Exchange) {
	t.asked.Add(1)
	switch {
	case x.Status >= 200 && x.Status < 300:
		t.good.Add(1)
	case x.Status == 429:
		t.tooMany.Add(1)
	case x.Status == 503:
		t.refused.Add(1)
	case x.Status == 504:
		t.late.Add(1)
	default:
		t.other.Add(1)
	}
}

// figures are counts since the beginning, those of upstreams last.
func (g *gateway) figures() []uint64 {
	t, r := g.tally, g.retries.Stats()
	all := []uint64{t.asked.Load(), t.good.Load(), t.tooMany.Load(), t.refused.Load(), t.late.Load(), t.other.Load(), r.Attempts - r.Requests}
	for _, u := range g.balancer.upstreams {
		all = append(all, u.sent.Load())
	}
	return all
}

// report prints a line for each second in which there was anything, and in the
// end one for what is left.
func (g *gateway) report(ctx context.Context, out io.Writer) {
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := g.figures()
	head := true
	for done := false; !done; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			done = true
		}
		now := g.figures()
		if now[0] == before[0] {
			continue
		}
		if head {
			line := fmt.Sprintf("%5s %7s %4s %4s %4s %4s %6s %8s", "time", "asked", "2xx", "429", "503", "504", "other", "retried")
			for _, u := range g.balancer.upstreams {
				line += fmt.Sprintf("   %-13s", u.name)
			}
			fmt.Fprintln(out, strings.TrimRight(line, " "))
			head = false
		}
		line := fmt.Sprintf("%4.0fs", time.Since(began).Seconds())
		for i, width := range []int{7, 4, 4, 4, 4, 6, 8} {
			line += fmt.Sprintf(" %*d", width, now[i]-before[i])
		}
		for i, u := range g.balancer.upstreams {
			line += fmt.Sprintf("   %*d %-9s", max(3, len(u.name)-10), now[7+i]-before[7+i], g.circuits.Key(u.key).State())
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
		before = now
	}
}
