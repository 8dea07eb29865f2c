package cloudwatch

import (
	"context"
	"fmt"
	"time"
)

// The limits of PutLogEvents (Amazon CloudWatch Logs API Reference), which
// every batch keeps.
const (
	// MaxBatchBytes is how large a batch may be: the messages in UTF-8 and
	// EventOverhead for each.
	MaxBatchBytes = 1 << 20
	// MaxBatchEvents is how many events a batch may have.
	MaxBatchEvents = 10_000
	// EventOverhead is what an event counts beside its message, in bytes.
	EventOverhead = 26
	// MaxBatchSpan is how long the events of a batch may be apart.
	MaxBatchSpan = 24 * time.Hour
)

// Event is one log event.
type Event struct {
	Time    time.Time // in whole milliseconds
	Message string    // UTF-8, one line, not empty
}

// Client takes log events to where they are kept. Package awslogs has one for
// Amazon CloudWatch Logs.
type Client interface {
	// Put takes a batch that keeps all the limits, in chronological order; one
	// that is put again may hold events that became 14 days old meanwhile. It
	// is called once at a time, and should return when the context ends; one
	// that does not is not called again until it has. It may keep the slice.
	//
	// Where the error is nil, all was taken but what Rejected says. Else
	// nothing was, and the batch is put again; see [PutError] for how an error
	// can say more. A panic is an error.
	Put(ctx context.Context, events []Event) (Rejected, error)
}

// Rejected says which events of a batch were not taken though the others were.
// The zero value says none.
type Rejected struct {
	Old int // so many of the first, which are too old or beyond the retention
	New int // so many of the last, which are too new
}

// PutError is an error of a Put that says what to do about it. Any other error
// is tried again.
type PutError struct {
	Err error
	// Permanent says that this batch will never be taken: it is dropped.
	Permanent bool
	// Throttled says that the service wants fewer calls: the pause is 1 s at
	// least.
	Throttled bool
	// RetryAfter is how long the service asks to wait; 0 where it does not
	// say. More than 5 min is taken for 5 min.
	RetryAfter time.Duration
}

// Error returns the text of Err.
func (e *PutError) Error() string {
	switch {
	case e.Permanent:
		return fmt.Sprintf("permanent: %v", e.Err)
	case e.Throttled:
		return fmt.Sprintf("throttled: %v", e.Err)
	}
	return fmt.Sprint(e.Err)
}

// Unwrap returns Err.
func (e *PutError) Unwrap() error { return e.Err }
