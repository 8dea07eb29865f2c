package handrail

import "fmt"

// OptionError is one fault in the options of a component. A constructor
// reports all faults at once, joined with [errors.Join], so that a program
// can find each with [errors.As] or by walking Unwrap() []error.
type OptionError struct {
	// Package and Option name the option: "shed", "WithWindow".
	Package, Option string
	// Value is what was given, nil where a value was missing.
	Value any
	// Reason says what is right: "must be at least 1s".
	Reason string
}

// Error returns package, option, value and reason in one sentence.
func (e *OptionError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("%s: %s: %s", e.Package, e.Option, e.Reason)
	}
	return fmt.Sprintf("%s: %s(%.200s): %s", e.Package, e.Option, fmt.Sprint(e.Value), e.Reason)
}
