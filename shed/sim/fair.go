package sim

import (
	"math"
	"slices"
)

// MaxMin divides a capacity between demands fairly (max–min): nobody gets more
// than it demands, and nobody could get more without taking it from somebody
// who has no more. A demand that is negative or not a number counts as 0, and
// so does such a capacity.
func MaxMin(capacity float64, demands []float64) []float64 {
	shares := make([]float64, len(demands))
	order := make([]int, 0, len(demands))
	for i, d := range demands {
		if d > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		if demands[a] < demands[b] {
			return -1
		}
		return 1
	})
	left := capacity
	if !(left > 0) {
		return shares
	}
	for n, i := range order {
		shares[i] = min(demands[i], left/float64(len(order)-n))
		if !math.IsInf(left, 1) {
			left -= shares[i]
		}
	}
	return shares
}

// Fair is the success that each tenant would have if what was possible was
// divided fairly (max–min) between their calls, in the order of Tenants; 1
// where a tenant made none. It takes all calls of a tenant as one class, so it
// is what to compare with where all tenants have the same mix of classes.
func (s Stats) Fair() []float64 {
	demands := make([]float64, len(s.Tenants))
	for i, t := range s.Tenants {
		demands[i] = float64(t.Calls)
	}
	fair := MaxMin(s.Possible, demands)
	for i := range fair {
		if demands[i] == 0 {
			fair[i] = 1
		} else {
			fair[i] /= demands[i]
		}
	}
	return fair
}
