package retry

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/handrail-go/handrail/internal/option"
)

// Budget bounds how much load retries add, over all requests of whoever shares
// it: a service that fails altogether gets a fifth more requests, not three
// times as many. It is a token bucket (golang.org/x/time/rate) into which every
// first attempt pays a share of a token, and from which every further one takes
// a whole one. It starts empty and saves at most 100 tokens.
//
// A quiet client would never get a token together. Therefore, as long as its
// requests are too few to pay for them, some retries a second are granted
// anyway, over a window of ten seconds; they are repaid out of what comes in
// later, up to one window's worth.
//
// A Budget is safe for concurrent use.
type Budget struct {
	ratio float64
	floor float64 // retries a second

	// requests is the bucket's clock: one request is one tick.
	requests atomic.Int64
	denied   atomic.Uint64

	mu     sync.Mutex
	bucket *rate.Limiter // in ticks
	quiet  *rate.Limiter // in real time, nil without a floor
	// mark is when the current second began, at marked requests; recent is how
	// many a second there were before.
	mark           time.Time
	marked, recent int64
	debt           float64
}

const (
	savings = 100
	window  = 10 // seconds
)

// NewBudget returns a budget of ratio retries for each request, 0 to 1, and of
// perSecond retries for a client that sends few, 0 to 1000. 0.2 and 1 are what
// a policy has without [WithBudget]. What is wrong with them is returned as
// *[handrail.OptionError]s, joined.
//
// The budget begins empty. A process that has just started has retries from
// perSecond only, and those as long as there are less than perSecond ÷ ratio
// requests a second, 5 with the usual two: above that, its first failures are not
// repeated. For a floor at the start, let perSecond be ratio times the requests a
// second that are expected.
func NewBudget(ratio, perSecond float64) (*Budget, error) {
	faults := option.Faults{Package: "retry"}
	if !(ratio >= 0 && ratio <= 1) {
		faults.Fault("NewBudget", ratio, "the ratio must be between 0 and 1")
	}
	if !(perSecond >= 0 && perSecond <= 1000) {
		faults.Fault("NewBudget", perSecond, "the retries per second must be between 0 and 1000")
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return newBudget(ratio, perSecond), nil
}

func newBudget(ratio, perSecond float64) *Budget {
	b := &Budget{ratio: ratio, floor: perSecond, debt: max(1, window*perSecond)}
	b.bucket = rate.NewLimiter(rate.Limit(ratio*float64(time.Second/tick)), savings)
	b.bucket.AllowN(time.Unix(0, 0), savings)
	if perSecond > 0 {
		b.quiet = rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(window*perSecond)))
	}
	return b
}

// tick is how long a request is on the bucket's clock: short, so that all there
// can ever be fit in a time.
const tick = time.Microsecond

func ticks(requests int64) time.Time { return time.Unix(0, requests*int64(tick)) }

// deposit pays for a first attempt.
func (b *Budget) deposit() {
	if b != nil {
		b.requests.Add(1)
	}
}

// withdraw asks for a further attempt.
func (b *Budget) withdraw(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	requests := b.requests.Load()
	at := ticks(requests)
	// A share of a token is a float, and five fifths are to be a whole one.
	if b.bucket.TokensAt(at) > 1-1e-6 {
		if b.bucket.AllowN(at, 1) || b.bucket.ReserveN(at, 1).OK() {
			return true
		}
	}
	if b.isQuiet(now, requests) && b.quiet.AllowN(now, 1) {
		if b.bucket.TokensAt(at) > -b.debt {
			b.bucket.ReserveN(at, 1)
		}
		return true
	}
	b.denied.Add(1)
	return false
}

// isQuiet says whether the floor is above what requests pay for.
func (b *Budget) isQuiet(now time.Time, requests int64) bool {
	if b.quiet == nil {
		return false
	}
	if passed := now.Sub(b.mark); passed >= time.Second || passed < 0 {
		b.recent = int64(float64(requests-b.marked) / max(passed.Seconds(), 1))
		b.mark, b.marked = now, requests-1 // the one that asks is among them
	}
	return b.ratio*float64(max(b.recent, requests-b.marked)) < b.floor
}

// BudgetStats are a Budget's figures at one moment.
type BudgetStats struct {
	// Requests have paid in, since it was made.
	Requests uint64
	// Denied is how many retries it did not allow.
	Denied uint64
	// Tokens is for how many retries there is credit, at most 100; below 0
	// where a quiet client has got some in advance.
	Tokens float64
}

// Stats returns the figures.
func (b *Budget) Stats() BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.requests.Load()
	return BudgetStats{Requests: uint64(n), Denied: b.denied.Load(), Tokens: b.bucket.TokensAt(ticks(n))}
}
