package live

import (
	"math"
	"time"

	"github.com/handrail-go/handrail"
)

// past remembers counters and histograms from one collection to the next.
type past struct {
	at   time.Time
	last map[string]memo
	next map[string]memo
	over float64 // seconds since last
}

type memo struct {
	value   float64
	count   uint64
	buckets []handrail.Bucket
}

// begin starts a collection.
func (p *past) begin(now time.Time) {
	p.over = 0
	if !p.at.IsZero() {
		p.over = now.Sub(p.at).Seconds()
	}
	p.at = now
	p.next = make(map[string]memo, len(p.last))
}

// end forgets what was not read again: it begins anew if it ever comes back.
func (p *past) end() { p.last, p.next = p.next, nil }

// increase is by how much a counter grew since the last collection, unknown in
// its first. One that is lower than it was began again at 0.
func (p *past) increase(r *reading) (float64, bool) {
	key := r.key()
	before, known := p.last[key]
	p.next[key] = memo{value: r.Value}
	switch {
	case !known:
		return 0, false
	case r.Value < before.value:
		return r.Value, true
	default:
		return r.Value - before.value, true
	}
}

// observed is what a histogram took in since the last collection, with the
// infinite bucket at the end; nil in its first. One that has shrunk, or has
// other bounds than it had, began again.
func (p *past) observed(r *reading) []handrail.Bucket {
	key := r.key()
	before, known := p.last[key]
	all := make([]handrail.Bucket, len(r.Buckets), len(r.Buckets)+1)
	copy(all, r.Buckets)
	all = append(all, handrail.Bucket{UpperBound: math.Inf(1), Cumulative: r.Count})
	p.next[key] = memo{count: r.Count, buckets: all}
	if !known {
		return nil
	}
	out := make([]handrail.Bucket, len(all))
	copy(out, all)
	if len(before.buckets) != len(all) {
		return out
	}
	for i, b := range before.buckets {
		if b.UpperBound != all[i].UpperBound || b.Cumulative > all[i].Cumulative {
			copy(out, all)
			return out
		}
		out[i].Cumulative -= b.Cumulative
	}
	return out
}

// quantile is below which value the share q of the observations lies, taken to
// be spread evenly within a bucket, from 0 in the first; the highest finite
// bound for what lies above that. NaN where there are no observations.
func quantile(q float64, buckets []handrail.Bucket) float64 {
	if len(buckets) == 0 {
		return math.NaN()
	}
	total := buckets[len(buckets)-1].Cumulative
	if total == 0 {
		return math.NaN()
	}
	rank := q * float64(total)
	low, below := 0.0, uint64(0)
	for i, b := range buckets {
		if float64(b.Cumulative) < rank || b.Cumulative == below {
			low, below = b.UpperBound, max(below, b.Cumulative)
			continue
		}
		if math.IsInf(b.UpperBound, 1) {
			if i == 0 {
				return math.NaN()
			}
			return buckets[i-1].UpperBound
		}
		if i == 0 && b.UpperBound <= 0 {
			return b.UpperBound
		}
		return low + (b.UpperBound-low)*(rank-float64(below))/float64(b.Cumulative-below)
	}
	return low
}
