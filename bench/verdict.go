package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// verdict is what the figures say of a comparison.
type verdict struct {
	// met and missed are sentences on the budgets.
	met, missed []string
	// beaten are the peers that cost less than ours and leave nothing out
	// that would cost, smaller those that cost less and do less.
	beaten, smaller []string
}

func (c comparison) verdict() verdict {
	var v verdict
	for _, b := range c.budgets {
		r, ok := c.find(b.subject())
		if !ok {
			continue
		}
		c.judge(b, r, &v)
	}
	first := c.results[0]
	for _, r := range c.results[1:] {
		if isOurs(r.name) || r.over[reused].median >= first.over[reused].median {
			continue
		}
		by := fmt.Sprintf("%s by %s", r.name, micros(first.over[reused].median-r.over[reused].median))
		if r.less {
			v.smaller = append(v.smaller, fmt.Sprintf("%s, which leaves out %s", by, r.without))
		} else {
			v.beaten = append(v.beaten, by)
		}
	}
	return v
}

func (c comparison) judge(b budget, r result, v *verdict) {
	say := func(ok bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if ok {
			v.met = append(v.met, text)
			return
		}
		if b.because != "" {
			text += " (" + b.because + ")"
		} else {
			text += " (why is not established)"
		}
		v.missed = append(v.missed, text)
	}
	cost := r.over[reused].median
	if b.time > 0 {
		say(cost <= float64(b.time), "%s is at %s of %s", r.name, micros(cost), micros(float64(b.time)))
	}
	if b.allocs != unlimited {
		say(r.allocs[0] <= float64(b.allocs), "%s makes %s of at most %d allocations", r.name, count(r.allocs[0]), b.allocs)
	}
	if peer, ok := c.find(b.of); ok {
		share := cost / peer.over[reused].median
		say(share <= b.share, "%s costs %.2f of %s, at most %.2f", r.name, share, peer.name, b.share)
	}
}

func isOurs(name string) bool { return strings.HasPrefix(name, ours) }

// micros writes ns as µs.
func micros(ns float64) string { return figure(ns) + " µs" }

// figure writes ns as µs without the unit, with what is worth reading of it.
func figure(ns float64) string {
	us := ns / float64(time.Microsecond)
	switch {
	case math.Abs(us) < 1:
		return fmt.Sprintf("%.3f", us)
	case math.Abs(us) < 10:
		return fmt.Sprintf("%.2f", us)
	}
	return fmt.Sprintf("%.1f", us)
}

func count(n float64) string { return fmt.Sprintf("%.0f", n) }
