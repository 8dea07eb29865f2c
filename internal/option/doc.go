// Package option checks what is said in options, so that every package of this
// toolkit refuses the same mistakes in the same words.
//
// A package embeds [Faults] in its settings, with its own name, has [Apply] call
// the options, and its constructor return what [Faults.Err] says:
//
//	type settings struct {
//		option.Faults
//		name  string
//		limit int
//	}
//
//	func defaults() settings {
//		return settings{Faults: option.Faults{Package: "bulkhead"}, limit: 100}
//	}
//
//	func WithLimit(n int) Option {
//		return func(s *settings) {
//			s.Count("WithLimit", n, 0, 1_000_000)
//			s.limit = n
//		}
//	}
//
//	func New(opts ...Option) (*Bulkhead, error) {
//		set := defaults()
//		option.Apply(&set.Faults, &set, opts)
//		set.check() // what no option can see alone
//		if err := set.Err(); err != nil {
//			return nil, err
//		}
//		…
//
// A check takes the name of the option first, as the user writes it, with a
// field behind a dot where the option has several: "WithThresholds.CPU". It
// notes at most one fault, a [*handrail.OptionError] whose Value is what was
// given, and does not stop the option: it may keep the value, as the constructor
// fails in the end. The checks that return a bool say whether all is well, for
// options that could not go on.
//
// The bounds of a range belong to it. Nothing here is safe for concurrent use.
package option
