package health

import "errors"

// Status is how well something is, in the words of
// draft-inadarei-api-health-check-06, section 3.1.
type Status uint8

const (
	// Unknown is a check that has no result yet: a failure for readiness and
	// startup, none for liveness.
	Unknown Status = iota
	// Pass is healthy.
	Pass
	// Warn is healthy, with some concerns. It is answered as Pass is.
	Warn
	// Fail is not healthy.
	Fail

	statuses
)

// String returns "unknown", "pass", "warn" or "fail".
func (s Status) String() string {
	switch s {
	case Pass:
		return "pass"
	case Warn:
		return "warn"
	case Fail:
		return "fail"
	default:
		return "unknown"
	}
}

// Group is a set of probes that a check counts for.
type Group uint8

const (
	// Live says whether the process should be restarted. A check belongs here
	// only if a restart would cure what it finds.
	Live Group = 1 << iota
	// Ready says whether the instance should get traffic.
	Ready
	// Startup says whether the instance has started. A check of it counts until
	// it has passed once.
	Startup

	// All is every check there is, and what /healthz tells.
	All = Live | Ready | Startup
)

// String returns "live", "ready" and "startup", joined by "+", or "none".
func (g Group) String() string {
	s := ""
	for i, name := range [...]string{"live", "ready", "startup"} {
		if g&(1<<i) != 0 {
			if s != "" {
				s += "+"
			}
			s += name
		}
	}
	if s == "" {
		return "none"
	}
	return s
}

// Warning says that a check found something to worry about and nothing to fail
// for. It returns nil where err is nil.
func Warning(err error) error {
	if err == nil {
		return nil
	}
	return &warning{err}
}

type warning struct{ error }

func (w *warning) Unwrap() error { return w.error }

// level is the status that the result of a check stands for.
func level(err error) Status {
	if err == nil {
		return Pass
	}
	var w *warning
	if errors.As(err, &w) {
		return Warn
	}
	return Fail
}
