package shed

// Reason says why a request was refused, in rejections, statistics, metrics
// and events.
type Reason uint8

const (
	// admitted is no refusal.
	admitted Reason = iota
	// ReasonLimit: all slots are taken and the waiting room has no place.
	ReasonLimit
	// ReasonDisplaced: a request that matters more took the place in the room.
	ReasonDisplaced
	// ReasonTimeout: it waited as long as waiting could help.
	ReasonTimeout
	// ReasonDeadline: the client's deadline comes before an answer could.
	ReasonDeadline
	// ReasonMemory: memory is short and the request's class does not come first.
	ReasonMemory
	// ReasonPressure: drawn by the random or the priority strategy.
	ReasonPressure
	// ReasonCircuit: the circuit strategy is open.
	ReasonCircuit
	// ReasonCustom: the custom strategy said so.
	ReasonCustom
	// ReasonGone: the client left while its request waited. It is no rejection:
	// nobody was told anything.
	ReasonGone

	reasons = iota
)

var reasonNames = [reasons]string{"admitted", "limit", "displaced", "timeout",
	"deadline", "memory", "pressure", "circuit", "custom", "gone"}

// String returns the reason in one lower-case word.
func (r Reason) String() string {
	if int(r) >= len(reasonNames) {
		return "unknown"
	}
	return reasonNames[r]
}
