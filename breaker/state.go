package breaker

import "github.com/sony/gobreaker/v2"

// State is that of one circuit.
type State uint8

const (
	// Closed lets requests through and watches what becomes of them. It is
	// the zero State. While a circuit ramps up after it closed, it is Closed.
	Closed State = iota
	// Open refuses all requests until its open time is over.
	Open
	// HalfOpen lets a few requests through as probes.
	HalfOpen

	states = iota
)

var stateNames = [states]string{"closed", "open", "half_open"}

// String returns "closed", "open" or "half_open", "unknown" for anything else.
func (s State) String() string {
	if s >= states {
		return "unknown"
	}
	return stateNames[s]
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	default:
		return Closed
	}
}

// Reason is why a request was refused.
type Reason uint8

const (
	admitted Reason = iota
	// ReasonOpen: the circuit is open.
	ReasonOpen
	// ReasonProbing: it is half-open, and all probes are under way.
	ReasonProbing
	// ReasonRamping: it has just closed and takes only a share of the traffic.
	ReasonRamping
	// ReasonForced: somebody has forced it open.
	ReasonForced

	reasons = iota
)

var reasonNames = [reasons]string{"", "open", "probing", "ramping", "forced"}

// String returns the reason in one word, as rejections and metrics use it.
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Cause is why a circuit changed its state.
type Cause uint8

const (
	// CauseFailures: too many requests failed.
	CauseFailures Cause = iota
	// CauseSlow: too many calls were slow.
	CauseSlow
	// CauseDue: the open time is over and a request asked to be let through.
	CauseDue
	// CauseProbeFailed: a probe failed.
	CauseProbeFailed
	// CauseProbeHung: a probe took longer than the probe timeout.
	CauseProbeHung
	// CauseRecovered: enough probes succeeded.
	CauseRecovered
	// CauseReset: Reset was called.
	CauseReset
	// CauseForgotten: nobody had asked for the key for long after its open
	// time, and its place was needed. A new circuit of that key starts closed.
	CauseForgotten

	causes = iota
)

var causeNames = [causes]string{"failures", "slow", "due", "probe_failed", "probe_hung", "recovered", "reset", "forgotten"}

// String returns the cause in a word or two.
func (c Cause) String() string {
	if c >= causes {
		return "unknown"
	}
	return causeNames[c]
}
