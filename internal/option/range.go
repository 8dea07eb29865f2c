package option

import (
	"fmt"
	"time"
)

// Within wants a number between lo and hi. NaN is a fault.
func (f *Faults) Within(option string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		f.Fault(option, v, fmt.Sprintf("must be between %v and %v", lo, hi))
	}
}

// Count wants a whole number between lo and hi.
func (f *Faults) Count(option string, n, lo, hi int) {
	if n < lo || n > hi {
		f.Fault(option, n, fmt.Sprintf("must be between %d and %d", lo, hi))
	}
}

// Lasting wants a duration between lo and hi.
func (f *Faults) Lasting(option string, d, lo, hi time.Duration) {
	if d < lo || d > hi {
		f.Fault(option, d, fmt.Sprintf("must be between %v and %v", lo, hi))
	}
}

// Positive wants a duration above 0 and at most longest.
func (f *Faults) Positive(option string, d, longest time.Duration) {
	if d <= 0 || d > longest {
		f.Fault(option, d, fmt.Sprintf("must be above 0 and at most %v", longest))
	}
}

// Optional is Positive, or 0 for none.
func (f *Faults) Optional(option string, d, longest time.Duration) {
	if d != 0 {
		f.Positive(option, d, longest)
	}
}
