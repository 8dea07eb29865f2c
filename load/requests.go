package load

import (
	"net/http"
	"time"

	"github.com/handrail-go/handrail/internal/httpwrap"
)

// Outcome says what a request that ended tells about the service.
type Outcome uint8

const (
	// Success was answered as it should be. An answer of 400 to 499 is one
	// too: the fault is the client's.
	Success Outcome = iota
	// Failure was answered with 500 or above, or not at all: a panic, a
	// timeout.
	Failure
	// Ignored says nothing: it was refused, or its client left. It counts
	// as in flight while it was there and leaves no trace in rate, errors
	// and latencies. Any other value is this.
	Ignored
)

// Enter counts a request as in flight. It returns false, and counts nothing,
// where a package further out did so already for this exchange and this
// sampler, which it finds out from w; then whoever calls must not call Exit,
// Detach or Ended. Where w is nil or no writer of this toolkit's, it counts.
//
// After true there must be exactly one of Exit, and Detach followed by Ended,
// in a defer, so that a panic does not leave the request in flight for ever.
func (s *Sampler) Enter(w http.ResponseWriter) bool {
	if rec := httpwrap.Find(w); rec != nil && !rec.Claim(s) {
		return false
	}
	s.inFlight.Add(1)
	return true
}

// Exit ends a request that [Sampler.Enter] counted, d after it began.
func (s *Sampler) Exit(d time.Duration, o Outcome) {
	if o >= Ignored {
		s.inFlight.Add(-1)
		return
	}
	s.ExitAt(s.Now(), d, o)
}

// ExitAt is Exit for a caller that has just called [Sampler.Now], and saves
// reading the clock again. A time from any other clock puts the statistics
// out of order.
func (s *Sampler) ExitAt(now, d time.Duration, o Outcome) {
	s.inFlight.Add(-1)
	if o >= Ignored {
		return
	}
	s.latencies.Record(now, d)
	if o == Failure {
		s.failures.Add(now, 1)
	}
}

// Detach moves a request that [Sampler.Enter] counted from those in flight to
// the long-lived ones: its connection was hijacked, or its response is a
// stream of events. How long it lasts tells nothing about the service, so
// Ended takes the place of Exit.
func (s *Sampler) Detach() {
	s.inFlight.Add(-1)
	s.longLived.Add(1)
}

// Ended ends a request that was handed to [Sampler.Detach].
func (s *Sampler) Ended() { s.longLived.Add(-1) }

// InFlight returns how many requests are in flight, long-lived ones not
// included.
func (s *Sampler) InFlight() int { return int(s.inFlight.Load()) }
