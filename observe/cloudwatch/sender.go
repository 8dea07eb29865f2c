package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// sender is the one goroutine that puts batches.
type sender struct {
	set    *logSettings
	client Client
	queue  *queue

	// base ends when Close gives up.
	base   context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	// hanging is the call that did not return in time, of which there is one at
	// most. Only the sender's goroutine knows it.
	hanging *call
}

func newSender(client Client, set *logSettings) *sender {
	s := &sender{set: set, client: client, queue: newQueue(set), ended: make(chan struct{})}
	s.base, s.cancel = context.WithCancel(context.Background())
	go s.run()
	return s
}

func (s *sender) run() {
	defer close(s.ended)
	defer s.cancel()
	for {
		batch, wait, ended := s.queue.take(time.Now(), s.base.Err() != nil)
		switch {
		case ended:
			return
		case batch != nil:
			s.deliver(batch)
		default:
			s.pause(wait, s.queue.wake)
		}
	}
}

// pause waits for a time, for ever if it is negative, or until something
// happens that matters. It says whether the time is over.
func (s *sender) pause(d time.Duration, wake <-chan struct{}) bool {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-wake:
	case <-s.base.Done():
	}
	return false
}

// deliver puts a batch until it is taken, or as often as is allowed.
func (s *sender) deliver(batch []entry) {
	for attempt := 1; ; attempt++ {
		rejected, sorted, how, err := s.put(batch)
		if err == nil {
			old := min(max(rejected.Old, 0), len(sorted))
			young := min(max(rejected.New, 0), len(sorted)-old)
			lost := append(sorted[:old:old], sorted[len(sorted)-young:]...)
			s.queue.settle(LossRejected, lost)
			return
		}
		if s.base.Err() != nil {
			s.queue.settle(LossClosed, batch)
			return
		}
		s.set.onError.Raise(err)
		if how.Permanent {
			s.queue.settle(LossPermanent, batch)
			return
		}
		if attempt >= s.set.attempts {
			s.queue.settle(LossFailed, batch)
			return
		}
		s.pause(s.backoff(attempt, how), nil)
	}
}

const (
	leastThrottled = time.Second
	mostRetryAfter = 5 * time.Minute
)

// backoff is how long to wait after that many failures.
func (s *sender) backoff(failures int, how PutError) time.Duration {
	d := s.set.longest
	if shift := failures - 1; shift < 32 {
		if grown := s.set.firstPause << shift; grown > 0 && grown < d {
			d = grown
		}
	}
	if how.Throttled {
		d = max(d, leastThrottled)
	}
	d = d/2 + rand.N(d/2+1)
	if how.Throttled {
		d = max(d, leastThrottled)
	}
	return max(d, min(how.RetryAfter, mostRetryAfter))
}

// call is one call of the client.
type call struct {
	batch    []entry
	sorted   []entry
	done     chan struct{}
	rejected Rejected
	err      error
	how      PutError
}

var errHanging = errors.New("cloudwatch: the client did not return in time")

// put calls the client once, and waits for it as long as is allowed.
func (s *sender) put(batch []entry) (Rejected, []entry, PutError, error) {
	if c := s.hanging; c != nil {
		if !s.await(c, s.set.timeout) {
			return Rejected{}, nil, PutError{}, errHanging
		}
		s.hanging = nil
		if c.err == nil {
			if same(c.batch, batch) {
				return c.rejected, c.sorted, c.how, nil
			}
			s.queue.count(func(st *LogStats) { st.Late += uint64(len(c.batch)) })
		}
	}
	ctx, cancel := context.WithTimeout(s.base, s.set.timeout)
	defer cancel()
	c := &call{batch: batch, done: make(chan struct{})}
	var list []Event
	list, c.sorted = events(batch)
	s.queue.count(func(st *LogStats) { st.Calls++ })
	go c.run(ctx, s.client, list)
	if !s.await(c, s.set.timeout+grace) {
		s.hanging = c
		s.queue.count(func(st *LogStats) { st.Failed++; st.Hanging++ })
		return Rejected{}, nil, PutError{}, errHanging
	}
	if c.err != nil {
		s.queue.count(func(st *LogStats) {
			st.Failed++
			if c.how.Throttled {
				st.Throttled++
			}
		})
	}
	return c.rejected, c.sorted, c.how, c.err
}

// grace is what a client gets to return in after its time is over.
const grace = 100 * time.Millisecond

// await says whether the call has returned within the time.
func (s *sender) await(c *call, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
	case <-s.base.Done():
	}
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// same says that two batches are one: seq is never used twice.
func same(a, b []entry) bool { return a[0].seq == b[0].seq }

func (c *call) run(ctx context.Context, client Client, list []Event) {
	defer close(c.done)
	returned := false
	defer func() {
		if !returned {
			c.err = fmt.Errorf("cloudwatch: the client panicked: %v", recover())
		}
	}()
	c.rejected, c.err = client.Put(ctx, list)
	if how := (*PutError)(nil); errors.As(c.err, &how) && how != nil {
		c.how = *how
	}
	returned = true
}
