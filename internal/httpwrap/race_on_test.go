//go:build race

package httpwrap

const raceEnabled = true
