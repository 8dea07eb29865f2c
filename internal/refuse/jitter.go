package refuse

import (
	"math/rand/v2"
	"time"
)

// DefaultMax is the longest Retry-After unless Jitter.Max says otherwise.
const DefaultMax = time.Minute

// Jitter chooses when refused clients are to come back, so that they do not
// all come at once. The zero value is ready, and safe for concurrent use.
type Jitter struct {
	// Max is the longest time to send a client away for, in whole seconds
	// (a fraction is dropped), and at least one. 0 or less means DefaultMax.
	Max time.Duration
	// IntN returns a random number from 0 to n-1, for n > 0. It must be safe
	// for concurrent use. nil means that of math/rand/v2.
	IntN func(n int64) int64
}

// RetryAfter is when to come back if what is waiting now takes drain to be
// served: a whole number of seconds, since Retry-After cannot say less, each
// with the same probability from drain to twice that (both rounded up).
//
// It is at least 1 and at most Max, and neither end makes the choice collapse
// to one: a short or unknown drain (0 or less) gives 1 or 2 seconds, a long
// one half of Max to Max.
func (j Jitter) RetryAfter(drain time.Duration) time.Duration {
	longest := j.Max
	if longest <= 0 {
		longest = DefaultMax
	}
	most := max(1, int64(longest/time.Second))
	drain = min(max(drain, 1), time.Duration(most)*time.Second)
	low := ceil(drain)
	// Not ceil(2*drain), which may be more than there are nanoseconds.
	high := 2 * low
	if drain <= time.Duration(low)*time.Second-time.Second/2 {
		high--
	}
	high = min(max(high, low+1), most)
	low = min(low, (most+1)/2)
	n := j.IntN
	if n == nil {
		n = rand.Int64N
	}
	return time.Duration(low+n(high-low+1)) * time.Second
}
