package timeout

// Reason says why a request ended, in answers, statistics, metrics and events.
type Reason uint8

const (
	// ReasonDeadline: the handler was not done at the deadline.
	ReasonDeadline Reason = iota
	// ReasonIdle: a spared stream was silent for too long.
	ReasonIdle
	// ReasonExpired: the deadline had passed before the request got here.
	ReasonExpired
	// ReasonOverdue: too many handlers are still running after their deadlines.
	ReasonOverdue

	reasons = iota
)

var reasonNames = [reasons]string{"deadline", "idle", "expired", "overdue"}

// String returns the reason in one lower-case word.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonNames[r]
}
