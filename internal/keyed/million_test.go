//go:build !race

package keyed_test

const million = 1_000_000
