package main

import (
	"math"
	"slices"
)

// spread is the median of some samples and their quartiles.
type spread struct{ low, median, high float64 }

func spreadOf(samples []float64) spread {
	s := slices.Sorted(slices.Values(samples))
	return spread{quantile(s, .25), quantile(s, .5), quantile(s, .75)}
}

// quantile is that of samples in ascending order, with linear interpolation.
func quantile(s []float64, q float64) float64 {
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// over is how far samples are above the mean of a and b, round by round.
func over(samples, a, b []float64) spread {
	d := make([]float64, len(samples))
	for i := range d {
		d[i] = samples[i] - (a[i]+b[i])/2
	}
	return spreadOf(d)
}

// apart is how far a and b are from one another, round by round.
func apart(a, b []float64) spread {
	d := make([]float64, len(a))
	for i := range d {
		d[i] = math.Abs(a[i] - b[i])
	}
	return spreadOf(d)
}

// relation is a through b, round by round.
func relation(a, b []float64) spread {
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] / b[i]
	}
	return spreadOf(d)
}
