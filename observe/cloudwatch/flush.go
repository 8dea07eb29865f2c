package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// FlushError says that not all was delivered.
type FlushError struct {
	// Lost of the records logged before are lost, Since of them since the last
	// call of Flush or Close that returned one.
	Lost, Since uint64
}

// Error returns the numbers in a sentence.
func (e *FlushError) Error() string {
	return fmt.Sprintf("cloudwatch: %d log records are lost, %d of them since it was last said", e.Lost, e.Since)
}

// Flush has everything put that was logged before, without waiting for more, and
// returns when it is settled. It returns nil only if all of it was delivered,
// from the first record on; else a [*FlushError], whose Since tells what is new,
// or an error that wraps that of ctx. It does not shorten the pause between
// attempts. What is logged meanwhile does not matter to it.
func (h *Handler) Flush(ctx context.Context) error {
	q := h.sender.queue
	q.mu.Lock()
	w := &waiter{target: q.stats.Logged, lost: q.stats.Dropped, done: make(chan struct{})}
	q.flushTo = max(q.flushTo, w.target)
	q.waiters = append(q.waiters, w)
	q.resolve()
	q.signal()
	q.mu.Unlock()
	select {
	case <-w.done:
	default:
		select {
		case <-w.done:
		case <-ctx.Done():
			q.mu.Lock()
			q.waiters = slices.DeleteFunc(q.waiters, func(o *waiter) bool { return o == w })
			q.mu.Unlock()
			return fmt.Errorf("cloudwatch: flush: %w", ctx.Err())
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.report(w.lost)
}

// report is the error that says how many are lost.
func (q *queue) report(lost uint64) error {
	if lost == 0 {
		return nil
	}
	e := &FlushError{Lost: lost, Since: lost - min(lost, q.reported)}
	q.reported = max(q.reported, lost)
	return e
}

// Close puts what is pending and ends. When ctx ends before that is done, what
// is left is dropped and counted, and Close returns at once, though a client
// that ignores its context keeps a goroutine until it returns. The error is that
// of Flush, about all there ever was. What is logged from now on is dropped and
// counted. It may be called again, also while another call waits.
func (h *Handler) Close(ctx context.Context) error {
	s := h.sender
	s.queue.mu.Lock()
	s.queue.closed = true
	s.queue.signal()
	s.queue.mu.Unlock()
	var cut error
	select {
	case <-s.ended:
	default:
		select {
		case <-s.ended:
		case <-ctx.Done():
			cut = fmt.Errorf("cloudwatch: close: %w", ctx.Err())
			s.cancel()
			<-s.ended
		}
	}
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return errors.Join(cut, s.queue.report(s.queue.stats.Dropped))
}
