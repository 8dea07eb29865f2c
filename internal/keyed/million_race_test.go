//go:build race

package keyed_test

// The detector makes every allocation cost microseconds.
const million = 50_000
