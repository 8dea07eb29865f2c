package sim

import (
	"iter"
	"sync"
	"time"

	"github.com/handrail-go/handrail"
)

// Outcome is what became of an attempt; see [Count] for the exact meaning.
type Outcome uint8

const (
	// InTime was answered well by the client's deadline.
	InTime Outcome = iota
	// Refused was answered otherwise by then, and did not reach the handler.
	Refused
	// Expired did not reach the handler and was not answered in time either.
	Expired
	// Wasted reached the handler and was of no use to the client.
	Wasted
)

var outcomes = [...]string{"in time", "refused", "expired", "wasted"}

// String is the lower-case name, "unknown" for what is none of the constants.
func (o Outcome) String() string {
	if int(o) >= len(outcomes) {
		return "unknown"
	}
	return outcomes[o]
}

// Request is one attempt of a client.
type Request struct {
	// Sent is when it was, since the beginning, and Latency how long it took
	// from then to the end of the answer, whether or not the client was still
	// there.
	Sent, Latency time.Duration
	// Held is how long it took from sending until the handler was called, -1
	// if it never was.
	Held     time.Duration
	Priority handrail.Priority
	// Tenant is the index in [Mix.Tenants], 0 if there are none.
	Tenant int
	// Attempt is how often the call had been tried before.
	Attempt int
	Outcome Outcome
}

// Requests yields all attempts by the time they were sent.
func (r *Result) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for i := range r.samples {
			s := &r.samples[i]
			request := Request{
				Sent: s.sent, Latency: s.ended - s.sent, Held: -1,
				Priority: handrail.PriorityOfRank(int(s.class)), Tenant: int(s.tenant),
				Attempt: int(s.attempt), Outcome: s.outcome,
			}
			if s.handled >= 0 {
				request.Held = s.handled - s.sent
			}
			if !yield(request) {
				return
			}
		}
	}
}

// sample is what is known of one attempt. Each is written by the goroutine
// that serves it and read after the end, so none needs a lock.
type sample struct {
	sent    time.Duration // since the beginning
	handled time.Duration // when the handler was called, -1 if never
	ended   time.Duration // when the client had its answer, or would have had
	tenant  uint16
	class   uint8
	outcome Outcome
	attempt uint8
	success bool // of the call; in the sample of its first attempt
}

// record is all samples, in chunks so that they never move.
type record struct {
	mu     sync.Mutex
	chunks [][]sample
}

const chunk = 4096

func (r *record) add() *sample {
	r.mu.Lock()
	last := len(r.chunks) - 1
	if last < 0 || len(r.chunks[last]) == chunk {
		r.chunks = append(r.chunks, make([]sample, 0, chunk))
		last++
	}
	c := &r.chunks[last]
	*c = append(*c, sample{handled: -1})
	s := &(*c)[len(*c)-1]
	r.mu.Unlock()
	return s
}
