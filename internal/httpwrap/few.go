package httpwrap

import "slices"

// few is a set of pointers of which there are hardly ever more than two, which
// need no memory but that of the few itself. The same one may be in it several
// times.
type few struct {
	first [2]any
	more  *[]any
}

func (f *few) add(v any) {
	for i := range f.first {
		if f.first[i] == nil {
			f.first[i] = v
			return
		}
	}
	if f.more == nil {
		f.more = new([]any)
	}
	*f.more = append(*f.more, v)
}

func (f *few) has(v any) bool {
	for i := range f.first {
		if f.first[i] == v {
			return true
		}
	}
	return f.more != nil && slices.Contains(*f.more, v)
}

// remove takes v out once. It reports whether it was there.
func (f *few) remove(v any) bool {
	for i := range f.first {
		if f.first[i] == v {
			f.first[i] = nil
			return true
		}
	}
	if f.more == nil {
		return false
	}
	i := slices.Index(*f.more, v)
	if i >= 0 {
		*f.more = slices.Delete(*f.more, i, i+1)
	}
	return i >= 0
}

func (f *few) each(visit func(any)) {
	for _, v := range f.first {
		if v != nil {
			visit(v)
		}
	}
	if f.more != nil {
		for _, v := range *f.more {
			visit(v)
		}
	}
}

// empty takes all out and keeps the memory.
func (f *few) empty() {
	if f.first[0] != nil || f.first[1] != nil {
		f.first = [2]any{}
	}
	if f.more != nil && len(*f.more) > 0 {
		clear(*f.more)
		*f.more = (*f.more)[:0]
	}
}
