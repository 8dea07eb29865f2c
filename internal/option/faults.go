package option

import (
	"errors"

	"github.com/handrail-go/handrail"
)

// Faults is what is wrong with the options of one component.
type Faults struct {
	// Package is the one that the faults name.
	Package string

	found []error
}

// Apply calls the options in order on to, whose faults f are: those of earlier
// options are dropped, so that settings may be copied and changed. A nil option
// is a fault of "Option", with its index; the others are called all the same.
func Apply[Settings any, Option ~func(*Settings)](f *Faults, to *Settings, opts []Option) {
	f.found = nil
	for i, o := range opts {
		if o == nil {
			f.Fault("Option", i, "is nil")
			continue
		}
		o(to)
	}
}

// Fault notes one. Value is what was given, nil where a value is missing, and
// reason says what is right: "must be at least 1s".
func (f *Faults) Fault(option string, value any, reason string) {
	f.found = append(f.found, &handrail.OptionError{Package: f.Package, Option: option, Value: value, Reason: reason})
}

// Add notes what others have found, each a [*handrail.OptionError].
func (f *Faults) Add(faults ...error) { f.found = append(f.found, faults...) }

// Err returns all faults joined, in the order in which they were found, each a
// [*handrail.OptionError]; nil if there are none.
func (f *Faults) Err() error { return errors.Join(f.found...) }
