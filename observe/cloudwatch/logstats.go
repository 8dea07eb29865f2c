package cloudwatch

import "github.com/handrail-go/handrail"

// Loss is why a record was dropped.
type Loss uint8

const (
	// LossOverflow is a buffer that was full.
	LossOverflow Loss = iota
	// LossFailed is a batch that was not taken at any attempt.
	LossFailed
	// LossPermanent is a batch that the client said will never be taken.
	LossPermanent
	// LossRejected was left out of a batch that was taken.
	LossRejected
	// LossTime is a record more than 14 days old or 2 hours ahead.
	LossTime
	// LossFormat could not be formatted, because something panicked.
	LossFormat
	// LossClosed came after Close, or was pending when that had to give up.
	LossClosed
	losses
)

var lossNames = [losses]string{"overflow", "failed", "permanent", "rejected", "time", "format", "closed"}

// String returns "overflow", "failed", "permanent", "rejected", "time",
// "format" or "closed".
func (l Loss) String() string {
	if l < losses {
		return lossNames[l]
	}
	return "unknown"
}

// LogStats are the figures of a Handler at one moment, since it was made. At
// every moment Logged = Delivered + Dropped + Pending.
type LogStats struct {
	Name string

	// Logged records were handed to the handler at a level that is logged.
	Logged uint64
	// Delivered ones were taken by the client, Dropped ones are lost, for
	// Reasons.
	Delivered, Dropped uint64
	Reasons            map[Loss]uint64
	// Pending ones are in the buffer or on their way; PendingBytes are theirs,
	// as [MaxBatchBytes] counts.
	Pending      uint64
	PendingBytes int

	// Shortened records were too long and are not complete.
	Shortened uint64
	// Calls of the client, of which some Failed; of those, Throttled and
	// Hanging ones, which did not return when their time was over.
	Calls, Failed, Throttled, Hanging uint64
	// Late records were delivered by a call that hung, after they had been
	// counted as dropped.
	Late uint64
	// DroppedErrors were not handed to a callback that blocked.
	DroppedErrors uint64
}

// Stats returns the figures, all of one moment.
func (h *Handler) Stats() LogStats {
	q := h.sender.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Name = h.sender.set.name
	s.Reasons = map[Loss]uint64{}
	for why, n := range q.lost {
		if n > 0 {
			s.Reasons[Loss(why)] = n
		}
	}
	s.Pending, s.PendingBytes = uint64(q.pending()), q.bytes+q.flightBytes
	s.DroppedErrors = h.sender.set.onError.Dropped()
	return s
}

// Collect implements [handrail.Source].
func (h *Handler) Collect(emit func(handrail.Metric)) {
	s := h.Stats()
	name := handrail.Label{Name: "name", Value: s.Name}
	counter := func(metric, help string, value uint64, labels ...handrail.Label) {
		emit(handrail.Metric{Name: "handrail_cloudwatch_log_" + metric + "_total", Help: help, Kind: handrail.Counter,
			Labels: append([]handrail.Label{name}, labels...), Value: float64(value)})
	}
	gauge := func(metric, help string, value float64) {
		emit(handrail.Metric{Name: "handrail_cloudwatch_log_" + metric, Help: help, Kind: handrail.Gauge,
			Labels: []handrail.Label{name}, Value: value})
	}
	counter("events", "Records logged.", s.Logged)
	counter("delivered_events", "Records delivered.", s.Delivered)
	for why := range losses {
		counter("dropped_events", "Records lost.", s.Reasons[why], handrail.Label{Name: "reason", Value: why.String()})
	}
	gauge("pending_events", "Records in the buffer or on their way.", float64(s.Pending))
	gauge("pending_bytes", "Bytes of the records in the buffer or on their way.", float64(s.PendingBytes))
	counter("shortened_events", "Records too long to be logged complete.", s.Shortened)
	counter("calls", "Calls of the client.", s.Calls)
	counter("failed_calls", "Calls of the client that failed.", s.Failed)
	counter("throttled_calls", "Calls of the client that were throttled.", s.Throttled)
	counter("hanging_calls", "Calls of the client that did not return in time.", s.Hanging)
	counter("late_events", "Records delivered after they had been counted as lost.", s.Late)
	counter("dropped_errors", "Errors not handed to a callback that blocked.", s.DroppedErrors)
}
