package retry

// Reason says why a failure was not, or not any more, repeated.
type Reason uint8

const (
	// ReasonExhausted: there were as many attempts as there may be.
	ReasonExhausted Reason = iota
	// ReasonBudget: the budget allows no further attempt.
	ReasonBudget
	// ReasonDeadline: the next attempt would begin after the caller's deadline
	// or the total timeout.
	ReasonDeadline
	// ReasonCanceled: the client left, or the caller canceled.
	ReasonCanceled
	// ReasonBody: the request's body cannot be repeated, because it is too long,
	// did not arrive whole, or has no GetBody.
	ReasonBody
	// ReasonRejected: a policy further in refused the attempt, which a
	// repetition would only make worse.
	ReasonRejected
	// ReasonCommitted: the failed response was already on its way to the client.
	ReasonCommitted
	// ReasonRetryAfter: the response asks for a longer pause than is allowed.
	ReasonRetryAfter
	// ReasonPanic: the handler or the transport panicked, or ended its goroutine.
	ReasonPanic
	// ReasonPermanent: the error is none that a repetition could help.
	ReasonPermanent

	reasons = iota
)

var reasonNames = [reasons]string{
	"exhausted", "budget", "deadline", "canceled", "body", "rejected", "committed", "retry_after", "panic", "permanent",
}

// String returns the reason as metrics use it: lower case with underscores.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonNames[r]
}
