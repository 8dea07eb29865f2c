package httpwrap

// Outcome names what a package decided about a request, so that whoever
// reports on it (log, metric, span) can say why it ended as it did.
type Outcome uint8

const (
	// None means that no package interfered: the status tells the rest.
	None Outcome = iota
	// Shed means refused because the service was overloaded.
	Shed
	// Timeout means that the deadline passed before the handler was done.
	Timeout
	// BreakerOpen means refused by an open circuit breaker.
	BreakerOpen
	// BulkheadFull means refused for want of a free place.
	BulkheadFull
	// Canceled means that the client left before there was an answer.
	Canceled
	// Panic means that the handler panicked.
	Panic
	// Aborted means that the handler gave up on the response on purpose,
	// with http.ErrAbortHandler.
	Aborted

	outcomes = iota
)

var outcomeNames = [outcomes]string{
	"", "shed", "timeout", "breaker_open", "bulkhead_full", "canceled", "panic", "aborted",
}

// String returns the name as logs and metrics use it: lower case with
// underscores, and empty for None and for a value that is none of the above.
func (o Outcome) String() string {
	if o >= outcomes {
		return ""
	}
	return outcomeNames[o]
}

// Cause is an outcome, and who decided on it and why. It is immutable once it
// was recorded: a package makes one for each of its reasons beforehand, so that
// to tell it costs nothing.
type Cause struct {
	Outcome Outcome
	// Policy is the name of the instance, Reason its reason as its statistics
	// count it. Either may be empty.
	Policy, Reason string
}

// unnamed are the causes of which no more is known than the outcome.
var unnamed = func() (all [outcomes]Cause) {
	for o := range all {
		all[o].Outcome = Outcome(o)
	}
	return all
}()
