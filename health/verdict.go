package health

// verdict makes a status of results, with hysteresis: it counts those in a row
// that speak for the same change.
type verdict struct {
	worse  bool
	streak int
	// mark is the best of those that are worse, the worst of those that are
	// better: what all of them agree on.
	mark Status
}

// of returns the status after one more result. A result that is worse does not
// count while it is spared.
func (v *verdict) of(now, result Status, failAfter, passAfter int, spared bool) Status {
	worse := result > now
	if now == Unknown {
		worse = result == Fail
	}
	if result == now || worse && spared {
		v.streak = 0
		return now
	}
	switch {
	case v.streak == 0 || v.worse != worse:
		v.worse, v.streak, v.mark = worse, 0, result
	case worse:
		v.mark = min(v.mark, result)
	default:
		v.mark = max(v.mark, result)
	}
	v.streak++
	if worse && v.streak < failAfter || !worse && v.streak < passAfter {
		return now
	}
	v.streak = 0
	return v.mark
}
