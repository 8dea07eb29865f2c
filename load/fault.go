package load

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/handrail-go/handrail/internal/notify"
)

// SignalError says that a signal could not be read.
type SignalError struct {
	// Signal is "source" for all that a source reads, or one of "cpu",
	// "host_cpu", "memory" and "scheduler".
	Signal string
	// Err is why.
	Err error
}

// Error returns the signal and the reason.
func (e *SignalError) Error() string { return "load: " + e.Signal + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *SignalError) Unwrap() error { return e.Err }

// signals is a set of them.
type signals uint8

const (
	cpuSignal signals = 1 << iota
	hostSignal
	memorySignal
	schedulerSignal

	slowSignals = cpuSignal | hostSignal | memorySignal
)

// faults knows which signals fail, so that it is told once for each time one
// begins to.
type faults struct {
	report *notify.Queue[error]
	count  atomic.Uint64

	mu      sync.Mutex
	failing signals
}

// note takes the result of one reading of those signals: the ones that failed,
// and why.
func (f *faults) note(read, failed signals, err error) {
	f.mu.Lock()
	begun := failed &^ f.failing
	f.failing = f.failing&^read | failed
	f.mu.Unlock()
	if failed != 0 {
		f.count.Add(1)
	}
	if begun != 0 {
		f.report.Raise(err)
	}
}

// contain is deferred around a call of the user's, and makes a SignalError of
// a panic.
func contain(signal string, err *error) {
	if p := recover(); p != nil {
		*err = &SignalError{signal, fmt.Errorf("panic: %.200s", fmt.Sprint(p))}
	}
}
