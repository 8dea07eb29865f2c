package option

// Given wants a value that is not nil; what names it with its article: "a
// sampler". It reports whether it was given.
func (f *Faults) Given(option string, given bool, what string) bool {
	if !given {
		f.Fault(option, nil, "needs "+what)
	}
	return given
}

// Func is Given for a function, such as a callback.
func (f *Faults) Func(option string, given bool) bool { return f.Given(option, given, "a function") }
