package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// FlushError says that not all was delivered.
type FlushError struct {
	// Lost are the records that are lost and that no FlushError told of when the
	// call began.
	Lost uint64
	// Total are all that are lost of those logged before the call.
	Total uint64
}

// Error returns the numbers in a sentence.
func (e *FlushError) Error() string {
	return fmt.Sprintf("cloudwatch: %d log records are lost, %d in total", e.Lost, e.Total)
}

// Flush has everything put that was logged before, without waiting for more, and
// returns when it is settled. It returns nil only if all of it was delivered but
// what an earlier call of Flush or Close had told of as lost before this one
// began: each loss is told once, and to all who wait for it together. Else it
// returns a [*FlushError], or an error that wraps that of ctx, which tells of no
// loss. It does not shorten the pause between attempts. What is logged meanwhile
// does not matter to it.
func (h *Handler) Flush(ctx context.Context) error {
	q := h.sender.queue
	q.mu.Lock()
	w := &waiter{target: q.stats.Logged, lost: q.stats.Dropped, told: q.told, done: make(chan struct{})}
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
	return q.tell(w.lost, w.told)
}

// tell is the error that says how many are lost, of which some had been told of
// before. How many are lost up to a record that is settled never changes, so
// these are the first of them.
func (q *queue) tell(lost, before uint64) error {
	q.told = max(q.told, lost)
	if lost <= before {
		return nil
	}
	return &FlushError{Lost: lost - before, Total: lost}
}

// CloseTimeout is how long Close waits at most where its context has no
// deadline: less than the 30 s after which Kubernetes and ECS kill a process.
const CloseTimeout = 20 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, CloseTimeout)
}

// Close puts what is pending and ends. When ctx ends before that is done, or
// [CloseTimeout] is over where it has no deadline, what is left is dropped and
// counted, and Close returns at once, though a client that ignores its context
// keeps a goroutine until it returns. The error is as that of Flush. What is
// logged from now on is dropped and counted. It may be called again, also while
// another call waits.
func (h *Handler) Close(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	s := h.sender
	s.queue.mu.Lock()
	told := s.queue.told
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
	return errors.Join(cut, s.queue.tell(s.queue.stats.Dropped, told))
}
