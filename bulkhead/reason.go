package bulkhead

// Reason says why a request was refused, in rejections, statistics, metrics,
// events and errors. The first three also name limits.
type Reason uint8

const (
	// admitted is no refusal.
	admitted Reason = iota
	// ReasonGlobal: the limit on all requests is reached, and waiting is not
	// allowed, or in vain because that limit is 0.
	ReasonGlobal
	// ReasonTenant: likewise the limit of the request's tenant.
	ReasonTenant
	// ReasonOperation: likewise the limit of the request's operation, or host.
	ReasonOperation
	// ReasonQueueFull: the queue has no place for it, or gave its place to a
	// request that goes first.
	ReasonQueueFull
	// ReasonWaitTimeout: it waited as long as it may, or until its deadline.
	ReasonWaitTimeout

	reasons = iota
	// gone is a client that left while its request waited. It is no rejection:
	// nobody was told anything.
	gone = Reason(reasons)
)

var reasonNames = [reasons + 1]string{"admitted", "global", "tenant", "operation", "queue_full", "wait_timeout", "gone"}

// String returns the reason in lower case with underscores.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown"
	}
	return reasonNames[r]
}
